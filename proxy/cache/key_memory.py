"""What is remembered of a key beyond its entries, in bounded tables.

    varies on     the field names its responses vary on: remembered longer than the entries, so that the
                  next herd on a key splits into its variants at once instead of after the first answer
    search        how a page's responses vary on the query (`No-Vary-Search`): all targets that are
                  equivalent under it share a key
    not shareable for some seconds after an answer that was not for sharing nobody waits for the next one
                  (hit-for-miss: a shareable answer clears the mark and is stored)
    unreachable   for a moment after a failed connection the next requests for the key are answered at
                  once, so that a herd on a dead origin is not a herd of connection attempts

Every table drops its least recently used key when full: the price is one more wait, never a wrong answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from cachetools import Cache, LRUCache

from proxy.clock import Clock
from proxy.policy.key_parts import key_under, page_of
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.no_vary_search import DEFAULT, SearchVariance
from proxy.policy.sharing import Reason

_MARK_SLACK = 0.01
"""So much of its time a mark may end earlier than the last answer would have it."""


class KeyMemory:
    """Bounded memory of keys; times in monotonic seconds of `clock`."""

    def __init__(self, *, clock: Clock, max_keys: int) -> None:
        self._clock = clock
        self._varies_on: LRUCache[CacheKey, tuple[bytes, ...]] = LRUCache(maxsize=max_keys)
        self._search: LRUCache[bytes, SearchVariance] = LRUCache(maxsize=max_keys)
        self._not_shareable: LRUCache[tuple[CacheKey, Variant], tuple[float, Reason]]
        self._not_shareable = LRUCache(maxsize=max_keys)
        self._unreachable: LRUCache[CacheKey, tuple[float, str]] = LRUCache(maxsize=max_keys)

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

    def under_search(self, key: CacheKey) -> CacheKey:
        """The key that this one, of a target, shares with all equivalent ones, as far as is known."""
        if not self._search:  # the usual case, on the way of every hit
            return key
        variance = self._search.get(page_of(key))
        return key if variance is None else key_under(key, variance)

    def learn_search(self, key: CacheKey, variance: SearchVariance) -> None:
        """A response for the target of this key came that varies on the query like this."""
        if variance != DEFAULT:
            self._search[page_of(key)] = variance
        elif self._search:
            self._search.pop(page_of(key), None)

    def mark_not_shareable(self, key: CacheKey, variant: Variant, reason: Reason, *, for_s: float) -> None:
        """Nobody waits for this key and variant for `for_s` seconds."""
        if for_s <= 0:
            return
        place, until = (key, variant), self._clock.mono() + for_s
        mark = _glance(self._not_shareable, place)
        # What is passed through a thousand times a second says the same a thousand times: to touch the table
        # takes 3 us, to look 0.5, and the request has touched it.
        if mark is None or mark[1] is not reason or until - mark[0] > for_s * _MARK_SLACK:
            self._not_shareable[place] = (until, reason)

    def clear_mark(self, key: CacheKey, variant: Variant) -> None:
        """A shareable answer came."""
        self._not_shareable.pop((key, variant), None)

    def not_shareable(self, key: CacheKey, variant: Variant) -> Reason | None:
        """Why nobody should wait for this key now, or None."""
        reason: Reason | None = _unexpired(self._not_shareable, (key, variant), self._clock.mono())
        return reason

    def mark_unreachable(self, key: CacheKey, message: str, *, for_s: float) -> None:
        """A connection failed; the next requests for the key are told so for `for_s` seconds."""
        if for_s > 0:
            self._unreachable[key] = (self._clock.mono() + for_s, message)

    def unreachable(self, key: CacheKey) -> str | None:
        """What the last connection failed with, if that is a moment ago."""
        message: str | None = _unexpired(self._unreachable, key, self._clock.mono())
        return message

    # the same without a trace: looking keeps nothing alive

    def glance_varies_on(self, key: CacheKey) -> tuple[bytes, ...]:
        """As `varies_on`."""
        names: tuple[bytes, ...] | None = _glance(self._varies_on, key)
        return names or ()

    def glance_under_search(self, key: CacheKey) -> CacheKey:
        """As `under_search`."""
        variance = _glance(self._search, page_of(key)) if self._search else None
        return key if variance is None else key_under(key, variance)

    def glance_not_shareable(self, key: CacheKey, variant: Variant) -> Reason | None:
        """As `not_shareable`."""
        mark = _glance(self._not_shareable, (key, variant))
        return mark[1] if mark is not None and mark[0] > self._clock.mono() else None

    def glance_unreachable(self, key: CacheKey) -> str | None:
        """As `unreachable`."""
        mark = _glance(self._unreachable, key)
        return mark[1] if mark is not None and mark[0] > self._clock.mono() else None

    def forget(self, key: CacheKey) -> None:
        """A purge: nothing that was learned from old answers holds."""
        self._unreachable.pop(key, None)


def _glance(table: LRUCache[Any, Any], key: Hashable) -> Any:
    return Cache.__getitem__(table, key) if key in table else None


def _unexpired(table: LRUCache[Any, tuple[float, Any]], key: Hashable, now_mono: float) -> Any:
    """What the table holds for the key, unless its time is over: then it is dropped.

    Not cachetools' TLRUCache: that one looks for expired keys at each reading, five times the cost of
    this, on the way of every request; here what nobody asks for is pushed out by what somebody does.
    """
    mark = table.get(key)
    if mark is None:
        return None
    if mark[0] <= now_mono:
        del table[key]
        return None
    return mark[1]
