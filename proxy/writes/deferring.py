"""Invalidations of one target, at most one in some time, and none later than that: for hot keys.

The first one is done at once and begins a period; those that come within the period are done together at
its end, which begins the next one. When a period ends with nothing to do, nothing is left of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol

from proxy.policy.key_parts import TargetKey

MAX_PERIODS: Final = 10_000
"""Targets that are waited for at one time; those beyond are invalidated at once."""

Keys = frozenset[TargetKey]
Labels = frozenset[bytes]


class Purge(Protocol):
    """Invalidates in this step; what is covered is not stored within `hold_s` from then."""

    def __call__(self, keys: Keys, labels: Labels, *, hold_s: float) -> None: ...


@dataclass(slots=True)
class _Period:
    keys: set[TargetKey] = field(default_factory=set)
    labels: set[bytes] = field(default_factory=set)
    hold_s: float = 0.0
    timer: asyncio.TimerHandle | None = None


class Deferring:
    """Puts invalidations together. One event loop owns it."""

    def __init__(self, purge: Purge) -> None:
        self._purge = purge
        self._periods: dict[Keys, _Period] = {}

    def __repr__(self) -> str:
        return f"<Deferring {len(self._periods)} periods>"

    def __len__(self) -> int:
        return len(self._periods)

    def purge(self, keys: Keys, labels: Labels, *, within_s: float, hold_s: float = 0.0) -> None:
        """Invalidate now or within this time. What belongs together comes with the same keys each time."""
        period = self._periods.get(keys)
        if period is None:
            self._purge(keys, labels, hold_s=hold_s)
            if len(self._periods) < MAX_PERIODS:
                self._begin(keys, within_s)
            return
        period.keys |= keys
        period.labels |= labels
        period.hold_s = max(period.hold_s, hold_s)

    def close(self) -> None:
        """Invalidate now what waits."""
        for keys in tuple(self._periods):
            self._end(keys)

    def _begin(self, keys: Keys, within_s: float) -> None:
        period = self._periods[keys] = _Period()
        period.timer = asyncio.get_running_loop().call_later(within_s, self._passed, keys, within_s)

    def _passed(self, keys: Keys, within_s: float) -> None:
        if self._end(keys):
            self._begin(keys, within_s)

    def _end(self, keys: Keys) -> bool:
        """Whether there was something to do."""
        period = self._periods.pop(keys)
        if period.timer is not None:
            period.timer.cancel()
        if not period.keys and not period.labels:
            return False
        self._purge(frozenset(period.keys), frozenset(period.labels), hold_s=period.hold_s)
        return True
