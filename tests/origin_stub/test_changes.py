from __future__ import annotations

import asyncio

import pytest

from origin_stub.changes import Changes


async def test_a_waiter_goes_on_when_its_condition_holds() -> None:
    changes = Changes()
    seen: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(changes.wait_until(lambda: len(seen) == 2))
        for number in range(2):
            await asyncio.sleep(0)
            assert not waiting.done()
            seen.append(number)
            changes.notify()


async def test_waiting_ends_at_its_deadline() -> None:
    with pytest.raises(TimeoutError):
        await Changes().wait_until(lambda: False, timeout_s=0.001)
