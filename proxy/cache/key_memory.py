"""What is remembered of a key beyond its entries, in bounded tables.

    varies on     the field names its responses vary on: remembered longer than the entries, so that the
                  next herd on a key splits into its variants at once instead of after the first answer
    not shareable for some seconds after an answer that was not for sharing nobody waits for the next one
                  (hit-for-miss: a shareable answer clears the mark and is stored)
    unreachable   for a moment after a failed connection the next requests for the key are answered at
                  once, so that a herd on a dead origin is not a herd of connection attempts

Every table drops its least recently used key when full: the price is one more wait, never a wrong answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from cachetools import LRUCache, TLRUCache

from proxy.clock import Clock
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.sharing import Reason


class KeyMemory:
    """Bounded memory of keys; times in monotonic seconds of `clock`."""

    def __init__(self, *, clock: Clock, max_keys: int) -> None:
        self._clock = clock
        self._varies_on: LRUCache[CacheKey, tuple[bytes, ...]] = LRUCache(maxsize=max_keys)
        self._not_shareable = _expiring(clock, max_keys)
        self._unreachable = _expiring(clock, max_keys)

    def __repr__(self) -> str:
        return f"<KeyMemory varies={len(self._varies_on)} marks={len(self._not_shareable)}>"

    def varies_on(self, key: CacheKey) -> tuple[bytes, ...]:
        """Lower-case field names that the key's responses vary on, as last seen."""
        return self._varies_on.get(key, ())

    def learn_varies_on(self, key: CacheKey, names: tuple[bytes, ...]) -> None:
        """A response came that varies on these."""
        if names:
            self._varies_on[key] = names
        else:
            self._varies_on.pop(key, None)

    def mark_not_shareable(self, key: CacheKey, variant: Variant, reason: Reason, *, for_s: float) -> None:
        """Nobody waits for this key and variant for `for_s` seconds."""
        if for_s > 0:
            self._not_shareable[key, variant] = (self._clock.mono() + for_s, reason)

    def clear_mark(self, key: CacheKey, variant: Variant) -> None:
        """A shareable answer came."""
        self._not_shareable.pop((key, variant), None)

    def not_shareable(self, key: CacheKey, variant: Variant) -> Reason | None:
        """Why nobody should wait for this key now, or None."""
        mark = self._not_shareable.get((key, variant))
        return None if mark is None else Reason(mark[1])

    def mark_unreachable(self, key: CacheKey, message: str, *, for_s: float) -> None:
        """A connection failed; the next requests for the key are told so for `for_s` seconds."""
        if for_s > 0:
            self._unreachable[key] = (self._clock.mono() + for_s, message)

    def unreachable(self, key: CacheKey) -> str | None:
        """What the last connection failed with, if that is a moment ago."""
        mark = self._unreachable.get(key)
        return None if mark is None else str(mark[1])

    def forget(self, key: CacheKey) -> None:
        """A purge: nothing that was learned from old answers holds."""
        self._unreachable.pop(key, None)


def _expiring(clock: Clock, max_keys: int) -> TLRUCache[Hashable, tuple[float, Any]]:
    """A bounded table of `(expires_mono, value)` that forgets each at its time."""
    return TLRUCache(maxsize=max_keys, ttu=lambda _key, mark, _now: mark[0], timer=clock.mono)
