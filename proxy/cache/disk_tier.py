"""The disk tier as the response cache uses it: recalled from, written behind, purged with memory.

    look-up   memory first, then what lies open on disk, then what the kernel has at hand of it, all in the
              step of the look-up; where the disk may have more, the request waits for one recall, shared
              with all who ask for the same, and looks again: what was recalled is in memory by then, or
              lies open
    store     memory at once, disk behind
    purge     both at once; `durable` waits until no restart can bring back what was purged

A recall notes the epoch in which it began, as a fill does: what was purged meanwhile is not taken in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

from proxy.cache.disk.bans import Purge
from proxy.cache.disk.fill import DiskFill
from proxy.cache.disk.purges import PurgeReceipt
from proxy.cache.disk.statistics import DiskStatistics
from proxy.cache.disk.store import DiskStore
from proxy.cache.entry import Entry
from proxy.cache.fences import Fences
from proxy.cache.purge_count import PurgeCount
from proxy.cache.purging import Covers
from proxy.http.messages import RequestHead
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.purges import Coverage
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

COUNTED_WITHIN_S: Final = 5.0
"""A purge holds without having been counted; what reads 100,000 records to find them takes about as long."""

OnDisk = Callable[[], Awaitable[None]]

TakeIn = Callable[[Entry], None]
"""Told of an entry that was recalled, in the step in which the fences let it pass."""


class DiskTier:
    """A disk store behind the memory tier."""

    def __init__(self, store: DiskStore, *, fences: Fences, take_in: TakeIn) -> None:
        self._store = store
        self._fences = fences
        self._take_in = take_in
        self._recalls: dict[tuple[CacheKey, Variant], asyncio.Task[Entry | None]] = {}
        self._unsettled: set[PurgeReceipt] = set()

    def __repr__(self) -> str:
        return f"<DiskTier {self._store!r} {len(self._recalls)} recalls>"

    def statistics(self) -> DiskStatistics:
        """The store's counters."""
        return self._store.statistics()

    def varies_on(self, key: CacheKey) -> tuple[bytes, ...]:
        """The field names by which the key's entries were chosen, as far as the disk tells."""
        return self._store.varies_on(key)

    def opened(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry, if it lies open: its head is in memory, its body is read from its file."""
        return self._store.opened(key, variant)

    def may_have(self, key: CacheKey, variant: Variant) -> bool:
        """Whether a recall is worth the wait."""
        return not self._store.knows_all_of(key) or self._store.has(key, variant)

    def glance(self, key: CacheKey, variant: Variant) -> Entry | None:
        """As `opened`; no use of it."""
        return self._store.glance(key, variant)

    def glance_may_have(self, key: CacheKey, variant: Variant) -> bool:
        """As `may_have`; no use of it."""
        return not self._store.knows_all_of(key) or self._store.knows(key, variant)

    def recall_nowait(self, key: CacheKey, variant: Variant) -> None:
        """Read it if it is at hand."""
        entry = self._store.load_nowait(key, variant)
        if entry is not None:
            entry.epoch = self._fences.epoch
            self._take_in(entry)

    async def recall(self, key: CacheKey, variant: Variant, request: RequestHead) -> None:
        """Read what the request selects, one reading for all who ask at a time.

        It is in memory in the step in which this returns, even where memory is so small that others have
        driven it out since it was read.
        """
        place = (key, variant)
        running = self._recalls.get(place)
        if running is None:
            running = self._recalls[place] = spawn(self._recall(key, request), name="disk recall")
            running.add_done_callback(lambda _task: self._recalls.pop(place, None))
        await asyncio.wait([running])
        entry = running.result() if not running.cancelled() and running.exception() is None else None
        if entry is not None and not self._fences.crossed(entry.epoch, entry.key, entry.tags):
            self._take_in(entry)

    async def _recall(self, key: CacheKey, request: RequestHead) -> Entry | None:
        began = self._fences.enter()
        try:
            entry = await self._store.find(key, request)
            if entry is not None and not self._fences.crossed(began, entry.key, entry.tags):
                entry.epoch = self._fences.epoch
                return entry
            return None
        finally:
            self._fences.leave(began)

    def put(self, entry: Entry, *, max_variants: int) -> bool:
        """Write it, behind; in the step in which the fences let it pass. False if it will not be."""
        return self._store.put(entry, max_variants=max_variants)

    def begin(self, expected_bytes: int | None) -> DiskFill | None:
        """Spool a body while it comes; None if it will not be."""
        return self._store.begin(expected_bytes)

    def discard(self, entry: Entry) -> None:
        """Take this one out."""
        self._purge([Purge.one(entry.key, entry.variant)], None)

    def purge(self, coverage: Coverage, *, soft: bool, count: PurgeCount) -> OnDisk:
        """Purge what it covers; it holds at once. What it gives waits until all was found and counted."""
        return self._purge(Purge.of(coverage, soft=soft), count)

    def purge_key(self, key: CacheKey, *, soft: bool, count: PurgeCount) -> OnDisk:
        """Purge every variant of this very key."""
        return self._purge([Purge.key(key, soft=soft)], count)

    def purge_where(self, covers: Covers, *, soft: bool, count: PurgeCount) -> OnDisk:
        """Purge what a function accepts: durable only when all has been looked at."""
        return self._purge([Purge.matching(covers, soft=soft)], count)

    def _purge(self, purges: Iterable[Purge], count: PurgeCount | None) -> OnDisk:
        on_found = None if count is None else count.found_at
        receipts = [self._store.purge(purge, on_found) for purge in purges]
        self._unsettled.update(receipts)
        return partial(self._found, receipts)

    async def _found(self, receipts: Sequence[PurgeReceipt]) -> None:
        """An index that is being rebuilt is not waited for, nor a disk for longer than is told above."""
        if not self._store.index_complete:
            return
        try:
            async with asyncio.timeout(COUNTED_WITHIN_S):
                for receipt in receipts:
                    await receipt.found()
        except TimeoutError:
            logger.warning("purge_not_counted within_s=%g", COUNTED_WITHIN_S)

    async def durable(self) -> None:
        """Wait until every purge so far is on the disk. Raises: PurgeNotDurable."""
        while self._unsettled:
            receipt = next(iter(self._unsettled))
            try:
                await receipt.durable()
            finally:
                self._unsettled.discard(receipt)
