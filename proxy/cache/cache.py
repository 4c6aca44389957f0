"""The response cache: the memory tier, what is remembered of keys, and fences, under one roof.

Every change of what may be served goes through here, so that no purge forgets one of the three.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.cache.admission import Admission
from proxy.cache.entry import Entry
from proxy.cache.fences import Fences
from proxy.cache.fill_budget import FillBudget
from proxy.cache.key_memory import KeyMemory
from proxy.cache.memory import MemoryStatistics, MemoryStore
from proxy.clock import Clock
from proxy.config.settings import CacheSettings
from proxy.http.messages import RequestHead
from proxy.policy.keys import CacheKey, Variant, variant_of


class ResponseCache:
    """Stored responses by key and variant. Not thread-safe: one event loop owns it."""

    def __init__(self, settings: CacheSettings, *, clock: Clock) -> None:
        self.clock = clock
        self.keys = KeyMemory(clock=clock, max_keys=settings.max_keys_remembered)
        self.admission = Admission(max_keys=settings.max_keys_remembered)
        self.fences = Fences()
        self.fill_budget = FillBudget(limit_bytes=settings.max_fill_bytes)
        self.max_entry_bytes = settings.max_entry_bytes
        self._memory = MemoryStore(
            max_bytes=settings.max_bytes, max_entry_bytes=settings.max_entry_bytes, policy=settings.policy
        )
        self._purges = 0

    def __repr__(self) -> str:
        return f"<ResponseCache {self._memory!r} {self.fences!r}>"

    def statistics(self) -> MemoryStatistics:
        """The memory tier's counters."""
        return self._memory.statistics()

    def variant_of(self, key: CacheKey, request: RequestHead) -> Variant:
        """Which variant of the key this request selects, as far as is known of the key (RFC 9111 §4.1)."""
        names = self.keys.varies_on(key)
        return variant_of(names, request) if names else ()

    def get(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry at this place, fresh or stale."""
        return self._memory.get(key, variant)

    def store(self, entry: Entry, *, began: int, max_variants: int) -> bool:
        """Store what a fill that began in epoch `began` brought; False if fenced, superseded or too large."""
        if self.fences.crossed(began, entry.key, entry.tags):
            return False
        if not self._memory.put(entry, max_variants=max_variants):
            return False
        self.keys.learn_varies_on(entry.key, entry.varies_on)
        self.keys.clear_mark(entry.key, entry.variant)
        return True

    def discard(self, entry: Entry) -> None:
        """Its revalidation brought what may not be stored: the old answer is told no more."""
        if self._memory.get(entry.key, entry.variant) is entry:
            self._memory.remove(entry.key, entry.variant)

    def purge(self, key: CacheKey, *, soft: bool = False) -> int:
        """Remove every variant of the key, or make it stale; how many there were.

        A fill that runs now is not stored, soft or hard: it may have been generated before what the
        purge tells of.
        """
        self._purges += 1
        self.fences.raise_fence(lambda fill_key, _tags: fill_key == key)
        self.keys.forget(key)
        if not soft:
            return self._memory.remove_key(key)
        entries = self._memory.variants(key)
        for entry in entries:
            entry.purged_softly = True
        return len(entries)

    def purge_where(self, covers: Callable[[CacheKey, frozenset[bytes]], bool], *, soft: bool = False) -> int:
        """Purge what `covers(key, tags)` accepts, stored or on its way; how many entries there were."""
        self._purges += 1
        self.fences.raise_fence(covers)
        found = [entry for entry in self._memory if covers(entry.key, entry.tags)]
        for entry in found:
            self.keys.forget(entry.key)
            if soft:
                entry.purged_softly = True
            else:
                self._memory.remove(entry.key, entry.variant)
        return len(found)

    def purge_all(self, *, soft: bool = False) -> int:
        """Purge everything; how many entries there were."""
        return self.purge_where(lambda _key, _tags: True, soft=soft)
