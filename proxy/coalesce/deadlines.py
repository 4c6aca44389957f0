"""The waiters' deadlines of one flight, behind one timer.

A herd is ten thousand deadlines that pass never, or nearly at once: one timer for the earliest is enough.
"""

from __future__ import annotations

import asyncio
import heapq

from proxy.clock import Clock
from proxy.coalesce.outcomes import TimedOut
from proxy.coalesce.seat import Seat


class Deadlines:
    """Settles seats as timed out when their time has come, unless they are settled before."""

    __slots__ = ("_alarm", "_clock", "_count", "_pending")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: list[tuple[float, int, Seat]] = []
        self._count = 0
        self._alarm: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Deadlines {len(self._pending)} pending>"

    def add(self, deadline_mono: float, seat: Seat) -> None:
        """The seat waits until then at the longest."""
        self._count += 1  # keeps seats of one deadline in order, and out of comparison
        heapq.heappush(self._pending, (deadline_mono, self._count, seat))
        if self._pending[0][2] is seat:
            self._set_alarm()

    def clear(self) -> None:
        """Nobody waits any more."""
        if self._pending or self._alarm is not None:
            self._pending.clear()
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._pending:
            delay_s = max(0.0, self._pending[0][0] - self._clock.mono())
            self._alarm = asyncio.get_running_loop().call_later(delay_s, self._passed)

    def _passed(self) -> None:
        self._alarm = None
        now_mono = self._clock.mono()
        while self._pending and self._pending[0][0] <= now_mono:
            seat = heapq.heappop(self._pending)[2]
            if not seat.settled:
                seat.settle(TimedOut())
        self._set_alarm()
