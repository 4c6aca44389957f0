"""Settling: whoever waits is told, and whoever is gone is not."""

from __future__ import annotations

import asyncio

import pytest

from proxy.writes.embedded.jobs import Job


async def test_who_waits_gets_the_value_or_the_error() -> None:
    loop = asyncio.get_running_loop()
    good, bad = Job(), Job()
    futures = [job.waits(loop) for job in (good, bad)]
    good.value, bad.error = 7, ValueError("x")
    good.settle()
    bad.settle()
    assert await futures[0] == 7
    with pytest.raises(ValueError, match="x"):
        await futures[1]


async def test_what_follows_happens_though_nobody_waits_any_more() -> None:
    told: list[Exception | None] = []
    job = Job(told.append)
    job.waits(asyncio.get_running_loop()).cancel()
    job.settle()
    assert told == [None]
