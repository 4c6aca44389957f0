from __future__ import annotations

import asyncio

import pytest

from proxy.coalesce.pacing import Pacer
from tests.simulation.virtual_time import VirtualClock, run_virtually


def _turns_of(
    per_s: float, count: int, *, cancelled: tuple[int, ...] = (), pause_s: float = 0.0
) -> list[float]:
    """When each of `count` callers had its turn, in seconds from the first asking."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        pacer = Pacer(per_s=per_s, clock=VirtualClock(loop))
        began, turns = loop.time(), []

        async def caller() -> None:
            await pacer.wait_turn()
            turns.append(loop.time() - began)

        tasks = [loop.create_task(caller()) for _ in range(count)]
        await asyncio.sleep(0)
        for number in cancelled:
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if pause_s:
            await asyncio.sleep(pause_s)
            await caller()
        return turns

    return run_virtually(main())


def test_callers_have_their_turns_at_a_steady_rate_in_the_order_of_asking() -> None:
    assert _turns_of(10.0, 5) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=1e-3)


def test_a_rate_of_zero_makes_nobody_wait() -> None:
    assert _turns_of(0.0, 100) == pytest.approx([0.0] * 100, abs=1e-3)


def test_a_caller_that_goes_gives_its_turn_to_nobody() -> None:
    assert _turns_of(10.0, 4, cancelled=(1,)) == pytest.approx([0.0, 0.2, 0.3], abs=1e-3)


def test_a_pause_saves_no_turns_up() -> None:
    assert _turns_of(10.0, 2, pause_s=5.0)[-1] == pytest.approx(5.1, abs=1e-2)
