from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from proxy import tasks
from proxy.tasks import spawn
from tests.origin.waiting import turns


async def test_a_task_that_nobody_holds_runs_to_its_end() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    spawn(work(), name="work")
    gc.collect()
    await turns()
    assert done.is_set()
    assert not tasks._running


async def test_what_a_task_died_of_is_logged_under_its_name(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("too small")

    with caplog.at_level(logging.ERROR, "proxy.tasks"):
        spawn(fail(), name="measure")
        await turns()
    assert "task=measure" in caplog.text
    assert "too small" in caplog.text
    assert not tasks._running


async def test_a_cancelled_task_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    spawn(asyncio.sleep(50), name="sleep").cancel()
    await turns()
    assert caplog.text == ""
    assert not tasks._running
