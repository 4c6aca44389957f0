"""Paced release: so many a second, in the order of asking.

A large queue that is let go at once is a herd of its own (Canva, 2024-11-12: 270,000 parked requests
released together took the origin down for 52 minutes).
"""

from __future__ import annotations

import asyncio

from proxy.clock import Clock


class Pacer:
    """Turns at a steady rate; a rate of 0 makes nobody wait."""

    def __init__(self, *, per_s: float, clock: Clock) -> None:
        self._interval_s = 1.0 / per_s if per_s > 0 else 0.0
        self._clock = clock
        self._next_mono = 0.0

    async def wait_turn(self) -> None:
        """Wait until it is this caller's turn. A caller that is cancelled gives up its turn for nobody."""
        if not self._interval_s:
            return
        now_mono = self._clock.mono()
        turn_mono = max(now_mono, self._next_mono)
        self._next_mono = turn_mono + self._interval_s
        if turn_mono > now_mono:
            await asyncio.sleep(turn_mono - now_mono)
