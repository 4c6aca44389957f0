"""Which representation of a sliced URL is the newest; every other is dropped when it is met.

Of two the older is that which was asked for earlier. Dropping is a purge by the label that all slices of a
representation share: stored ones go, memory and disk, and a fill on its way is not stored.
"""

from __future__ import annotations

import logging

from proxy.cache.cache import ResponseCache
from proxy.coalesce.slice_memory import Known, SliceMemory
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.purges import PurgeKind, Tagged

logger = logging.getLogger(__name__)


class Representations:
    """The newest representations, and the dropping of others."""

    def __init__(self, cache: ResponseCache, memory: SliceMemory) -> None:
        self._cache = cache
        self._memory = memory

    def __repr__(self) -> str:
        return f"<Representations {self._memory!r}>"

    def current(self, key: CacheKey, variant: Variant) -> Known | None:
        """The newest, as far as known."""
        return self._memory.current(key, variant)

    def notice(self, met: Known) -> Known | None:
        """What is known of the representation of a slice; None if that was dropped, as an older one."""
        known = self._memory.current(met.key, met.variant)
        if known is not None and known.label != met.label:
            if met.asked_mono < known.asked_mono:
                self.drop(met)
                return None
            self.drop(known)
        elif known is not None and met.asked_mono < known.asked_mono:
            return known
        self._memory.learn(met)
        return met

    def superseded(self, known: Known) -> None:
        """The origin has something else by now: no slice of this representation is given out again."""
        current = self._memory.current(known.key, known.variant)
        if current is None or current.label == known.label:
            self._memory.forget(known.key, known.variant)
            self.drop(known)
            validator = known.representation.validator
            logger.warning("representation_changed key=%r validator=%r", known.key, validator)

    def drop(self, known: Known) -> None:
        """Take every slice of it out of the cache."""
        self._cache.begin_purge(Tagged(frozenset({known.label})), kind=PurgeKind.INVALIDATION)
