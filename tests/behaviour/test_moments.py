"""What happens at the very moment an answer arrives: each test sweeps over turns of the loop."""

from __future__ import annotations

import pytest

from tests.scenario import World

MOMENTS = range(14)


@pytest.mark.parametrize("turns", MOMENTS)
async def test_who_asks_while_the_answer_arrives_asks_the_origin_nothing(world: World, turns: int) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    first = world.clients(2).send("GET /a")
    late = world.client()
    await late.wire()
    await world.until(lambda: world.seats == 2 and answer.held == 1)
    answer.release()
    await world.turns(turns)
    late.send("GET /a")
    await late.expect(200, b"A")
    await first.expect(200, b"A")
    assert world.origin.asked() == 1


@pytest.mark.parametrize("turns", MOMENTS)
async def test_a_purge_while_the_answer_arrives_leaves_nothing_old(world: World, turns: int) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"old", cache_control="max-age=60")
    before = world.clients(2).send("GET /a")
    after = world.client()
    await after.wire()
    await world.until(lambda: world.seats == 2 and answer.held == 1)
    answer.release()
    await world.turns(turns)
    world.purge()
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    await after.send("GET /a").expect(200, b"new")
    await before.expect(200, b"old")
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.asked() == 2


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("turns", MOMENTS)
async def test_a_leader_that_leaves_while_the_answer_arrives_harms_nobody(
    world: World, turns: int, reset: bool
) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A" * 50_000, cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 4)
    answer.release()
    await world.turns(turns)
    leader.leave(reset=reset)
    await waiters.expect(200, b"A" * 50_000)
    await world.client().send("GET /a").expect(200, b"A" * 50_000)
    assert world.origin.asked() == 1


@pytest.mark.parametrize("turns", MOMENTS)
async def test_a_deadline_that_passes_while_the_answer_arrives_gives_one_answer(
    world: World, turns: int
) -> None:
    world.configure(route={"coalesce": {"wait_timeout_s": 0.001}})
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 4)
    answer.release()
    await world.turns(turns)
    world.clock.advance(0.001)
    await leader.expect(200, b"A")
    for response in await waiters.responses():
        assert (response.status, response.body) == (200, b"A") or response.status == 504


@pytest.mark.parametrize("turns", MOMENTS)
async def test_waiters_that_are_released_while_others_come_all_get_their_own(
    world: World, turns: int
) -> None:
    rule = world.origin.on("GET /a").hold()
    rule.answer(lambda asked: asked.reply(200, asked.fields.get(b"x-me") or b"", cache_control="private"))
    first = [world.client().send("GET /a", x_me=str(number)) for number in range(3)]
    late = world.client()
    await late.wire()
    await world.until(lambda: world.seats == 3 and rule.held == 1)
    rule.release()
    await world.turns(turns)
    late.send("GET /a", x_me="late")
    for number, client in enumerate(first):
        await client.expect(200, b"%d" % number)
    await late.expect(200, b"late")
    assert world.origin.asked() == 4


@pytest.mark.parametrize("turns", MOMENTS)
async def test_an_origin_that_is_cut_at_any_moment_gives_nobody_half_an_answer(
    world: World, turns: int
) -> None:
    asking = world.origin.on("GET /a").by_hand()
    clients = world.clients(3).send("GET /a")
    late = world.client()
    await late.wire()
    asked = await asking.next()
    await world.until(lambda: world.seats == 3)
    asked.head(200, length=10, cache_control="max-age=60")
    asked.data(b"01234")
    asked.cut()
    world.origin.on("GET /a").reply(200, b"whole", cache_control="max-age=60")
    await world.turns(turns)
    late.send("GET /a")
    await clients.expect_cut()
    got = await late.response_or_cut()
    assert got == b"01234" if isinstance(got, bytes) else (got.status, got.body) == (200, b"whole")


@pytest.mark.parametrize("turns", MOMENTS)
async def test_a_soft_purge_while_a_304_arrives_leaves_nothing_fresh_from_before(
    world: World, turns: int
) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(61)
    answer = world.origin.on("GET /a").hold().reply(304, etag='"1"', cache_control="max-age=60")
    before = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    answer.release()
    await world.turns(turns)
    world.purge(soft=True)
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60", etag='"2"')
    await world.client().send("GET /a").expect(200, b"new")
    await before.expect(200, b"old")
