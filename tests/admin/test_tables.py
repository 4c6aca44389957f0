from __future__ import annotations

import pytest

from proxy.admin.tables import explanation_lines, purge_lines
from tests.scenario import World


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"kind": "tag", "soft": False, "entries": 2, "seconds": 0.5}, "removed 2 responses (tag, 0.500 s)"),
        ({"kind": "url", "soft": True, "entries": 1, "seconds": 0}, "made 1 response stale (url, 0.000 s)"),
    ],
)
def test_a_purge_is_one_line(answer: dict[str, object], line: str) -> None:
    assert purge_lines(answer) == [line]


async def test_an_explanation_begins_with_its_verdict(world: World) -> None:
    world.configure(route={"key": {"fields": ["X-Shop"], "cookies": ["id"]}, "cookies": "key"})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60", surrogate_key="t", vary="X-L")
    await world.client().send("GET /a", x_shop="1", cookie="id=5").expect(200)
    fields = ((b"X-Shop", b"1"), (b"Cookie", b"id=5"))
    lines = explanation_lines(
        world.proxy.proxy.explainer.explain("http://shop.example/a", fields=fields).document()
    )
    assert lines[:2] == ["hit         stored 0 s old, fresh for 60 s more (max-age)", ""]
    text = "\n".join(lines)
    for part in (
        "*/ -> shop",
        "field x-shop: 1",
        "cookie id: 5",
        "Cookie: id=5",
        "x-l: (absent)",
        "tags",
        "none",
    ):
        assert part in text


async def test_what_has_no_key_has_a_short_one(world: World) -> None:
    await world.started()
    document = world.proxy.proxy.explainer.explain("http://shop.example/a", method="POST").document()
    names = [line.split()[0] for line in explanation_lines(document) if line]
    assert names == ["passed", "request", "route"]


async def test_nothing_that_a_client_sent_reaches_the_terminal_as_it_is(world: World) -> None:
    world.configure(route={"key": {"fields": ["X-Shop"]}})
    await world.started()
    fields = ((b"X-Shop", "\u009b31m".encode()),)
    document = world.proxy.proxy.explainer.explain("http://shop.example/a", fields=fields).document()
    assert all(line.isprintable() for line in explanation_lines(document))
