"""A clock that stands still until a test moves it."""

from __future__ import annotations


class ManualClock:
    """`proxy.clock.Clock` by hand."""

    def __init__(self, *, now: float = 1_800_000_000.0, mono: float = 1_000.0) -> None:
        self._now = now
        self._mono = mono

    def now(self) -> float:
        return self._now

    def mono(self) -> float:
        return self._mono

    def advance(self, seconds: float) -> None:
        """Let time pass on both readings."""
        self._now += seconds
        self._mono += seconds
