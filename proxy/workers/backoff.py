"""How long a slot waits for its next worker."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 0.1
STEADY_S = 1.0
"""A worker that served for this long was sound when it started: its end is news, and no series."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles with each worker that ended soon after its start, up to `max_s`."""

    max_s: float
    failures: int = 0

    def after(self, *, served_s: float) -> Backoff:
        """One ended, after it had served so long; 0 if it never was ready."""
        return Backoff(self.max_s, 1 if served_s >= STEADY_S else self.failures + 1)

    @property
    def delay_s(self) -> float:
        """Before the next one is started."""
        if not self.failures:
            return 0.0
        return min(self.max_s, FIRST_S * 2.0 ** min(self.failures - 1, 30))
