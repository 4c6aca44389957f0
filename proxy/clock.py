"""The clock port: time is an argument of everything that decides, so that tests can move it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: wall time for dates on the wire, monotonic time for ages and durations.

    Ages count on the monotonic clock, so that a step of the system clock makes nothing fresh or stale.
    """

    def now(self) -> float:
        """Wall clock, Unix seconds."""

    def mono(self) -> float:
        """Monotonic seconds; only differences mean something."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    # The functions themselves: an exchange reads its clocks some twenty times.
    now = staticmethod(time.time)
    mono = staticmethod(time.monotonic)
