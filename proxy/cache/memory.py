"""The memory tier: entries in a cachetools cache, bounded in bytes, with an index of each key's variants.

The cache table is flat and has the entries themselves for keys, so that eviction weighs single entries: it
keeps their order, which is what a policy is. The index `key -> entries` is where they are looked up; a purge,
the bound on variants and a changed `Vary` need it, too. Octets are counted here, not by the cache table,
which would keep a number for each entry.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cachetools

from proxy.cache.entry import ENTRY_OVERHEAD_BYTES, Entry, HeadMemo
from proxy.cache.hot_heads import HotHeads
from proxy.cache.place_index import PlaceIndex, Places
from proxy.config.settings import EvictionPolicy
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.purges import Coverage, Tagged, Targets

_HOT_SHARE = 16
"""One part in so many of the tier's bound is for memos of heads beside it,"""

_HOT_MAX_BYTES = 4 * 1024 * 1024
"""and no more than this: those of some 4,000 entries. What the gate answers has its octets there."""

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
        self._max_bytes = max_bytes
        self._max_entry_bytes = max_entry_bytes
        self._by_key: dict[CacheKey, Entry | tuple[Entry, ...]] = {}  # oldest first; most have one alone
        self._entries = _POLICIES[policy](maxsize=math.inf)  # room is made by us
        self._index = PlaceIndex()
        self._hot = HotHeads(max_bytes=min(max_bytes // _HOT_SHARE, _HOT_MAX_BYTES))
        self._stored_bytes = 0
        self._stores = self._evictions = self._too_large = 0

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._entries)} entries, {self._stored_bytes} bytes>"

    def __len__(self) -> int:
        return len(self._entries)

    def statistics(self) -> MemoryStatistics:
        """Counters since the start."""
        return MemoryStatistics(
            entries=len(self._entries),
            stored_bytes=self._stored_bytes,
            max_bytes=self._max_bytes,
            stores=self._stores,
            evictions=self._evictions,
            too_large=self._too_large,
        )

    def get(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry at this place, fresh or stale."""
        entry = self.peek(key, variant)
        if entry is not None:
            self._entries[entry]  # the policy's own look-up, which counts as a use
        return entry

    def peek(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry at this place. Does not count as a use."""
        found = self._by_key.get(key)
        if not isinstance(found, tuple):
            return found if found is not None and found.variant == variant else None
        return next((one for one in found if one.variant == variant), None)

    def variants(self, key: CacheKey) -> list[Entry]:
        """Every entry of the key, oldest first. Does not count as a use."""
        found = self._by_key.get(key, ())
        return list(found) if isinstance(found, tuple) else [found]

    def has_room(self, octets: int) -> bool:
        """Whether a body of so many would drive out nothing, near enough."""
        return self._stored_bytes + octets + 2 * ENTRY_OVERHEAD_BYTES <= self._max_bytes

    def memo_of(self, entry: Entry) -> HeadMemo:
        """The memo of an entry that is to be given to a client."""
        return self._hot.memo_of(entry)

    def places(self, coverage: Coverage, *, all_at_once: bool) -> Places:
        """Where all that it may cover is, some places perhaps twice; the caller's to use up.

        `all_at_once`: all of it is to go, and need not be found again.
        """
        match coverage:
            case Targets(keys=keys):
                found = [(one.key, one.variant) for key in keys for one in self.variants(key)]
                if self._index.has_pages:
                    for page in coverage.pages():
                        found += self._index.on_page(page)
            case Tagged(labels=labels) if all_at_once:
                return self._index.take(labels)
            case Tagged(labels=labels):
                found = []
                for label in labels:
                    found += self._index.labelled(label)
            case _:
                return [(one.key, one.variant) for one in self._entries]
        return found

    def put(self, entry: Entry, *, max_variants: int) -> bool:
        """Store, in the place of what was there; False if it is too large, or older than what is there.

        Variants that were chosen by other field names than the new entry's cannot be found any more and go,
        unless one of them is newer: then what the key varies on is what that one says.
        """
        there = self.variants(entry.key)
        replaced = [one for one in there if one.variant == entry.variant or one.varies_on != entry.varies_on]
        if any(one.requested_mono > entry.requested_mono for one in replaced):
            return False
        entry.pack()
        size_bytes = entry.size_bytes()
        if entry.body.received_bytes > self._max_entry_bytes or size_bytes > self._max_bytes:
            self._too_large += 1
            self.remove(entry.key, entry.variant)
            return False
        for one in replaced:
            self._take_out(one)
        siblings = self.variants(entry.key)
        for oldest in siblings[: max(0, len(siblings) + 1 - max_variants)]:
            self._take_out(oldest)
        while self._stored_bytes + size_bytes > self._max_bytes:
            oldest, _ = self._entries.popitem()
            self._evictions += 1
            self._forget(oldest)
        self._add(entry, size_bytes)
        return True

    def _add(self, entry: Entry, size_bytes: int) -> None:
        siblings = self.variants(entry.key)
        self._by_key[entry.key] = (*siblings, entry) if siblings else entry  # a tuple is small
        self._entries[entry] = None
        self._stored_bytes += size_bytes
        entry.in_memory = True
        self._index.add((entry.key, entry.variant), entry)
        if entry.memo is not None:
            self._hot.add(entry)
        self._stores += 1

    def remove(self, key: CacheKey, variant: Variant) -> bool:
        """Take one entry out; whether there was one."""
        entry = self.peek(key, variant)
        if entry is not None:
            self._take_out(entry)
        return entry is not None

    def remove_key(self, key: CacheKey) -> int:
        """Take every variant of the key out; how many there were."""
        there = self.variants(key)
        for entry in there:
            self._take_out(entry)
        return len(there)

    def clear(self) -> int:
        """Take everything out; how many entries there were."""
        count = len(self._entries)
        for entry in self._entries:
            entry.in_memory = False
        self._entries.clear()
        self._by_key.clear()
        self._hot.clear()
        self._stored_bytes = 0
        self._index = PlaceIndex()
        return count

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, in no order that means anything; a snapshot."""
        return iter(list(self._entries))

    def _take_out(self, entry: Entry) -> None:
        del self._entries[entry]
        self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        """It is out of the cache table, and goes from all others."""
        entry.in_memory = False
        self._stored_bytes -= entry.size_bytes()
        self._hot.discard(entry)
        self._index.discard((entry.key, entry.variant), entry)
        siblings = tuple([one for one in self.variants(entry.key) if one is not entry])
        if siblings:
            self._by_key[entry.key] = siblings if len(siblings) > 1 else siblings[0]
        else:
            del self._by_key[entry.key]
