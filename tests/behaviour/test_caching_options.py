"""What a route may ask of its cache beyond the defaults, on real sockets."""

from __future__ import annotations

from tests.scenario import World

NEGATIVE = {"cache": {"negative_lifetimes_s": {"404": 5, "5xx": 2}}}


async def test_an_error_is_cached_for_the_short_time_that_the_route_gives_it(world: World) -> None:
    world.configure(route=NEGATIVE)
    world.origin.on("GET /a").reply(404, b"none")
    await world.client().send("GET /a").expect(404, b"none")
    world.clock.advance(4)
    await world.client().send("GET /a").expect(404, b"none", age="4")
    world.clock.advance(2)
    await world.client().send("GET /a").expect(404, b"none")
    assert world.origin.asked() == 2
    assert world.outcomes() == {"miss": 2, "hit": 1}


async def test_a_failure_is_shared_with_the_herd_where_the_route_gives_it_a_lifetime(world: World) -> None:
    world.configure(route=NEGATIVE)
    answer = world.origin.on("GET /a").hold().reply(500, b"no")
    clients = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 5)
    answer.release()
    await clients.expect(500, b"no")
    await world.client().send("GET /a").expect(500, b"no")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "collapsed": 4, "hit": 1}


async def test_a_failure_does_not_replace_the_copy_that_may_stand_in_for_it(world: World) -> None:
    world.configure(route=NEGATIVE)
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(100)
    world.origin.on("GET /a").reply(500, b"no")
    for _ in range(2):
        await world.client().send("GET /a").expect(200, b"old", age="100")
    assert world.outcomes() == {"miss": 1, "stale": 2}


async def test_when_that_copy_is_too_old_the_failure_is_cached(world: World) -> None:
    world.configure(route={"cache": {**NEGATIVE["cache"], "stale_if_error_s": 10}})
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(100)
    world.origin.on("GET /a").reply(500, b"no")
    for _ in range(2):
        await world.client().send("GET /a").expect(500, b"no")
    assert world.origin.asked() == 2


async def test_a_targeted_field_governs_this_cache_and_is_passed_on(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="no-store", cdn_cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"A")
    world.clock.advance(50)
    hit = await world.client().send("GET /a").expect(200, b"A", age="50")
    assert hit.field("cache-control") == "no-store"
    assert hit.field("cdn-cache-control") == "max-age=60"
    assert world.outcomes() == {"miss": 1, "hit": 1}


async def test_queries_that_differ_in_what_is_dropped_share_one_fetch(world: World) -> None:
    world.configure(route={"query": {"drop": ["utm_*"], "sort": True}})
    world.origin.on("GET /a?x=1&y=2").reply(200, b"A", cache_control="max-age=60")
    await world.client().send("GET /a?y=2&utm_id=evil&x=1").expect(200, b"A")
    await world.client().send("GET /a?utm_source=b&x=1&y=2").expect(200, b"A")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "hit": 1}


async def test_the_origin_sees_only_the_codings_that_it_distinguishes(world: World) -> None:
    world.configure(route={"cache": {"accept_encoding": ["gzip"]}})
    world.origin.on("GET /a", accept_encoding="gzip").reply(
        200, b"A", cache_control="max-age=60", vary="Accept-Encoding"
    )
    for value in ("gzip, deflate, br", "zstd, gzip;q=0.5", "GZIP"):
        await world.client().send("GET /a", accept_encoding=value).expect(200, b"A")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "hit": 2}


async def test_an_answer_is_stored_from_so_many_requests_on(world: World) -> None:
    world.configure(route={"cache": {"min_uses": 3}})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    for stored in (False, False, True):
        response = await world.client().send("GET /a").expect(200, b"A")
        assert response.cache_status.get("stored", False) is stored
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 3
    assert world.outcomes() == {"miss": 3, "hit": 1}


async def test_a_herd_counts_as_many(world: World) -> None:
    world.configure(route={"cache": {"min_uses": 3}})
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 3)
    answer.release()
    await clients.expect(200, b"A")
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "collapsed": 2, "hit": 1}
