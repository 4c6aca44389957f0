"""Authorization and Cookie: who may share with whom."""

from __future__ import annotations

import pytest

from tests.scenario import World

GUESSED = {"date": "Fri, 15 Jan 2027 08:00:00 GMT", "last_modified": "Fri, 15 Jan 2027 07:00:00 GMT"}


async def test_requests_with_authorization_wait_for_nobody(world: World) -> None:
    rule = world.origin.on("GET /a").hold()
    rule.answer(
        lambda asked: asked.reply(
            200, (asked.field("authorization") or "").encode(), cache_control="max-age=60"
        )
    )
    clients = [world.client().send("GET /a", authorization=f"Bearer {number}") for number in range(5)]
    await world.until(lambda: rule.held == 5)
    rule.release()
    for number, client in enumerate(clients):
        await client.expect(200, b"Bearer %d" % number)
    assert world.entries == 0
    assert world.outcomes() == {"passed": 5}


async def test_a_request_with_authorization_does_not_join_the_flight_of_one_without(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    plain = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    known = world.client().send("GET /a", authorization="Bearer x")
    await world.until(lambda: answer.held == 2)
    answer.release()
    await plain.expect(200, b"A")
    await known.expect(200, b"A")


async def test_what_is_stored_is_not_for_authorization_unless_it_says_so(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"A")
    world.origin.on("GET /a").reply(200, b"mine", cache_control="private")
    await world.client().send("GET /a", authorization="Bearer x").expect(200, b"mine")
    await world.client().send("GET /a").expect(200, b"A")


@pytest.mark.parametrize("allowing", ["public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"])
async def test_what_allows_it_is_shared_with_authorization(world: World, allowing: str) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control=allowing)
    await world.client().send("GET /a", authorization="Bearer 1").expect(200, b"A")
    await world.client().send("GET /a", authorization="Bearer 2").expect(200, b"A")
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"passed": 1, "hit": 2}


async def test_a_flight_whose_stored_answer_allows_it_is_joined_with_authorization(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="public, max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200, b"A")
    world.clock.advance(61)
    answer = world.origin.on("GET /a").hold().reply(304, cache_control="public, max-age=60", etag='"1"')
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(3).send("GET /a", authorization="Bearer x")
    await world.until(lambda: world.seats == 4)
    answer.release()
    await leader.expect(200, b"A")
    await waiters.expect(200, b"A")
    assert world.origin.asked() == 2


async def test_the_authorization_of_a_passed_request_reaches_the_origin(world: World) -> None:
    world.origin.on("GET /a", authorization="Bearer x").reply(401, b"no", www_authenticate="Basic")
    await world.client().send("GET /a", authorization="Bearer x").expect(401, www_authenticate="Basic")


async def test_cookies_are_forwarded_and_share_explicitly_fresh_answers(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = [world.client().send("GET /a", cookie=f"id={number}") for number in range(5)]
    await world.until(lambda: world.seats == 5 and answer.held == 1)
    answer.release()
    for client in clients:
        await client.expect(200, b"A")
    assert world.origin.asked() == 1
    assert world.origin.requests()[0].field("cookie") is not None


async def test_an_answer_that_is_fresh_by_guess_only_is_not_shared_with_cookies(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", **GUESSED)
    await world.client().send("GET /a").expect(200, b"A")
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 1
    await world.client().send("GET /a", cookie="id=1").expect(200, b"A")
    await world.client().send("GET /a", cookie="id=2").expect(200, b"A")
    assert world.origin.asked() == 3


async def test_a_cookie_beside_a_guessed_lifetime_ends_no_coalescing_for_others(world: World) -> None:
    rule = world.origin.on("GET /a").hold().reply(200, b"A", **GUESSED)
    first = world.client().send("GET /a", cookie="id=1")
    await world.until(lambda: rule.held == 1)
    rule.release(1)
    await first.expect(200, b"A")
    clients = world.clients(10).send("GET /a")
    await world.until(lambda: world.seats == 10 and rule.held == 1)
    rule.release()
    await clients.expect(200, b"A")
    assert world.origin.asked() == 2


async def test_a_herd_led_by_one_with_a_cookie_forms_anew_without_it(world: World) -> None:
    rule = world.origin.on("GET /a").hold().reply(200, b"A", **GUESSED)
    leader = world.client().send("GET /a", cookie="id=1")
    await world.until(lambda: rule.held == 1)
    with_cookies = [world.client().send("GET /a", cookie=f"id={number}") for number in range(2, 5)]
    without = world.clients(10).send("GET /a")
    await world.until(lambda: world.seats == 14)
    rule.release(1)
    await leader.expect(200, b"A")
    await world.until(lambda: rule.held == 4, "those with cookies, and one of the others")
    rule.release()
    await without.expect(200, b"A")
    for client in with_cookies:
        await client.expect(200, b"A")
    assert world.origin.asked() == 5
    assert world.entries == 1


async def test_those_with_cookies_do_not_wait_twice_to_learn_that_a_lifetime_is_guessed(world: World) -> None:
    rule = world.origin.on("GET /a").hold().reply(200, b"A", **GUESSED)
    first = world.client().send("GET /a", cookie="id=1")
    await world.until(lambda: rule.held == 1)
    rule.release(1)
    await first.expect(200, b"A")
    others = [world.client().send("GET /a", cookie=f"id={number}") for number in range(2, 7)]
    await world.until(lambda: rule.held == 5, "all at the origin at once")
    rule.release()
    for client in others:
        await client.expect(200, b"A")


async def test_who_comes_in_the_middle_of_a_fill_is_judged_like_who_waited(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(
        200, length=2, date="Fri, 15 Jan 2027 08:00:00 GMT", last_modified="Fri, 15 Jan 2027 07:00:00 GMT"
    )
    asked.data(b"A")
    await leader.head()
    plain = world.client().send("GET /a")
    await plain.head()
    world.origin.on("GET /a", cookie="id=1").reply(200, b"own")
    await world.client().send("GET /a", cookie="id=1").expect(200, b"own")
    world.origin.on("GET /a", authorization="me").reply(200, b"mine")
    await world.client().send("GET /a", authorization="me").expect(200, b"mine")
    asked.data(b"B")
    asked.finish()
    for client in (leader, plain):
        assert await client.body_octets(2) == b"AB"


async def test_a_route_may_strip_cookies(world: World) -> None:
    world.configure(route={"cookies": "strip"})
    world.origin.on("GET /a").reply(
        200, b"A", date="Fri, 15 Jan 2027 08:00:00 GMT", last_modified="Fri, 15 Jan 2027 07:00:00 GMT"
    )
    for number in range(3):
        await world.client().send("GET /a", cookie=f"id={number}").expect(200, b"A")
    (asked,) = world.origin.requests()
    assert asked.field("cookie") is None


async def test_a_route_may_take_cookies_into_the_key(world: World) -> None:
    world.configure(route={"cookies": "key"})
    rule = world.origin.on("GET /a")
    rule.answer(lambda asked: asked.reply(200, asked.field("cookie").encode(), cache_control="max-age=60"))
    for _ in range(2):
        for number in range(3):
            await world.client().send("GET /a", cookie=f"id={number}").expect(200, b"id=%d" % number)
    assert world.origin.asked() == 3


async def test_a_route_may_pass_requests_with_cookies_through(world: World) -> None:
    world.configure(route={"cookies": "bypass"})
    rule = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(3).send("GET /a", cookie="id=1")
    await world.until(lambda: rule.held == 3)
    rule.release()
    for response in await clients.expect(200, b"A"):
        assert response.cache_status["fwd"] == "bypass"
    assert world.entries == 0


async def test_set_cookie_reaches_its_own_client_only(world: World) -> None:
    rule = world.origin.on("GET /a").hold()
    rule.answer(
        lambda asked: asked.reply(
            200, b"A", cache_control="public, max-age=60", set_cookie=f"id={asked.field('x-me')}"
        )
    )
    clients = [world.client().send("GET /a", x_me=str(number)) for number in range(5)]
    await world.until(lambda: world.seats == 5 and rule.held == 1)
    rule.release()
    for number, client in enumerate(clients):
        await client.expect(200, b"A", set_cookie=f"id={number}")


async def test_a_route_may_strip_set_cookie_and_share(world: World) -> None:
    world.configure(route={"set_cookie": "strip"})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60", set_cookie="id=1")
    for _ in range(3):
        await world.client().send("GET /a").expect(200, b"A", set_cookie=None)
    assert world.origin.asked() == 1


async def test_a_route_may_ignore_set_cookie_and_share_it(world: World) -> None:
    world.configure(route={"set_cookie": "ignore"})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60", set_cookie="lang=de")
    for _ in range(3):
        await world.client().send("GET /a").expect(200, b"A", set_cookie="lang=de")
    assert world.origin.asked() == 1


@pytest.mark.parametrize("body", [{"body": b"x"}, {"chunks": [b"x"]}], ids=["length", "chunked"])
async def test_a_get_with_a_body_neither_leads_nor_joins_nor_hits(
    world: World, body: dict[str, object]
) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"A")
    rule = world.origin.on("GET /a").hold()
    rule.answer(lambda asked: asked.reply(200, asked.body, cache_control="max-age=60"))
    clients = world.clients(2).send("GET /a", **body)
    await world.until(lambda: rule.held == 2)
    rule.release()
    await clients.expect(200, b"x")
    await world.client().send("GET /a").expect(200, b"A")


async def test_a_get_with_an_empty_body_is_an_ordinary_one(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"A")
    await world.client().send("GET /a", b"").expect(200, b"A")
    assert world.origin.asked() == 1


@pytest.mark.parametrize("field", ["no-store", "no-store, max-age=5"])
async def test_a_request_with_no_store_leads_nobody(world: World, field: str) -> None:
    rule = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(2).send("GET /a", cache_control=field)
    await world.until(lambda: rule.held == 2)
    rule.release()
    await clients.expect(200, b"A")
    assert world.entries == 0
