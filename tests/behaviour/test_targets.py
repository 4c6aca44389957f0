"""Request targets pass octet for octet."""

from __future__ import annotations

import pytest

from tests.scenario import World

TARGETS = [
    "/",
    "/?",
    "/a?",
    "/a??b",
    "/a%2Fb",
    "/a%2fb",
    "//x",
    "///",
    "/a//b/",
    "/a;v=1/b;w",
    "/a/../b",
    "/a/./b",
    "/%41",
    "/%zz",
    "/%",
    "/a+b",
    "/a?x=1&y=%20&z",
    "/a?q=a/b?c",
    "/~u/!$&'()*+,;=:@",
    "/a|b^c`{d}",
    '/"<>\\',
    "/[x]",
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_target_reaches_the_origin_as_it_came(world: World, target: str, method: str) -> None:
    world.origin.on(f"{method} {target}").reply(200, b"A", cache_control="max-age=60")
    for _ in range(2):
        await world.client().send(f"{method} {target}", b"" if method == "POST" else None).expect(200, b"A")
    assert world.origin.asked() == (1 if method == "GET" else 2)


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("http://shop.example/a?b", "/a?b"),
        ("HTTP://SHOP.example:80/a", "/a"),
        ("http://shop.example", "/"),
        ("http://shop.example?q", "/?q"),
        ("http://shop.example//x", "//x"),
    ],
)
async def test_an_absolute_target_becomes_a_path(world: World, target: str, asked: str) -> None:
    world.origin.on(f"GET {asked}").reply(200)
    await world.client().send(f"GET {target}").expect(200)


@pytest.mark.parametrize(
    "target",
    [
        "http://other.example/a",
        "https://shop.example/a",
        "http://user@shop.example/a",
        "ftp://shop.example/a",
        "nowhere",
        "*",
        "/a#fragment",
        "http:///a",
    ],
)
async def test_other_targets_are_answered_400(world: World, target: str) -> None:
    await world.client().send(f"GET {target}").expect(400)
    assert world.origin.asked() == 0
