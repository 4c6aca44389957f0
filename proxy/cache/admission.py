"""Admission: a key's answers are stored once enough have asked for it.

Only misses are counted, since a hit is stored already: each seat in a flight is one. The table is bounded
and drops its least recently asked key, which then begins anew: a key that nobody asks for twice while
`max_keys` others come is not worth a place.
"""

from __future__ import annotations

from cachetools import LRUCache

from proxy.policy.keys import CacheKey


class Admission:
    """How often keys were asked for and not found."""

    def __init__(self, *, max_keys: int) -> None:
        self._uses: LRUCache[CacheKey, int] = LRUCache(maxsize=max_keys)

    def __repr__(self) -> str:
        return f"<Admission {len(self._uses)} keys>"

    def count(self, key: CacheKey) -> None:
        """Somebody asked for it, and it was not there."""
        self._uses[key] = self._uses.get(key, 0) + 1

    def admits(self, key: CacheKey, *, min_uses: int) -> bool:
        """Whether it was asked for so often that its answer is to be stored."""
        return min_uses <= 1 or self._uses.get(key, 0) >= min_uses
