"""The memory tier: entries in a cachetools cache, bounded in bytes, with an index of each key's variants.

The cache table is flat, `(key, variant) -> Entry`, so that eviction weighs single entries. The index
`key -> variants` is what a purge, the bound on variants and a changed `Vary` need; it is kept in step by
the eviction hook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cachetools

from proxy.cache.entry import Entry
from proxy.config.settings import EvictionPolicy
from proxy.policy.keys import CacheKey, Variant

Place = tuple[CacheKey, Variant]

_POLICIES: dict[EvictionPolicy, type[cachetools.Cache[Any, Any]]] = {
    EvictionPolicy.LRU: cachetools.LRUCache,
    EvictionPolicy.LFU: cachetools.LFUCache,
    EvictionPolicy.FIFO: cachetools.FIFOCache,
    EvictionPolicy.RANDOM: cachetools.RRCache,
}


@dataclass(frozen=True, slots=True)
class MemoryStatistics:
    """Counters since the start, and the present fill."""

    entries: int
    stored_bytes: int
    max_bytes: int
    stores: int
    evictions: int
    too_large: int


class MemoryStore:
    """Entries within `max_bytes`."""

    def __init__(self, *, max_bytes: int, max_entry_bytes: int, policy: EvictionPolicy) -> None:
        self._max_entry_bytes = max_entry_bytes
        self._variants: dict[CacheKey, dict[Variant, None]] = {}  # a dict as an ordered set: oldest first
        self._entries = _evicting(_POLICIES[policy], max_bytes, self._on_evicted)
        self._stores = self._evictions = self._too_large = 0

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._entries)} entries, {self._entries.currsize:.0f} bytes>"

    def __len__(self) -> int:
        return len(self._entries)

    def statistics(self) -> MemoryStatistics:
        """Counters since the start."""
        return MemoryStatistics(
            entries=len(self._entries),
            stored_bytes=int(self._entries.currsize),
            max_bytes=int(self._entries.maxsize),
            stores=self._stores,
            evictions=self._evictions,
            too_large=self._too_large,
        )

    def get(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry at this place, fresh or stale."""
        if key not in self._variants:  # a plain dict: a miss costs a tenth of asking cachetools
            return None
        entry: Entry | None = self._entries.get((key, variant))
        return entry

    def variants(self, key: CacheKey) -> list[Entry]:
        """Every entry of the key, oldest first. Does not count as a use."""
        return [self._entries[key, variant] for variant in self._variants.get(key, ())]

    def put(self, entry: Entry, *, max_variants: int) -> bool:
        """Store, in the place of what was there; False if it is too large, or older than what is there.

        Variants that were chosen by other field names than the new entry's cannot be found any more and go.
        """
        place = (entry.key, entry.variant)
        there: Entry | None = self._entries.get(place)
        if there is not None and there.requested_mono > entry.requested_mono:
            return False
        if entry.body.received_bytes > self._max_entry_bytes or entry.size_bytes() > self._entries.maxsize:
            self._too_large += 1
            self.remove(entry.key, entry.variant)
            return False
        for other in self.variants(entry.key):
            if other.varies_on != entry.varies_on:
                self.remove(other.key, other.variant)
        self.remove(*place)
        siblings = self._variants.setdefault(entry.key, {})
        siblings[entry.variant] = None
        while len(siblings) > max_variants:
            self.remove(entry.key, next(iter(siblings)))
        self._entries[place] = entry
        self._stores += 1
        return True

    def remove(self, key: CacheKey, variant: Variant) -> bool:
        """Take one entry out; whether there was one."""
        found = self._entries.pop((key, variant), None) is not None
        self._forget(key, variant)
        return found

    def remove_key(self, key: CacheKey) -> int:
        """Take every variant of the key out; how many there were."""
        return sum(self.remove(key, variant) for variant in list(self._variants.get(key, ())))

    def clear(self) -> int:
        """Take everything out; how many entries there were."""
        count = len(self._entries)
        self._entries.clear()
        self._variants.clear()
        return count

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, in no order that means anything; a snapshot."""
        return iter(list(self._entries.values()))

    def _on_evicted(self, place: Place) -> None:
        self._evictions += 1
        self._forget(*place)

    def _forget(self, key: CacheKey, variant: Variant) -> None:
        siblings = self._variants.get(key)
        if siblings is not None:
            siblings.pop(variant, None)
            if not siblings:
                del self._variants[key]


def _evicting(
    base: type[cachetools.Cache[Any, Any]], max_bytes: int, on_evicted: Callable[[Place], None]
) -> cachetools.Cache[Place, Entry]:
    """A cache of this policy that says what it throws out to make room."""

    class Evicting(base):  # type: ignore[valid-type,misc]
        def popitem(self) -> tuple[Place, Entry]:
            place, entry = super().popitem()
            on_evicted(place)
            return place, entry

        def clear(self) -> None:
            while len(self):  # not the hook above: what a purge takes is not an eviction
                super().popitem()

    return Evicting(maxsize=max_bytes, getsizeof=Entry.size_bytes)
