"""When writes that wait expire: a moment's writes together, and one timer for all moments.

A timer for each of 100,000 writes that wait takes 300 octets a write, and nearly all of them are taken back
unused. Here a write is a reference in the set of its moment, an eighth of a second long; moments are few, and
the next one is found by a heap. A write is looked at when its moment is over: up to that much late, and it is
never started late, since whoever starts one looks at the clock.

Moments are wall clock, which may be put right: so the timer looks again after `LONGEST_LOOK_S` at the latest.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from typing import Final

from proxy.clock import Clock
from proxy.writes.job import Job

MOMENT_S: Final = 0.125
LONGEST_LOOK_S: Final = 3600.0
_SLACK: Final = 64
"""Moments that nothing waits for any more, kept in the heap before it is made anew."""


class Expiries:
    """The jobs that are looked at when their `not_after` is over. One event loop owns it."""

    def __init__(self, clock: Clock, *, due: Callable[[Job], None]) -> None:
        self._clock = clock
        self._due = due
        self._jobs: dict[int, set[Job]] = {}
        self._moments: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0

    def __repr__(self) -> str:
        return f"<Expiries moments={len(self._jobs)}>"

    def __len__(self) -> int:
        return sum(map(len, self._jobs.values()))

    def add(self, job: Job) -> None:
        """Look at it when its time is over."""
        moment = _moment_of(job)
        jobs = self._jobs.get(moment)
        if jobs is not None:
            jobs.add(job)
            return
        self._jobs[moment] = {job}
        if len(self._moments) > 2 * len(self._jobs) + _SLACK:
            self._moments = list(self._jobs)
            heapq.heapify(self._moments)
        else:
            heapq.heappush(self._moments, moment)
        if self._timer is None or moment < self._looks_at:
            self._look_later()

    def discard(self, job: Job) -> None:
        """It need not be looked at."""
        moment = _moment_of(job)
        jobs = self._jobs.get(moment)
        if jobs is not None:
            jobs.discard(job)
            if not jobs:
                del self._jobs[moment]

    def close(self) -> None:
        """Look at nothing any more."""
        self._jobs.clear()
        self._moments.clear()
        self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        self._stop()
        moments = self._moments
        while moments and moments[0] not in self._jobs:
            heapq.heappop(moments)
        if moments:
            self._looks_at = moments[0]
            delay_s = self._looks_at * MOMENT_S - self._clock.now()
            self._timer = asyncio.get_running_loop().call_later(
                max(0.0, min(delay_s, LONGEST_LOOK_S)), self._look
            )

    def _look(self) -> None:
        self._timer = None
        now = self._clock.now()
        moments = self._moments
        over: list[Job] = []
        while moments and moments[0] * MOMENT_S <= now:
            over.extend(self._jobs.pop(heapq.heappop(moments), ()))
        for job in over:
            self._due(job)
        self._look_later()


def _moment_of(job: Job) -> int:
    """The end of the moment in which it expires."""
    return math.ceil(job.write.not_after / MOMENT_S)
