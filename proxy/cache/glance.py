"""A look at the cache that leaves no trace, for those who only want to tell what is there."""

from __future__ import annotations

from proxy.cache.disk_tier import DiskTier
from proxy.cache.entry import Entry
from proxy.cache.key_memory import KeyMemory
from proxy.cache.memory import MemoryStore
from proxy.cache.purging import Purging
from proxy.http.messages import RequestHead
from proxy.policy.keys import CacheKey, Variant, variant_of
from proxy.policy.sharing import Reason


class Glance:
    """What the cache would say, without a trace: a look is no use that keeps an entry, or a mark, alive."""

    def __init__(
        self, memory: MemoryStore, purging: Purging, keys: KeyMemory, *, disk: DiskTier | None = None
    ) -> None:
        self._memory = memory
        self._purging = purging
        self._keys = keys
        self._disk = disk

    def variant_of(self, key: CacheKey, request: RequestHead) -> Variant:
        """As `ResponseCache.variant_of`."""
        names = self.varies_on(key)
        return variant_of(names, request) if names else ()

    def placed(self, key: CacheKey) -> CacheKey:
        """As `ResponseCache.placed`."""
        shared = self._keys.glance_under_search(key)
        if shared is key or self._memory.variants(shared) or not self._memory.variants(key):
            return shared
        return key

    def get(self, key: CacheKey, variant: Variant) -> Entry | None:
        """As `ResponseCache.get`."""
        entry = self._memory.peek(key, variant)
        if entry is None and self._disk is not None:
            entry = self._disk.glance(key, variant)
        return None if entry is None else self._purging.checked(entry)

    def may_recall(self, key: CacheKey, request: RequestHead) -> bool:
        """As `ResponseCache.may_recall`."""
        variant = self.variant_of(key, request)
        disk = self._disk
        return disk is not None and self.get(key, variant) is None and disk.glance_may_have(key, variant)

    def varies_on(self, key: CacheKey) -> tuple[bytes, ...]:
        """As `KeyMemory.varies_on`, or as the disk tells."""
        names = self._keys.glance_varies_on(key)
        return names or (self._disk.varies_on(key) if self._disk is not None else ())

    def not_shareable(self, key: CacheKey, variant: Variant) -> Reason | None:
        """As `KeyMemory.not_shareable`."""
        return self._keys.glance_not_shareable(key, variant)

    def unreachable(self, key: CacheKey) -> str | None:
        """As `KeyMemory.unreachable`."""
        return self._keys.glance_unreachable(key)

    def variants(self, key: CacheKey) -> list[Entry]:
        """Every entry of the key, oldest first."""
        return [entry for entry in self._memory.variants(key) if self._purging.checked(entry) is not None]
