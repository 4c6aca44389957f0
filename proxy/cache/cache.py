"""The response cache: memory and disk tier, what is remembered of keys, fences and purges, under one roof.

Every change of what may be served goes through here, so that no purge forgets one of them.
"""

from __future__ import annotations

from proxy.cache.admission import Admission
from proxy.cache.disk.fill import DiskFill
from proxy.cache.disk.statistics import DiskStatistics
from proxy.cache.disk.store import DiskStore
from proxy.cache.disk_tier import DiskTier
from proxy.cache.elsewhere import Elsewhere
from proxy.cache.entry import Entry, HeadMemo
from proxy.cache.fences import Fences
from proxy.cache.fill_budget import FillBudget
from proxy.cache.glance import Glance
from proxy.cache.holds import Holds
from proxy.cache.key_memory import KeyMemory
from proxy.cache.memory import MemoryStatistics, MemoryStore
from proxy.cache.purge_count import PurgeCount
from proxy.cache.purging import Covers, PurgeReceipt, PurgeStatistics, Purging
from proxy.cache.recalled import Recalled
from proxy.clock import Clock
from proxy.config.settings import CacheSettings
from proxy.http.messages import RequestHead
from proxy.policy.key_parts import target_key_of
from proxy.policy.keys import CacheKey, Variant, variant_of
from proxy.policy.purges import Coverage, Everything, PurgeKind, Targets
from proxy.policy.sharing import Reason

RECALLED_VARIANTS = 1024
"""Variants of one key that may be recalled into memory; the disk kept no more than the route allows."""


class ResponseCache:
    """Stored responses by key and variant. Not thread-safe: one event loop owns it."""

    def __init__(
        self,
        settings: CacheSettings,
        *,
        clock: Clock,
        disk: DiskStore | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.clock = clock
        self._elsewhere = elsewhere
        self.keys = KeyMemory(clock=clock, max_keys=settings.max_keys_remembered)
        self.admission = Admission(max_keys=settings.max_keys_remembered)
        self.fences = Fences()
        self.holds = Holds()
        self.fill_budget = FillBudget(limit_bytes=settings.max_fill_bytes)
        self.max_entry_bytes = settings.max_entry_bytes
        self._memory = MemoryStore(
            max_bytes=settings.max_bytes, max_entry_bytes=settings.max_entry_bytes, policy=settings.policy
        )
        self._purging = Purging(self._memory, fences=self.fences, clock=clock, forget=self.keys.forget)
        self._disk: DiskTier | None = None
        self._recalled = Recalled()
        self._held: Entry | None = None  # the last recall that memory did not take; until anything changes
        if disk is not None:
            self.attach(disk)

    def __repr__(self) -> str:
        return f"<ResponseCache {self._memory!r} {self.fences!r}>"

    def statistics(self) -> MemoryStatistics:
        """The memory tier's counters."""
        return self._memory.statistics()

    def purge_statistics(self) -> PurgeStatistics:
        """The purges' counters."""
        return self._purging.statistics()

    @property
    def purging(self) -> Purging:
        """The purges that are not swept yet; to be asked of an entry that is held for longer than a step."""
        return self._purging

    def close(self) -> None:
        """Stop sweeping."""
        self._purging.close()

    def variant_of(self, key: CacheKey, request: RequestHead) -> Variant:
        """Which variant of the key this request selects, as far as is known of the key (RFC 9111 §4.1)."""
        names = self.keys.varies_on(key)
        if not names and self._disk is not None:
            names = self._disk.varies_on(key)
        return variant_of(names, request) if names else ()

    def placed(self, key: CacheKey) -> CacheKey:
        """The key under which to look for, and to share, what answers the target that this is the key of.

        That of all targets that are equivalent, as far as is known; but what is stored for the very target
        is not lost because another response of its page was told to vary less.
        """
        shared = self.keys.under_search(key)
        if shared is key or self._memory.variants(shared) or not self._memory.variants(key):
            return shared
        return key

    def get(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry at this place, fresh or stale."""
        entry = self._memory.get(key, variant)
        if entry is None and self._disk is not None:
            entry = self._held_at(key, variant) or self._disk.opened(key, variant)
        if entry is None or entry.epoch >= self._purging.newest:
            return entry
        return self._purging.checked(entry)

    def memo_of(self, entry: Entry) -> HeadMemo:
        """The memo of an entry that is to be given to a client."""
        return self._memory.memo_of(entry)

    def variants(self, key: CacheKey) -> list[Entry]:
        """Every entry of the key, fresh or stale, oldest first. Does not count as a use."""
        return [entry for entry in self._memory.variants(key) if self._purging.checked(entry) is not None]

    def may_recall(self, key: CacheKey, request: RequestHead) -> bool:
        """Whether the disk may have what memory has not: then `recall`, and look again.

        What the disk has at hand is in memory after this.
        """
        disk = self._disk
        if disk is None:
            return False
        variant = self.variant_of(key, request)
        if self.get(key, variant) is not None or not disk.may_have(key, variant):
            return False
        disk.recall_nowait(key, variant)
        return self.get(key, variant) is None

    async def recall(self, key: CacheKey, request: RequestHead) -> None:
        """Read from disk what the request selects."""
        if self._disk is not None:
            await self._disk.recall(key, self.variant_of(key, request), request)

    def attach(self, disk: DiskStore) -> None:
        """A disk tier from here on; what it holds must have been purged as memory was."""
        self._disk = DiskTier(disk, fences=self.fences, take_in=self._take_in)

    def _take_in(self, entry: Entry) -> None:
        """An entry was recalled; one whose body stays in its file lies open from now on.

        What is not worth a place in memory is held for those who recalled it, who look again in this step.
        """
        self.keys.learn_varies_on(entry.key, entry.varies_on)
        memory, key, variant = self._memory, entry.key, entry.variant
        if not entry.body.whole or memory.peek(key, variant) is entry:
            return
        worth_it = memory.has_room(entry.body.received_bytes) or self._recalled.again(
            key, variant, within=len(memory)
        )
        self._held = None
        if not worth_it or not memory.put(entry, max_variants=RECALLED_VARIANTS):
            self._held = entry

    def _held_at(self, key: CacheKey, variant: Variant) -> Entry | None:
        held = self._held
        return held if held is not None and held.key == key and held.variant == variant else None

    async def durable(self) -> None:
        """Wait until what has been purged so far is so everywhere, and no restart can bring it back.

        Raises: PurgeNotDurable.
        """
        if self._elsewhere is not None:
            await self._elsewhere.settled()
        await self.durable_here()

    async def durable_here(self) -> None:
        """The same, of this process alone. Raises: PurgeNotDurable."""
        if self._disk is not None:
            await self._disk.durable()

    def disk_statistics(self) -> DiskStatistics | None:
        """The disk tier's counters; None without one."""
        return None if self._disk is None else self._disk.statistics()

    def not_shareable(self, key: CacheKey, variant: Variant) -> Reason | None:
        """Why nobody should wait for this key now, or None."""
        return self.keys.not_shareable(key, variant)

    def unreachable(self, key: CacheKey) -> str | None:
        """What the last connection failed with, if that is a moment ago."""
        return self.keys.unreachable(key)

    def glance(self) -> Glance:
        """The same, read without a trace."""
        return Glance(self._memory, self._purging, self.keys, disk=self._disk)

    def store(self, entry: Entry, *, began: int, max_variants: int) -> bool:
        """Store what a fill that began in epoch `began` brought; False if fenced, held or too large."""
        if self.fences.crossed(began, entry.key, entry.tags):
            return False
        if self.holds.covers(entry.key, entry.tags, now_mono=self.clock.mono()):
            return False
        self._held = None
        entry.epoch = self.fences.epoch
        kept = entry.body.whole and self._memory.put(entry, max_variants=max_variants)
        if not entry.body.whole:  # freshened, and its body stays in its file
            self._memory.remove(entry.key, entry.variant)
        if self._disk is not None:
            kept = self._disk.put(entry, max_variants=max_variants) or kept
        if not kept:
            return False
        self.keys.learn_varies_on(entry.key, entry.varies_on)
        self.keys.clear_mark(entry.key, entry.variant)
        return True

    def spool(self, expected_bytes: int | None) -> DiskFill | None:
        """Where a body that is too large for memory is kept while it comes; None if the disk takes none."""
        return None if self._disk is None else self._disk.begin(expected_bytes)

    async def store_spooled(self, entry: Entry, spool: DiskFill, *, began: int, max_variants: int) -> bool:
        """As `store`, of a body that was spooled; returns when it can be found on disk."""
        if self.fences.crossed(began, entry.key, entry.tags):
            return False
        if self.holds.covers(entry.key, entry.tags, now_mono=self.clock.mono()):
            return False
        self._held = None
        entry.epoch = self.fences.epoch
        if not await spool.commit(entry, max_variants=max_variants):
            return False
        self._held = None
        older = self._memory.get(entry.key, entry.variant)
        if older is not None and older.requested_mono <= entry.requested_mono:
            self._memory.remove(entry.key, entry.variant)
        self.keys.learn_varies_on(entry.key, entry.varies_on)
        self.keys.clear_mark(entry.key, entry.variant)
        return True

    def discard(self, entry: Entry) -> None:
        """Its revalidation brought what may not be stored: the old answer is told no more."""
        self._held = None
        if self._memory.get(entry.key, entry.variant) is entry:
            self._memory.remove(entry.key, entry.variant)
        if self._disk is not None:
            self._disk.discard(entry)

    def begin_purge(
        self,
        coverage: Coverage,
        *,
        soft: bool = False,
        kind: PurgeKind | None = None,
        hold_s: float = 0.0,
    ) -> PurgeReceipt:
        """Purge what it covers, in this step; what there was is removed, or made stale, in the turns after.

        A fill that runs now is not stored, soft or hard: it may have been generated before what the
        purge tells of. Nor is what is fetched within `hold_s` from now (`holds.py`), of targets and labels.
        Other workers are told; `durable` waits for them.
        """
        receipt = self.purge_here(coverage, soft=soft, kind=kind or coverage.kind, hold_s=hold_s)
        if self._elsewhere is not None:
            receipt.elsewhere = self._elsewhere.purge(coverage, soft=soft, hold_s=hold_s)
        return receipt

    def tell_others(self, key: CacheKey, *, soft: bool) -> None:
        """What is stored here under this key proved to be untrue: so are the copies of other workers."""
        if self._elsewhere is not None:
            target = Targets(frozenset({target_key_of(key)}))
            _entries = self._elsewhere.purge(target, soft=soft, hold_s=0.0)  # `durable` waits for it

    def purge_here(
        self, coverage: Coverage, *, soft: bool, kind: PurgeKind | None, hold_s: float = 0.0
    ) -> PurgeReceipt:
        """The same, of this process alone. Without a kind it is not counted: another has counted it."""
        self._held = None
        if hold_s > 0:
            now_mono = self.clock.mono()
            self.holds.hold(coverage, until_mono=now_mono + hold_s, now_mono=now_mono)
        count = PurgeCount(both=self._disk is not None)
        on_disk = None if self._disk is None else self._disk.purge(coverage, soft=soft, count=count)
        places = self._memory.places(coverage, all_at_once=not soft)
        receipt = self._purging.begin(kind, coverage.covers, soft=soft, places=places, count=count)
        receipt.on_disk = on_disk
        return receipt

    def purge(self, key: CacheKey, *, soft: bool = False) -> int:
        """Purge every variant of this very key, as an invalidation; how many there were."""
        self._held = None
        self.keys.forget(key)
        count = PurgeCount(both=self._disk is not None)
        if self._disk is not None:
            self._disk.purge_key(key, soft=soft, count=count)
        places = [(key, entry.variant) for entry in self._memory.variants(key)]
        receipt = self._purging.begin(
            PurgeKind.INVALIDATION, lambda one, _labels: one == key, soft=soft, places=places, count=count
        )
        return receipt.entries

    def purge_where(self, covers: Covers, *, soft: bool = False) -> int:
        """Purge what `covers(key, labels)` accepts; how many were found in this step."""
        self._held = None
        count = PurgeCount(both=self._disk is not None)
        if self._disk is not None:
            self._disk.purge_where(covers, soft=soft, count=count)
        places = self._memory.places(Everything(), all_at_once=not soft)
        receipt = self._purging.begin(PurgeKind.PATTERN, covers, soft=soft, places=places, count=count)
        return receipt.entries

    def purge_all(self, *, soft: bool = False) -> int:
        """Purge everything; how many were found in this step."""
        return self.begin_purge(Everything(), soft=soft).entries
