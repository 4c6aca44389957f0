"""How long and how many: deadlines of waiters, and the bound on them."""

from __future__ import annotations

import pytest

from tests.scenario import World

WAIT_S = 0.02


@pytest.fixture
def impatient(world: World) -> World:
    world.configure(route={"coalesce": {"wait_timeout_s": WAIT_S}})
    return world


async def test_a_waiter_whose_deadline_passed_is_answered_504_and_the_leader_waits_on(
    impatient: World,
) -> None:
    world = impatient
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 4)
    world.clock.advance(WAIT_S)
    await waiters.expect(504)
    await leader.quiet()
    answer.release()
    await leader.expect(200, b"A")
    assert world.outcomes() == {"miss": 1, "failed": 3}


async def test_a_deadline_does_not_pass_before_its_time(impatient: World) -> None:
    world = impatient
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 3 and answer.held == 1)
    world.clock.advance(WAIT_S / 2)
    late = world.client().send("GET /a")
    await world.until(lambda: world.seats == 4)
    world.clock.advance(WAIT_S * 0.6)
    await world.until(lambda: world.seats == 2)
    await late.quiet()
    answer.release()
    await late.expect(200, b"A")
    statuses = sorted(response.status for response in await clients.responses())
    assert statuses == [200, 504, 504]


async def test_a_stale_copy_is_served_at_the_deadline_where_it_is_allowed(impatient: World) -> None:
    world = impatient
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(61)
    answer = world.origin.on("GET /a").hold().reply(200, b"new", cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 4)
    world.clock.advance(WAIT_S)
    await waiters.expect(200, b"old")
    answer.release()
    await leader.expect(200, b"new")


async def test_no_stale_copy_is_served_at_the_deadline_after_a_purge(impatient: World) -> None:
    world = impatient
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    world.purge()
    answer = world.origin.on("GET /a").hold().reply(200, b"new", cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiter = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    world.clock.advance(WAIT_S)
    await waiter.expect(504)
    answer.release()
    await leader.expect(200, b"new")


async def test_a_route_may_let_timed_out_waiters_ask_for_themselves_at_a_pace(world: World) -> None:
    world.configure(
        route={
            "coalesce": {"wait_timeout_s": WAIT_S, "on_wait_timeout": "fetch", "release_rate": 200},
        }
    )
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(4).send("GET /a")
    await world.until(lambda: world.seats == 5)
    world.clock.advance(WAIT_S)
    await world.until(lambda: answer.held >= 2)
    assert answer.held < 5, "they came all at once"
    await world.until(lambda: answer.held == 5)
    answer.release()
    await waiters.expect(200, b"A")
    await leader.expect(200, b"A")


async def test_one_waiter_too_many_is_refused_and_the_others_are_served(world: World) -> None:
    world.configure(route={"coalesce": {"max_waiters": 3, "retry_after_s": 7}})
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(4).send("GET /a")
    await world.until(lambda: world.seats == 4)
    await world.client().send("GET /a").expect(503, retry_after="7")
    answer.release()
    await clients.expect(200, b"A")
    assert world.outcomes() == {"miss": 1, "collapsed": 3, "refused": 1}


async def test_one_waiter_too_many_gets_the_stale_copy_where_allowed(world: World) -> None:
    world.configure(route={"coalesce": {"max_waiters": 1}})
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(61)
    answer = world.origin.on("GET /a").hold().reply(200, b"new", cache_control="max-age=60")
    clients = world.clients(2).send("GET /a")
    await world.until(lambda: world.seats == 2)
    await world.client().send("GET /a").expect(200, b"old")
    answer.release()
    await clients.expect(200, b"new")


async def test_a_waiter_that_regrouped_keeps_its_own_deadline(world: World) -> None:
    world.configure(route={"coalesce": {"wait_timeout_s": 30}})
    answer = world.origin.on("GET /a").hold().reply(400, b"you")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    early = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    world.clock.advance(29.99)
    world.purge()
    good = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    late = world.clients(2).send("GET /a")
    await world.until(lambda: world.seats == 4 and good.held == 1)
    answer.release()  # the early waiter goes over to the younger flight
    await leader.expect(400)
    await world.until(lambda: world.seats == 3)
    world.clock.advance(0.01)
    await early.expect(504)
    good.release()
    await late.expect(200, b"A")


async def test_an_origin_with_a_full_queue_refuses_with_503(world: World) -> None:
    world.configure(origin={"max_concurrency": 1, "max_queue": 0})
    held = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    first = world.client().send("GET /a")
    await world.until(lambda: held.held == 1)
    await world.client().send("GET /b").expect(503, retry_after="2")
    held.release()
    await first.expect(200, b"A")
