"""Holds: what is not stored for a while, since it may still be about to change.

Theory of operation. A purge says that what was fetched before it is old. Sometimes even what is fetched
*after* it may be old tomorrow: a write was sent and no answer came, so the origin may apply it any moment
now; or its replicas follow behind. There is no second event that a purge could wait for. So for a while
answers for what it changes are told, and shared among those who wait at one time, but not stored.

A hold is kept by target, or by page where stored responses answer for other queries than their own, or by
label, until its time is over. The table is bounded: once it is full, what comes on top holds everything,
which costs fetches and no truth.
"""

from __future__ import annotations

import heapq

from proxy.policy.key_parts import TargetKey, page_of, target_key_of
from proxy.policy.keys import CacheKey
from proxy.policy.purges import Coverage, Tagged, Targets, varies_on_search

_TARGET, _PAGE, _LABEL = b"t", b"p", b"l"


class Holds:
    """What may not be stored, each until a time on the monotonic clock."""

    __slots__ = ("_everything_until", "_max", "_until", "_upcoming")

    def __init__(self, *, max_holds: int = 10_000) -> None:
        self._max = max_holds
        self._until: dict[bytes, float] = {}
        self._upcoming: list[tuple[float, bytes]] = []
        self._everything_until = 0.0

    def __repr__(self) -> str:
        return f"<Holds {len(self._until)}>"

    def __len__(self) -> int:
        return len(self._until)

    def hold(self, coverage: Coverage, *, until_mono: float, now_mono: float) -> None:
        """Nothing of these targets or with these labels is stored until then; of what is wider, nothing."""
        match coverage:
            case Targets():
                for key in coverage.keys:
                    self.hold_target(key, until_mono=until_mono, now_mono=now_mono)
            case Tagged():
                for label in coverage.labels:
                    self.hold_label(label, until_mono=until_mono, now_mono=now_mono)
            case _:
                self._everything_until = max(self._everything_until, until_mono)

    def hold_target(self, key: TargetKey, *, until_mono: float, now_mono: float) -> None:
        """Nothing of this target is stored until then."""
        self._put(_TARGET + key, until_mono, now_mono)
        self._put(_PAGE + page_of(key), until_mono, now_mono)

    def hold_label(self, label: bytes, *, until_mono: float, now_mono: float) -> None:
        """Nothing with this label is stored until then."""
        self._put(_LABEL + label, until_mono, now_mono)

    def covers(self, key: CacheKey, labels: frozenset[bytes], *, now_mono: float) -> bool:
        """Whether a response under this key and with these labels may not be stored now."""
        if self._everything_until > now_mono:
            return True
        self._forget(now_mono)
        if not self._until:  # the usual case
            return False
        if _TARGET + target_key_of(key) in self._until:
            return True
        if varies_on_search(labels) and _PAGE + page_of(key) in self._until:
            return True
        return any(_LABEL + label in self._until for label in labels)

    def _put(self, name: bytes, until_mono: float, now_mono: float) -> None:
        self._forget(now_mono)
        known_until = self._until.get(name)
        if known_until is not None:
            self._until[name] = max(known_until, until_mono)
        elif until_mono <= now_mono:
            return
        elif len(self._until) >= self._max:
            self._everything_until = max(self._everything_until, until_mono)
        else:
            self._until[name] = until_mono
            heapq.heappush(self._upcoming, (until_mono, name))

    def _forget(self, now_mono: float) -> None:
        """Drop what is over. What was prolonged comes up at its first end, and goes back once."""
        while self._upcoming and self._upcoming[0][0] <= now_mono:
            name = heapq.heappop(self._upcoming)[1]
            until_mono = self._until[name]
            if until_mono > now_mono:
                heapq.heappush(self._upcoming, (until_mono, name))
            else:
                del self._until[name]
