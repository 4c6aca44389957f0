"""Waiting for conditions instead of sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 5.0
"""Far above what anything here takes: only a test that fails waits this long."""


async def soon(awaitable: Awaitable[T]) -> T:
    """What the awaitable gives; fails where it takes longer than any test should."""
    async with asyncio.timeout(DEADLINE_S):
        return await awaitable


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the conditions of these tests have no event
            await asyncio.sleep(0)


async def turns(count: int = 20) -> None:
    """Let the loop turn some times, for what must not happen."""
    for _ in range(count):
        await asyncio.sleep(0)


class Gate:
    """A barrier: who comes waits until it is opened; a test sees who has come."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.reached = 0

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._event.set()

    async def passed(self) -> None:
        """Wait until it is open."""
        self.reached += 1
        await self._event.wait()
