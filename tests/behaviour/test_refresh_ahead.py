"""What is popular is refreshed before it expires; by a hit, once, and never for those who are few."""

from __future__ import annotations

import pytest

from tests.scenario import World

POPULAR = {"cache": {"refresh_ahead": 0.2, "refresh_ahead_uses": 3}}
"""Due at 80 to 90 s of 100."""


async def _stored(world: World, hits: int, *, at_s: float, cache_control: str = "max-age=100") -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control=cache_control, etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    for _ in range(hits):
        await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(at_s)


async def test_a_herd_never_meets_a_popular_answer_expired(world: World) -> None:
    world.configure(route=POPULAR)
    await _stored(world, 3, at_s=91)
    refreshed = world.origin.on("GET /a", if_none_match='"1"').hold()
    refreshed.reply(304, etag='"1"', cache_control="max-age=100")
    await world.clients(10).send("GET /a").expect(200, b"old")
    await world.until(lambda: refreshed.held == 1)
    refreshed.release()
    await world.until(lambda: world.flights == 0)
    world.clock.advance(20)
    response = await world.client().send("GET /a").expect(200, b"old")
    assert response.cache_status["hit"]
    assert world.origin.asked() == 2
    assert world.proxy.statistics().proxy.refreshed == 1


@pytest.mark.parametrize(
    ("hits", "at_s"), [pytest.param(1, 91, id="unpopular"), pytest.param(5, 79, id="too-early")]
)
async def test_what_is_not_due_is_left_alone(world: World, hits: int, at_s: float) -> None:
    world.configure(route=POPULAR)
    await _stored(world, hits, at_s=at_s)
    await world.client().send("GET /a").expect(200, b"old")
    await world.turns()
    assert world.origin.asked() == 1


async def test_it_is_off_by_default(world: World) -> None:
    await _stored(world, 20, at_s=99)
    await world.client().send("GET /a").expect(200, b"old")
    await world.turns()
    assert world.origin.asked() == 1


async def test_a_refresh_that_fails_leaves_the_answer_and_is_not_repeated(world: World) -> None:
    world.configure(route=POPULAR)
    await _stored(world, 3, at_s=91)
    world.origin.on("GET /a", if_none_match='"1"').reply(500, b"no")
    await world.client().send("GET /a").expect(200, b"old")
    await world.until(lambda: world.flights == 0)
    await world.clients(5).send("GET /a").expect(200, b"old")
    assert world.origin.asked() == 2


async def test_no_more_than_the_limit_run_at_one_time(world: World) -> None:
    world.configure(route=POPULAR, cache={"max_refreshes": 1})
    for target in ("/a", "/b"):
        world.origin.on(f"GET {target}").reply(200, b"old", cache_control="max-age=100", etag='"1"')
        for _ in range(4):
            await world.client().send(f"GET {target}").expect(200, b"old")
    world.clock.advance(91)
    rules = {
        target: world.origin.on(f"GET {target}", if_none_match='"1"').hold().reply(304, etag='"1"')
        for target in ("/a", "/b")
    }
    for target in ("/a", "/b"):
        await world.client().send(f"GET {target}").expect(200, b"old")
    await world.until(lambda: rules["/a"].held == 1)
    await world.turns()
    assert rules["/b"].held == 0
    rules["/a"].release()
    await world.until(lambda: world.flights == 0)
    await world.client().send("GET /b").expect(200, b"old")
    await world.until(lambda: rules["/b"].held == 1)
    rules["/b"].release()


async def test_requests_with_authorization_refresh_nothing(world: World) -> None:
    world.configure(route=POPULAR)
    await _stored(world, 3, at_s=91, cache_control="public, max-age=100")
    await world.client().send("GET /a", authorization="Basic YTpi").expect(200, b"old")
    await world.turns()
    assert world.origin.asked() == 1
