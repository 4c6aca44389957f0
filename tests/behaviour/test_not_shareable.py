"""Answers that are not for sharing: everybody asks for themselves, at once and in parallel."""

from __future__ import annotations

import pytest

from tests.scenario import World

NOT_SHAREABLE = [
    pytest.param({"cache_control": "private, max-age=60"}, id="private"),
    pytest.param({"cache_control": "no-store"}, id="no-store"),
    pytest.param({"cache_control": "max-age=60", "set_cookie": "a=b"}, id="set-cookie"),
    pytest.param({"cache_control": "max-age=60", "vary": "*"}, id="vary-star"),
    pytest.param({}, id="unmarked"),
    pytest.param({"cache_control": "max-age=0"}, id="lifetime-zero-without-public"),
    pytest.param({"cache_control": "no-cache, max-age=60"}, id="no-cache"),
    pytest.param({"cache_control": 'max-age=60, private="x'}, id="malformed"),
    pytest.param({"cache_control": "max-age=60", "content_type": "text/event-stream"}, id="event-stream"),
]


@pytest.mark.parametrize("fields", NOT_SHAREABLE)
async def test_waiters_are_released_together_and_get_each_their_own(
    world: World, fields: dict[str, str]
) -> None:
    rule = world.origin.on("GET /a").hold()
    rule.answer(lambda asked: asked.reply(200, (asked.field("x-me") or "").encode(), **fields))
    clients = [world.client().send("GET /a", x_me=str(number)) for number in range(12)]
    await world.until(lambda: world.seats == 12 and rule.held == 1)
    assert world.origin.asked() == 1
    rule.release(1)
    await world.until(lambda: rule.held == 11, "all waiters at the origin at once")
    rule.release()
    for number, client in enumerate(clients):
        response = await client.expect(200, b"%d" % number)
        if number and "set_cookie" in fields:
            assert response.field("set-cookie") == "a=b"
    assert world.origin.asked() == 12
    assert world.entries == 0
    assert world.outcomes() == {"miss": 1, "released": 11}


async def test_released_waiters_keep_to_the_concurrency_of_the_origin(world: World) -> None:
    world.configure(origin={"max_concurrency": 4})
    rule = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="private")
    clients = world.clients(13).send("GET /a")
    await world.until(lambda: world.seats == 13 and rule.held == 1)
    rule.release(1)
    for _ in range(3):
        await world.until(lambda: rule.held == 4)
        await world.turns()
        assert rule.held == 4
        rule.release(4)
    await clients.expect(200, b"A")
    assert world.origin.peak("GET /a") == 4


async def test_a_release_rate_paces_them(world: World) -> None:
    world.configure(route={"coalesce": {"release_rate": 1000}})
    rule = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="private")
    clients = world.clients(20).send("GET /a")
    await world.until(lambda: world.seats == 20)
    rule.release()
    await clients.expect(200, b"A")
    assert world.origin.asked() == 20


async def test_a_key_that_was_not_for_sharing_is_not_waited_for(world: World) -> None:
    rule = world.origin.on("GET /a").reply(200, b"A", cache_control="private")
    await world.client().send("GET /a").expect(200)
    rule.hold()
    clients = world.clients(5).send("GET /a")
    await world.until(lambda: rule.held == 5)
    rule.release()
    for response in await clients.expect(200, b"A"):
        assert "collapsed" not in response.cache_status
    assert world.outcomes() == {"miss": 1, "passed": 5}


async def test_the_mark_expires(world: World) -> None:
    rule = world.origin.on("GET /a").reply(200, b"A", cache_control="private")
    await world.client().send("GET /a").expect(200)
    world.clock.advance(11)
    rule.hold()
    clients = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 5 and rule.held == 1)
    await world.turns()
    assert world.origin.asked() == 2
    rule.release()
    await clients.expect(200, b"A")


async def test_a_shareable_answer_clears_the_mark_and_is_stored(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="private")
    await world.client().send("GET /a").expect(200)
    world.origin.on("GET /a").reply(200, b"B", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"B")
    await world.client().send("GET /a").expect(200, b"B")
    assert world.origin.asked() == 2
    world.purge()
    answer = world.origin.on("GET /a").hold().reply(200, b"C", cache_control="max-age=60")
    clients = world.clients(4).send("GET /a")
    await world.until(lambda: world.seats == 4)
    answer.release()
    await clients.expect(200, b"C")
    assert world.origin.asked() == 3


async def test_errors_and_answers_to_authorization_do_not_mark(world: World) -> None:
    world.origin.on("GET /a").reply(404, b"no")
    await world.client().send("GET /a").expect(404)
    world.origin.on("GET /a", authorization="me").reply(200, b"mine", cache_control="private")
    await world.client().send("GET /a", authorization="me").expect(200, b"mine")
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(4).send("GET /a")
    await world.until(lambda: world.seats == 4)
    answer.release()
    await clients.expect(200, b"A")


async def test_lifetime_zero_and_public_is_for_those_who_waited_and_nobody_later(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="public, max-age=0")
    clients = world.clients(6).send("GET /a")
    await world.until(lambda: world.seats == 6)
    answer.release()
    await clients.expect(200, b"A")
    assert world.origin.asked() == 1
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 2
    assert world.outcomes() == {"miss": 2, "collapsed": 5}


@pytest.mark.parametrize(
    "more", ["must-revalidate", "proxy-revalidate", "no-cache", "no-store", "private", "s-maxage=0"]
)
async def test_lifetime_zero_with_a_directive_that_forbids_is_for_the_leader_alone(
    world: World, more: str
) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control=f"public, max-age=0, {more}")
    clients = world.clients(4).send("GET /a")
    await world.until(lambda: world.seats == 4)
    answer.release()
    await clients.expect(200, b"A")
    assert world.origin.asked() == 4


async def test_lifetime_zero_is_not_given_to_a_waiter_with_cookie(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="public, max-age=0")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    others = [world.client().send("GET /a"), world.client().send("GET /a", cookie="a=b")]
    await world.until(lambda: world.seats == 3)
    answer.release()
    for client in (leader, *others):
        await client.expect(200, b"A")
    assert world.origin.asked() == 2


async def test_a_body_that_ends_with_its_connection_is_passed_on_alike_and_not_stored(world: World) -> None:
    head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nsome"
    world.origin.on("GET /a").raw(head, then="cut")
    client = world.client().send("GET /a")
    response = await client.expect(200, b"some", transfer_encoding=None, content_length=None)
    assert response.field("connection") == "close"
    await client.closed()
    assert world.entries == 0


async def test_what_answers_a_range_is_not_stored_where_the_origin_was_sent_that_range(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"mine", cache_control="private")
    await world.client().send("GET /a").expect(200, b"mine")
    world.origin.on("GET /a", range="bytes=0-1").reply(200, b"whole", cache_control="max-age=60")
    await world.client().send("GET /a", range="bytes=0-1").expect(206, b"wh")
    assert world.entries == 0
    await world.client().send("GET /a").expect(200, b"mine")
