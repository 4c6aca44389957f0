"""The time limit of one attempt: who cancelled a task, and that nothing is left of it."""

from __future__ import annotations

import asyncio

import pytest

from proxy.tasks import spawn
from proxy.writes.limit import TaskLimit

LONG_S = 3600.0


async def _waits_under(limit: TaskLimit, seconds: float) -> str:
    limit.begin(seconds)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not limit.raises_now():
            raise
    finally:
        limit.stop()
    await asyncio.sleep(0)  # a cancellation that was left would come here
    return "passed"


async def test_a_limit_that_passed_is_told_apart_and_leaves_no_cancellation() -> None:
    task = spawn(_waits_under(TaskLimit(), 0.0), name="limited")
    assert await task == "passed"
    assert task.cancelling() == 0


async def test_somebody_elses_cancellation_is_not_its_word() -> None:
    task = spawn(_waits_under(TaskLimit(), LONG_S), name="limited")
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_where_both_come_the_task_is_cancelled() -> None:
    limit = TaskLimit()
    task = spawn(_waits_under(limit, LONG_S), name="limited")
    await asyncio.sleep(0)
    limit._deadline_mono = 0.0
    limit._due()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_lifted_limit_never_passes_and_a_later_one_does() -> None:
    limit, stages = TaskLimit(), []

    async def work() -> None:
        limit.begin(0.0)
        limit.lift()
        limit._due()
        stages.append("lifted")
        stages.append(await _waits_under(limit, 0.0))

    await spawn(work(), name="limited")
    assert stages == ["lifted", "passed"]


async def test_a_timer_that_comes_early_is_set_again() -> None:
    limit = TaskLimit()
    limit.begin(0.0)
    limit.begin(LONG_S)
    limit._due()
    assert "set" in repr(limit)
    limit.stop()
    assert "lifted" in repr(limit)


async def test_an_error_that_came_of_it_takes_its_cancellation_away() -> None:
    async def work() -> int:
        limit = TaskLimit()
        limit.begin(0.0)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            limit.stop()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert await spawn(work(), name="limited") == 0
