"""A look at the cache that leaves no trace, for those who only want to tell what is there."""

from __future__ import annotations

from collections.abc import Callable

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
        self,
        memory: MemoryStore,
        purging: Purging,
        keys: KeyMemory,
        *,
        may_recall: Callable[[CacheKey, RequestHead], bool],
    ) -> None:
        self.may_recall = may_recall
        self._memory = memory
        self._purging = purging
        self._keys = keys

    def variant_of(self, key: CacheKey, request: RequestHead) -> Variant:
        """As `ResponseCache.variant_of`."""
        names = self._keys.glance_varies_on(key)
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
        return None if entry is None else self._purging.checked(entry)

    def varies_on(self, key: CacheKey) -> tuple[bytes, ...]:
        """As `KeyMemory.varies_on`."""
        return self._keys.glance_varies_on(key)

    def not_shareable(self, key: CacheKey, variant: Variant) -> Reason | None:
        """As `KeyMemory.not_shareable`."""
        return self._keys.glance_not_shareable(key, variant)

    def unreachable(self, key: CacheKey) -> str | None:
        """As `KeyMemory.unreachable`."""
        return self._keys.glance_unreachable(key)

    def variants(self, key: CacheKey) -> list[Entry]:
        """Every entry of the key, oldest first."""
        return [entry for entry in self._memory.variants(key) if self._purging.checked(entry) is not None]
