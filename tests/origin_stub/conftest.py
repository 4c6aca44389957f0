"""A stub and a client session for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

import origin_stub


class MovableClock:
    """Unix seconds that a test sets."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(1_000_000.0)


@pytest.fixture
async def stub(clock: MovableClock) -> AsyncIterator[origin_stub.Stub]:
    async with origin_stub.running(now=clock, segment_bytes=1000) as running:
        yield running


@pytest.fixture
async def session(stub: origin_stub.Stub) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(stub.url) as opened:
        yield opened
