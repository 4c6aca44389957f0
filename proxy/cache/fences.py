"""Fences: what was purged while fills were on their way.

Theory of operation. A purge deletes what is stored, but the old value that matters most is the one that
is *not stored yet*: asked for before the purge, answered after it. So time is counted in epochs. Every
purge raises the epoch and leaves a fence behind; a fill notes the epoch in which it began, and before it
stores anything, or is joined by anybody, it is asked whether a fence between then and now covers it: by
key, by a predicate on the key, or by the tags that only its response head tells.

Fences are kept only while a fill older than them runs, and never more than `max_fences`: beyond that the
oldest are replaced by one that covers everything before it. Forgetting is always on the safe side: a fill
too many is not stored.

Rejected: marking the running fills at purge time. It needs no list, but it cannot see the tags of a
response whose head has not come.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from proxy.policy.keys import CacheKey

Covers = Callable[[CacheKey, frozenset[bytes]], bool]


@dataclass(frozen=True, slots=True)
class _Fence:
    epoch: int
    covers: Covers


class Fences:
    """The purges that running fills must be checked against."""

    def __init__(self, *, max_fences: int = 10_000) -> None:
        self._epoch = 0
        self._max_fences = max_fences
        self._fences: deque[_Fence] = deque()
        self._floor = 0  # everything that began before this epoch is covered
        self._running: Counter[int] = Counter()

    def __repr__(self) -> str:
        return f"<Fences epoch={self._epoch} kept={len(self._fences)} running={self._running.total()}>"

    @property
    def epoch(self) -> int:
        """The present epoch: the number of purges so far."""
        return self._epoch

    def enter(self) -> int:
        """A fill begins; the epoch to give back with `leave`."""
        self._running[self._epoch] += 1
        return self._epoch

    def leave(self, epoch: int) -> None:
        """The fill that began in `epoch` is over."""
        self._running[epoch] -= 1
        if not self._running[epoch]:
            del self._running[epoch]
            oldest = min(self._running, default=self._epoch)
            while self._fences and self._fences[0].epoch <= oldest:
                self._fences.popleft()

    def raise_fence(self, covers: Covers) -> int:
        """A purge happened: fills from before it that `covers` accepts are not to be stored."""
        self._epoch += 1
        if self._running:
            self._fences.append(_Fence(self._epoch, covers))
            if len(self._fences) > self._max_fences:
                self._floor = self._fences.popleft().epoch
        return self._epoch

    def crossed(
        self, began: int, key: CacheKey, tags: frozenset[bytes] = frozenset(), *, until: int | None = None
    ) -> bool:
        """Whether a purge after `began` (and not after `until`) covers this key or one of these tags."""
        end = self._epoch if until is None else until
        if began == end:
            return False
        if began < self._floor:  # the first fence after it is forgotten, and with it what it covered
            return True
        return any(fence.covers(key, tags) for fence in self._fences if began < fence.epoch <= end)
