"""HEAD and conditional requests, answered from entries and from flights."""

from __future__ import annotations

import pytest

from tests.scenario import World

MODIFIED = "Fri, 15 Jan 2027 07:00:00 GMT"
BEFORE = "Fri, 15 Jan 2027 06:00:00 GMT"
AFTER = "Fri, 15 Jan 2027 07:30:00 GMT"
FIELDS = {"cache_control": "max-age=60", "etag": '"1"', "last_modified": MODIFIED}


async def test_head_is_answered_from_the_entry_of_get(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"0123456789", **FIELDS)
    await world.client().send("GET /a").expect(200)
    response = await world.client().send("HEAD /a").expect(200, b"", content_length="10", etag='"1"')
    assert response.cache_status["hit"] is True
    assert world.origin.asked() == 1


async def test_head_waits_for_a_flight_of_get_and_is_answered_with_its_head(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    waiter = world.client().send("HEAD /a")
    await world.until(lambda: world.seats == 2)
    asked.head(200, length=10, cache_control="max-age=60")
    await waiter.expect(200, b"", content_length="10")
    asked.data(b"0123456789")
    asked.finish()
    await leader.expect(200, b"0123456789")


async def test_head_leads_no_flight(world: World) -> None:
    held = world.origin.on("HEAD /a").hold().reply(200, b"0123456789", cache_control="max-age=60")
    head = world.client().send("HEAD /a")
    await world.until(lambda: held.held == 1)
    world.origin.on("GET /a").reply(200, b"0123456789", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"0123456789")
    held.release()
    await head.expect(200, b"", content_length="10")
    assert world.outcomes() == {"passed": 1, "miss": 1}


async def test_head_that_waited_for_what_is_not_shareable_asks_with_head(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="private")
    world.origin.on("HEAD /a").reply(200, b"B", cache_control="private")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiter = world.client().send("HEAD /a")
    await world.until(lambda: world.seats == 2)
    answer.release()
    await leader.expect(200, b"A")
    await waiter.expect(200, b"", content_length="1")
    assert world.origin.asked("HEAD /a") == 1


CONDITIONS = [
    pytest.param({"if_none_match": '"1"'}, 304, id="etag-matches"),
    pytest.param({"if_none_match": '"0", W/"1"'}, 304, id="weak-etag-in-a-list"),
    pytest.param({"if_none_match": "*"}, 304, id="star"),
    pytest.param({"if_none_match": '"2"'}, 200, id="another-etag"),
    pytest.param({"if_none_match": '"2"', "if_modified_since": AFTER}, 200, id="etag-before-date"),
    pytest.param({"if_modified_since": MODIFIED}, 304, id="not-modified-since"),
    pytest.param({"if_modified_since": AFTER}, 304, id="later-date"),
    pytest.param({"if_modified_since": BEFORE}, 200, id="modified-since"),
    pytest.param({"if_modified_since": "yesterday"}, 200, id="no-date"),
]


@pytest.mark.parametrize(("condition", "status"), CONDITIONS)
async def test_a_condition_is_answered_from_the_entry(
    world: World, condition: dict[str, str], status: int
) -> None:
    world.origin.on("GET /a").reply(200, b"A", content_type="text/plain", **FIELDS)
    await world.client().send("GET /a").expect(200)
    response = await world.client().send("GET /a", **condition).expect(status, b"" if status == 304 else b"A")
    assert response.field("etag") == '"1"'
    assert response.cache_status["hit"] is True
    if status == 304:
        assert response.field("content-type") is None
        assert response.field("content-length") is None
        assert response.field("cache-control") == "max-age=60"
    assert world.origin.asked() == 1


@pytest.mark.parametrize(("condition", "status"), CONDITIONS)
async def test_a_condition_is_answered_from_a_flight(
    world: World, condition: dict[str, str], status: int
) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", **FIELDS)
    leader = world.client().send("GET /a", **condition)
    await world.until(lambda: answer.held == 1)
    waiters = [world.client().send("GET /a", **condition), world.client().send("GET /a")]
    await world.until(lambda: world.seats == 3)
    answer.release()
    for client in (leader, waiters[0]):
        await client.expect(status, b"" if status == 304 else b"A")
    await waiters[1].expect(200, b"A")
    assert world.origin.asked() == 1


async def test_a_condition_of_a_request_that_is_passed_goes_to_the_origin(world: World) -> None:
    world.origin.on("GET /a", if_none_match='"1"', if_match='"2"').reply(304, etag='"1"')
    await (
        world.client()
        .send("GET /a", authorization="me", if_none_match='"1"', if_match='"2"')
        .expect(304, etag='"1"')
    )


async def test_conditions_of_writes_are_the_origins(world: World) -> None:
    world.origin.on("PUT /a", if_match='"1"').reply(412)
    await world.client().send("PUT /a", b"x", if_match='"1"').expect(412)


async def test_an_error_is_never_turned_into_a_304(world: World) -> None:
    world.origin.on("GET /a").reply(404, b"no", cache_control="max-age=60", etag='"1"')
    for _ in range(2):
        await world.client().send("GET /a", if_none_match='"1"').expect(404, b"no")
    assert world.origin.asked() == 1


async def test_a_304_of_head_is_answered_from_the_entry(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", **FIELDS)
    await world.client().send("GET /a").expect(200)
    await world.client().send("HEAD /a", if_none_match='"1"').expect(304, b"")


async def test_a_waiter_with_a_condition_that_is_released_asks_with_its_condition(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="private", etag='"1"')
    world.origin.on("GET /a", if_none_match='"1"').reply(304, etag='"1"')
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiter = world.client().send("GET /a", if_none_match='"1"')
    await world.until(lambda: world.seats == 2)
    answer.release()
    await leader.expect(200, b"A")
    await waiter.expect(304, b"", etag='"1"')
    assert world.origin.asked() == 2


async def test_a_leader_with_a_condition_gets_its_304_also_of_what_is_private(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="private", etag='"1"')
    await world.client().send("GET /a", if_none_match='"1"').expect(304, b"", etag='"1"')
    assert world.origin.requests()[0].field("if-none-match") is None


async def test_head_that_waited_for_a_failing_origin_is_told_without_a_body(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(500, b"no")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiter = world.client().send("HEAD /a")
    await world.until(lambda: world.seats == 2)
    answer.release()
    await leader.expect(500, b"no")
    await waiter.expect(503, b"")
    await waiter.send("HEAD /b", cache_control="only-if-cached").expect(504, b"")


async def test_a_head_answer_with_a_body_is_not_believed_further(world: World) -> None:
    world.origin.on("HEAD /a").raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")
    world.origin.on("HEAD /b").raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
    client = world.client()
    await client.send("HEAD /a").expect(200, b"", content_length="4")
    await client.send("HEAD /b").expect(200, b"", content_length="4")
    assert world.origin.connections == 2
