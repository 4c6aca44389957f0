"""Clients that demand a newer answer, and those that take nothing but what is stored."""

from __future__ import annotations

import pytest

from tests.scenario import World

STORED = {"cache_control": "max-age=60", "etag": '"1"'}


async def test_a_herd_with_no_cache_is_one_running_and_one_pending_request(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    first = world.client().send("GET /a", cache_control="no-cache")
    await world.until(lambda: answer.held == 1)
    world.clock.advance(1)
    herd = world.clients(20).send("GET /a", cache_control="no-cache")
    await world.until(lambda: world.proxy.statistics().accepted == 21)
    await world.turns()
    assert world.origin.asked() == 1
    world.clock.advance(1)
    answer.release(1)
    await first.expect(200, b"A")
    await world.until(lambda: world.seats == 20 and answer.held == 1)
    answer.release()
    await herd.expect(200, b"A")
    assert world.origin.asked() == 2


@pytest.mark.parametrize(
    "field",
    [{"cache_control": "no-cache"}, {"cache_control": "max-age=0"}, {"pragma": "no-cache"}],
    ids=["no-cache", "max-age-0", "pragma"],
)
async def test_a_fresh_entry_is_revalidated_for_a_client_that_demands_it(
    world: World, field: dict[str, str]
) -> None:
    world.origin.on("GET /a").reply(200, b"old", **STORED)
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(1)
    world.origin.on("GET /a", if_none_match='"1"').reply(304, etag='"1"', cache_control="max-age=60")
    response = await world.client().send("GET /a", **field).expect(200, b"old")
    assert response.cache_status["fwd"] == "request"
    assert response.cache_status["fwd-status"] == 304
    await world.client().send("GET /a").expect(200, b"old", age="0")
    assert world.origin.asked() == 2


async def test_no_cache_brings_the_new_answer_for_all(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", **STORED)
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60", etag='"2"')
    await world.client().send("GET /a", cache_control="no-cache").expect(200, b"new")
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.asked() == 2


async def test_a_route_need_not_honour_no_cache(world: World) -> None:
    world.configure(route={"cache": {"honour_no_cache": False}})
    world.origin.on("GET /a").reply(200, b"old", **STORED)
    await world.client().send("GET /a").expect(200, b"old")
    for field in ("no-cache", "max-age=0", "min-fresh=100"):
        await world.client().send("GET /a", cache_control=field).expect(200, b"old")
    assert world.origin.asked() == 1


@pytest.mark.parametrize(
    ("field", "asked"),
    [("max-age=10", 2), ("max-age=30", 1), ("min-fresh=30", 1), ("min-fresh=50", 2)],
)
async def test_a_client_may_narrow_freshness(world: World, field: str, asked: int) -> None:
    world.origin.on("GET /a").reply(200, b"A", **STORED)
    await world.client().send("GET /a").expect(200)
    world.clock.advance(20)
    await world.client().send("GET /a", cache_control=field).expect(200, b"A")
    assert world.origin.asked() == asked


@pytest.mark.parametrize(("field", "asked"), [("max-stale", 1), ("max-stale=50", 1), ("max-stale=10", 2)])
async def test_a_client_may_take_what_is_stale(world: World, field: str, asked: int) -> None:
    world.origin.on("GET /a").reply(200, b"A", **STORED)
    await world.client().send("GET /a").expect(200)
    world.clock.advance(80)
    response = await world.client().send("GET /a", cache_control=field).expect(200, b"A")
    assert world.origin.asked() == asked
    if asked == 1:
        assert response.cache_status == {"hit": True, "ttl": -20}


async def test_only_if_cached_is_answered_from_the_store_or_with_504(world: World) -> None:
    await world.client().send("GET /a", cache_control="only-if-cached").expect(504)
    world.origin.on("GET /a").reply(200, b"A", **STORED)
    await world.client().send("GET /a").expect(200)
    await world.client().send("GET /a", cache_control="only-if-cached").expect(200, b"A")
    world.clock.advance(61)
    await world.client().send("GET /a", cache_control="only-if-cached").expect(504)
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "hit": 1, "refused": 2}
