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
from proxy.cache.place_index import Place, PlaceIndex
from proxy.config.settings import EvictionPolicy
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.purges import Coverage, Tagged, Targets

_ONLY: tuple[Variant, ...] = ((),)
"""The variants of most keys: one that varies on nothing. The same object for all of them."""

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
        self._variants: dict[CacheKey, tuple[Variant, ...]] = {}  # oldest first; a tuple is small
        self._entries = _evicting(_POLICIES[policy], max_bytes, self._on_evicted)
        self._index = PlaceIndex()
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
        return [self._peek((key, variant)) for variant in self._variants.get(key, ())]

    def peek(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry at this place. Does not count as a use."""
        return self._peek((key, variant)) if (key, variant) in self._entries else None

    def places(self, coverage: Coverage, *, all_at_once: bool) -> list[Place]:
        """Where all that it may cover is, some places perhaps twice.

        `all_at_once`: all of it is to go, and need not be found again.
        """
        match coverage:
            case Targets(keys=keys):
                found = [(key, variant) for key in keys for variant in self._variants.get(key, ())]
                for page in coverage.pages():
                    found += self._index.on_page(page)
            case Tagged(labels=labels):
                found = []
                for label in labels:
                    found += self._index.labelled(label)
                if all_at_once:
                    for label in labels:
                        self._index.forget(label)
            case _:
                return list(self._entries)
        return found

    def put(self, entry: Entry, *, max_variants: int) -> bool:
        """Store, in the place of what was there; False if it is too large, or older than what is there.

        Variants that were chosen by other field names than the new entry's cannot be found any more and go,
        unless one of them is newer: then what the key varies on is what that one says.
        """
        place = (entry.key, entry.variant)
        there = self.variants(entry.key)
        replaced = [one for one in there if one.variant == entry.variant or one.varies_on != entry.varies_on]
        if any(one.requested_mono > entry.requested_mono for one in replaced):
            return False
        if entry.body.received_bytes > self._max_entry_bytes or entry.size_bytes() > self._entries.maxsize:
            self._too_large += 1
            self.remove(entry.key, entry.variant)
            return False
        for one in replaced:
            self.remove(one.key, one.variant)
        siblings = self._variants.get(entry.key, ())
        for oldest in siblings[: max(0, len(siblings) + 1 - max_variants)]:
            self.remove(entry.key, oldest)
        siblings = self._variants.get(entry.key, ())
        self._variants[entry.key] = (*siblings, entry.variant) if siblings or entry.variant else _ONLY
        self._entries[place] = entry
        entry.in_memory = True
        self._index.add(place, entry)
        self._stores += 1
        return True

    def remove(self, key: CacheKey, variant: Variant) -> bool:
        """Take one entry out; whether there was one."""
        entry: Entry | None = self._entries.pop((key, variant), None)
        if entry is None:
            return False
        self._forget((key, variant), entry)
        return True

    def remove_key(self, key: CacheKey) -> int:
        """Take every variant of the key out; how many there were."""
        return sum(self.remove(key, variant) for variant in self._variants.get(key, ()))

    def clear(self) -> int:
        """Take everything out; how many entries there were."""
        count = len(self._entries)
        for entry in self:
            entry.in_memory = False
        self._entries.clear()
        self._variants.clear()
        self._index = PlaceIndex()
        return count

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, in no order that means anything; a snapshot."""
        return iter([self._peek(place) for place in self._entries])

    def _peek(self, place: Place) -> Entry:
        """Not by the policy's own look-up, which counts as a use."""
        entry: Entry = cachetools.Cache.__getitem__(self._entries, place)
        return entry

    def _on_evicted(self, place: Place, entry: Entry) -> None:
        self._evictions += 1
        self._forget(place, entry)

    def _forget(self, place: Place, entry: Entry) -> None:
        entry.in_memory = False
        self._index.discard(place, entry)
        key, variant = place
        siblings = tuple(one for one in self._variants.get(key, ()) if one != variant)
        if siblings:
            self._variants[key] = siblings
        else:
            self._variants.pop(key, None)


def _evicting(
    base: type[cachetools.Cache[Any, Any]], max_bytes: int, on_evicted: Callable[[Place, Entry], None]
) -> cachetools.Cache[Place, Entry]:
    """A cache of this policy that says what it throws out to make room."""

    class Evicting(base):  # type: ignore[valid-type,misc]
        def popitem(self) -> tuple[Place, Entry]:
            place, entry = super().popitem()
            on_evicted(place, entry)
            return place, entry

        def clear(self) -> None:
            while len(self):  # not the hook above: what a purge takes is not an eviction
                super().popitem()

    return Evicting(maxsize=max_bytes, getsizeof=Entry.size_bytes)
