"""What is stale: validated, freshened, served while a flight runs behind it."""

from __future__ import annotations

import pytest

from tests.scenario import World

STORED = {"cache_control": "max-age=60", "etag": '"1"', "last_modified": "Fri, 15 Jan 2027 07:00:00 GMT"}


async def stored(world: World, **fields: str) -> None:
    world.origin.on("GET /a").reply(200, b"old", **{**STORED, **fields})
    await world.client().send("GET /a").expect(200, b"old")


async def test_a_stale_entry_is_validated_once_for_a_herd_and_freshened(world: World) -> None:
    await stored(world)
    world.clock.advance(61)
    answer = world.origin.on("GET /a").hold().reply(304, etag='"1"', cache_control="max-age=100", x_new="yes")
    clients = world.clients(6).send("GET /a")
    await world.until(lambda: world.seats == 6 and answer.held == 1)
    answer.release()
    for response in await clients.expect(200, b"old", x_new="yes", cache_control="max-age=100", age="0"):
        assert response.cache_status["fwd-status"] == 304
    asked = world.origin.requests()[1]
    assert asked.field("if-none-match") == '"1"'
    assert asked.field("if-modified-since") == STORED["last_modified"]
    world.clock.advance(99)
    await world.client().send("GET /a").expect(200, b"old", age="99")
    assert world.origin.asked() == 2


async def test_a_200_replaces_the_stale_entry(world: World) -> None:
    await stored(world)
    world.clock.advance(61)
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60", etag='"2"')
    await world.client().send("GET /a").expect(200, b"new", etag='"2"')
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.asked() == 2


async def test_a_304_about_another_etag_is_not_believed_and_the_whole_is_asked_for(world: World) -> None:
    await stored(world)
    world.clock.advance(61)
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60", etag='"2"')
    world.origin.on("GET /a", if_none_match='"1"').reply(304, etag='"2"')
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.asked() == 3
    assert world.origin.requests()[2].field("if-none-match") is None


async def test_a_set_cookie_on_a_304_is_for_the_asker_alone(world: World) -> None:
    await stored(world)
    world.clock.advance(61)
    answer = world.origin.on("GET /a").hold()
    answer.reply(304, etag='"1"', cache_control="max-age=60", set_cookie="id=1")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 4)
    answer.release()
    await leader.expect(200, b"old", set_cookie="id=1")
    await waiters.expect(200, b"old", set_cookie=None)
    await world.client().send("GET /a").expect(200, b"old", set_cookie=None)


@pytest.mark.parametrize("route", [{"set_cookie": "ignore"}, {"cache": {"profile": "strict-rfc"}}], ids=str)
async def test_a_set_cookie_on_a_304_takes_the_place_of_a_stored_one_for_the_asker(
    world: World, route: dict[str, object]
) -> None:
    world.configure(route=route)
    await stored(world, set_cookie="id=stored")
    world.clock.advance(61)
    world.origin.on("GET /a").reply(304, etag='"1"', cache_control="max-age=60", set_cookie="id=asker")
    asker = await world.client().send("GET /a").expect(200, b"old")
    assert asker.field("set-cookie") == "id=asker"
    later = await world.client().send("GET /a").expect(200, b"old")
    assert later.field("set-cookie") == "id=stored"


async def test_a_304_that_says_private_ends_the_sharing(world: World) -> None:
    await stored(world)
    world.clock.advance(61)
    answer = world.origin.on("GET /a", if_none_match='"1"').hold()
    answer.reply(304, etag='"1"', cache_control="private")
    own = world.origin.on("GET /a", x_me="2")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    own.reply(200, b"mine", cache_control="private")
    waiter = world.client().send("GET /a", x_me="2")
    await world.until(lambda: world.seats == 2)
    answer.release()
    await leader.expect(200, b"old", cache_control="private")
    await waiter.expect(200, b"mine")


async def test_a_304_to_a_waiter_with_the_same_etag_stays_a_304(world: World) -> None:
    await stored(world)
    world.clock.advance(61)
    answer = world.origin.on("GET /a").hold().reply(304, etag='"1"', cache_control="max-age=60")
    clients = [world.client().send("GET /a"), world.client().send("GET /a", if_none_match='"1"')]
    await world.until(lambda: world.seats == 2 and answer.held == 1)
    answer.release()
    await clients[0].expect(200, b"old")
    await clients[1].expect(304, b"")


async def test_an_entry_without_validator_is_fetched_anew(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(61)
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.requests()[1].field("if-none-match") is None


async def test_no_cache_of_the_answer_is_stored_and_validated_each_time(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="no-cache", etag='"1"')
    await world.client().send("GET /a").expect(200, b"A")
    world.origin.on("GET /a", if_none_match='"1"').reply(304, etag='"1"')
    for _ in range(2):
        await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 3


async def test_stale_while_revalidate_is_one_flight_behind_many_clients(world: World) -> None:
    await stored(world, cache_control="max-age=60, stale-while-revalidate=30")
    world.clock.advance(70)
    answer = world.origin.on("GET /a").hold()
    answer.reply(200, b"new", cache_control="max-age=60", etag='"2"')
    clients = world.clients(10).send("GET /a")
    for response in await clients.expect(200, b"old", age="70"):
        assert response.cache_status == {"hit": True, "ttl": -10}
    await world.until(lambda: answer.held == 1)
    assert world.origin.asked() == 2
    answer.release()
    await world.until(lambda: world.flights == 0)
    await world.client().send("GET /a").expect(200, b"new")
    assert world.outcomes() == {"miss": 1, "stale": 10, "hit": 1}


async def test_the_flight_behind_goes_on_when_its_client_has_left(world: World) -> None:
    await stored(world, cache_control="max-age=60, stale-while-revalidate=30")
    world.clock.advance(70)
    answer = world.origin.on("GET /a").hold()
    answer.reply(304, etag='"1"', cache_control="max-age=60")
    client = world.client().send("GET /a")
    await client.expect(200, b"old")
    client.leave()
    await world.until(lambda: answer.held == 1)
    answer.release()
    await world.until(lambda: world.flights == 0)
    await world.client().send("GET /a").expect(200, b"old", age="0")


async def test_past_the_grace_clients_wait_for_the_validation(world: World) -> None:
    await stored(world, cache_control="max-age=60, stale-while-revalidate=30")
    world.clock.advance(91)
    answer = world.origin.on("GET /a").hold()
    answer.reply(304, etag='"1"', cache_control="max-age=60")
    clients = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 3 and answer.held == 1)
    answer.release()
    await clients.expect(200, b"old", age="0")


@pytest.mark.parametrize("failing", ["error", "cut"])
async def test_a_flight_behind_that_fails_leaves_the_stale_entry(world: World, failing: str) -> None:
    await stored(world, cache_control="max-age=60, stale-while-revalidate=30")
    world.clock.advance(70)
    rule = world.origin.on("GET /a")
    if failing == "error":
        rule.reply(500, b"no")
    else:
        rule.raw(b"", then="cut")
    for _ in range(2):
        await world.client().send("GET /a").expect(200, b"old")
        await world.until(lambda: world.flights == 0)


async def test_a_route_may_grant_a_grace(world: World) -> None:
    world.configure(route={"cache": {"grace_s": 30}})
    await stored(world)
    world.clock.advance(70)
    answer = world.origin.on("GET /a").hold().reply(304, etag='"1"', cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    await world.until(lambda: answer.held == 1)
    answer.release()
    await world.until(lambda: world.flights == 0)


async def test_freshness_counts_the_age_that_the_answer_came_with(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60", age="50")
    await world.client().send("GET /a").expect(200, b"A", age="50")
    world.clock.advance(9)
    await world.client().send("GET /a").expect(200, b"A", age="59")
    world.clock.advance(2)
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 2


async def test_a_route_may_set_the_lifetime(world: World) -> None:
    world.configure(route={"cache": {"lifetime_s": 10}})
    world.origin.on("GET /a").reply(200, b"A")
    world.origin.on("GET /p").reply(200, b"P", cache_control="private")
    for _ in range(2):
        await world.client().send("GET /a").expect(200, b"A")
        await world.client().send("GET /p").expect(200, b"P")
    assert world.origin.asked("GET /a") == 1
    assert world.origin.asked("GET /p") == 2
    world.clock.advance(11)
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked("GET /a") == 2
