"""How many entries one purge found: each once, be it in memory, on disk or in both.

Memory and disk are swept each at its own pace, and neither knows what the other found. With a disk tier the
places are remembered as 64-bit hashes until the receipt is dropped: some 60 octets each.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.cache.disk.place import Place, place_of
from proxy.policy.keys import CacheKey, Variant


class PurgeCount:
    """Counts; `both` tiers, or memory alone."""

    __slots__ = ("_seen", "entries")

    def __init__(self, *, both: bool) -> None:
        self.entries = 0
        self._seen: set[int] | None = set() if both else None

    def __repr__(self) -> str:
        return f"<PurgeCount {self.entries}>"

    def found(self, key: CacheKey, variant: Variant) -> None:
        """An entry was found in memory."""
        if self._seen is None:
            self.entries += 1
        else:
            self.found_at(place_of(key, variant))

    def found_at(self, place: Place) -> None:
        """An entry was found on disk."""
        assert self._seen is not None, "an entry was found on a disk that there is not"
        self._seen.add(hash(place))
        self.entries = len(self._seen)


OnFound = Callable[[Place], None]
"""Told of each object that a purge finds on disk."""
