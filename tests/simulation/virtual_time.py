"""An event loop in which time passes only when nobody has anything to do.

Its selector never blocks: asked to wait, it moves the clock to the next timer instead. Asked to wait for
ever, it raises `Deadlock`: somebody waits for what nobody will do. So a schedule of minutes takes
milliseconds, and a lost waiter is an error at once, not a time-out.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

TICK_S = 1e-6
"""Each turn of the loop takes this long, so that what happened in different turns has different times, as
on a real clock."""

START_S = 1_000.0
WALL_AT_START_S = 1_800_000_000.0


class Deadlock(AssertionError):
    """Every task waits, and no timer will wake any."""


class _NeverBlocks(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("every task waits, and no timer is set")
        self.now_s += max(timeout, TICK_S)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop over a selector that never blocks."""

    def __init__(self) -> None:
        self._virtual = _NeverBlocks()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


class VirtualClock:
    """`proxy.clock.Clock` over the loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return WALL_AT_START_S + self._loop.time() - START_S

    def mono(self) -> float:
        return self._loop.time()


def run_virtually(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop of its own. Raises: Deadlock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
