"""A steady allowance: so many a second, and as many at once as a second gives."""

from __future__ import annotations

from proxy.clock import Clock


class Allowance:
    """A bucket that fills at `per_s` and holds a second's worth, one at least."""

    def __init__(self, *, per_s: float, clock: Clock) -> None:
        self._per_s = per_s
        self._clock = clock
        self._most = max(1.0, per_s)
        self._left = self._most
        self._as_of_mono = clock.mono()

    def __repr__(self) -> str:
        return f"<Allowance {self._left:.1f} of {self._most:g}>"

    def take(self) -> float:
        """Take one: 0, or, if there is none, in how many seconds there will be."""
        now_mono = self._clock.mono()
        self._left = min(self._most, self._left + (now_mono - self._as_of_mono) * self._per_s)
        self._as_of_mono = now_mono
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) / self._per_s
