"""Clients that leave: nobody else notices, and nothing goes on that nobody needs."""

from __future__ import annotations

import pytest

from tests.scenario import World


@pytest.mark.parametrize("reset", [False, True])
async def test_the_leaders_client_is_killed_and_all_others_are_served(world: World, reset: bool) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(9).send("GET /a")
    await world.until(lambda: world.seats == 10)
    leader.leave(reset=reset)
    await world.until(lambda: world.seats == 9)
    answer.release()
    await waiters.expect(200, b"A")
    assert world.origin.asked() == 1
    assert world.entries == 1


async def test_the_leaders_client_is_killed_in_the_middle_of_the_body(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    waiters = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 4)
    asked.head(200, length=10, cache_control="max-age=60")
    asked.data(b"01234")
    await leader.head()
    leader.leave(reset=True)
    await world.until(lambda: world.seats == 3)
    asked.data(b"56789")
    asked.finish()
    await waiters.expect(200, b"0123456789")
    await world.client().send("GET /a").expect(200, b"0123456789")
    assert world.origin.asked() == 1


async def test_when_all_leave_before_the_head_the_fetch_is_cancelled(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    clients = world.clients(4).send("GET /a")
    asked = await asking.next()
    await world.until(lambda: world.seats == 4)
    clients.leave()
    await asked.given_up()
    await world.until(lambda: world.flights == 0)
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"A")


@pytest.mark.parametrize("turns", range(8))
async def test_who_comes_just_after_all_have_left_is_served(world: World, turns: int) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(2).send("GET /a")
    await world.until(lambda: world.seats == 2 and answer.held == 1)
    late = world.client()
    await late.wire()
    clients.leave()
    await world.turns(turns)
    late.send("GET /a")
    await world.until(lambda: world.seats == 1 and world.origin.in_progress("GET /a") == 1)
    answer.release()
    await late.expect(200, b"A")


async def test_an_abandoned_fill_with_little_to_come_goes_on_and_is_stored(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    clients = world.clients(3).send("GET /a")
    asked = await asking.next()
    await world.until(lambda: world.seats == 3)
    asked.head(200, length=10, cache_control="max-age=60")
    asked.data(b"01234")
    for client in clients:
        await client.head()
    clients.leave()
    await world.until(lambda: world.seats == 0)
    asked.data(b"56789")
    asked.finish()
    await world.until(lambda: world.entries == 1)
    await world.client().send("GET /a").expect(200, b"0123456789")
    assert world.origin.asked() == 1


@pytest.mark.parametrize(
    ("length", "cache_control"),
    [
        pytest.param(1001, "max-age=60", id="too-much-to-come"),
        pytest.param(None, "max-age=60", id="unknown-length"),
        pytest.param(10, "private", id="not-cacheable"),
    ],
)
async def test_an_abandoned_fill_that_is_not_worth_it_is_cancelled(
    world: World, length: int | None, cache_control: str
) -> None:
    world.configure(route={"coalesce": {"abandoned_fill_max_bytes": 999}})
    asking = world.origin.on("GET /a").by_hand()
    client = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(200, length=length, cache_control=cache_control)
    asked.data(b"x")
    await client.head()
    client.leave()
    await asked.given_up()
    await world.until(lambda: world.flights == 0)
    assert world.entries == 0


async def test_a_waiter_that_leaves_gives_its_seat_up(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 5 and answer.held == 1)
    for client in list(clients)[2:]:
        client.leave()
    await world.until(lambda: world.seats == 2)
    answer.release()
    for client in list(clients)[:2]:
        await client.expect(200, b"A")


async def test_a_client_that_leaves_a_download_ends_it_at_the_origin(world: World) -> None:
    asking = world.origin.on("POST /a").by_hand()
    client = world.client().send("POST /a", b"x")
    asked = await asking.next()
    await asked.read_body()
    asked.head(200)
    asked.data(b"begin")
    await client.head()
    client.leave(reset=True)
    await asked.given_up()


async def test_a_released_waiter_that_leaves_frees_its_slot(world: World) -> None:
    world.configure(origin={"max_concurrency": 1})
    rule = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="private")
    clients = world.clients(3)
    for count, client in enumerate(clients, start=1):  # one after the other: their order is known
        client.send("GET /a")
        await world.until(lambda: world.seats == count and rule.held == 1)  # noqa: B023 - awaited at once
    rule.release(1)
    await world.until(lambda: world.origin.asked() == 2 and rule.held == 1)
    await clients[0].expect(200, b"A")
    clients[1].leave()
    await world.until(lambda: world.origin.asked() == 3)
    rule.release()
    await clients[2].expect(200, b"A")
