"""The concurrency limit: never exceeded, first in first out, nothing lost however waits end."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import OriginOverloaded
from proxy.origin.slots import Slot, Slots
from tests.origin.waiting import soon, turns


def slots_of(limit: int, *, max_queue: int = 100, queue_timeout_s: float = 5.0) -> Slots:
    return Slots("shop", limit=limit, max_queue=max_queue, queue_timeout_s=queue_timeout_s)


async def test_a_slot_is_given_back_once_however_often_it_is_released() -> None:
    slots = slots_of(2)
    first, second = await slots.take(), await slots.take()
    first.release()
    first.release()
    assert slots.in_use == 1
    second.release()
    assert slots.in_use == 0


async def test_nobody_overtakes_the_queue() -> None:
    slots = slots_of(1)
    held = await slots.take()
    waiting = asyncio.get_running_loop().create_task(slots.take())
    await turns(2)
    held.release()  # handed over, though the waiter has not run yet
    assert slots.take_now() is None
    (await soon(waiting)).release()
    assert slots.in_use == 0


async def test_a_slot_handed_to_a_waiter_that_is_cancelled_in_the_same_turn_goes_on() -> None:
    slots = slots_of(1)
    held = await slots.take()
    loop = asyncio.get_running_loop()
    gone, next_one = loop.create_task(slots.take()), loop.create_task(slots.take())
    await turns(2)
    held.release()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(gone)
    (await soon(next_one)).release()
    assert (slots.in_use, slots.queued) == (0, 0)


async def test_a_slot_that_comes_in_the_turn_of_the_time_out_is_not_lost() -> None:
    slots = slots_of(1, queue_timeout_s=0.0)
    held = await slots.take()
    waiting = asyncio.get_running_loop().create_task(slots.take())
    await turns(1)
    held.release()
    with contextlib.suppress(OriginOverloaded):
        (await soon(waiting)).release()
    assert (slots.in_use, slots.queued) == (0, 0)


@pytest.mark.parametrize("count", [2_000])
async def test_waiters_that_left_leave_nothing_in_the_queue(count: int) -> None:
    slots = slots_of(1, max_queue=count)
    held = await slots.take()
    tasks = [asyncio.get_running_loop().create_task(slots.take()) for _ in range(count)]
    await turns(2)
    assert slots.queued == count
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (slots.in_use, slots.queued) == (1, 0)
    held.release()


@settings(max_examples=80)
@given(
    limit=st.integers(1, 3),
    steps=st.lists(
        st.tuples(st.sampled_from(["take", "release", "cancel", "turn"]), st.integers(0, 9)), max_size=60
    ),
)
def test_slots_are_never_lost_and_never_exceeded(limit: int, steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        slots = slots_of(limit, max_queue=6)
        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[Slot]] = []
        for action, number in steps:
            if action == "take":
                tasks.append(loop.create_task(slots.take()))
            elif action == "turn" or not tasks:
                await asyncio.sleep(0)
            elif action == "cancel":
                tasks[number % len(tasks)].cancel()
            else:
                task = tasks[number % len(tasks)]
                if task.done() and not task.cancelled() and task.exception() is None:
                    task.result().release()
            assert slots.in_use <= limit
            assert slots.queued <= 6
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Slot):
                result.release()
        assert (slots.in_use, slots.queued) == (0, 0)

    asyncio.run(run())


async def test_everybody_can_be_sent_away() -> None:
    slots = slots_of(1)
    held = await slots.take()
    tasks = [asyncio.get_running_loop().create_task(slots.take()) for _ in range(3)]
    await turns(2)
    slots.refuse_all(OriginOverloaded("closed"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, OriginOverloaded) for result in results)
    held.release()
    assert (slots.in_use, slots.queued) == (0, 0)
