"""Purging of what is stored: at once, however much it is; swept up afterwards.

Theory of operation.

    purge ──► the next epoch, and a fence: no fill on its way brings back what is purged (`fences.py`)
         ├──► pending: from this step on no look-up gives what it covers
         └──► a sweep: slices of what it may cover are removed, or made stale; then it is pending no more

A purge holds in the step in which it is made, so it can be acknowledged without having touched 100,000
entries; and it never holds up the loop, since the sweep gives way after each slice. Between the two stands
`checked`: an entry carries the epoch in which it was last found to be covered by nothing, so a look-up
compares two numbers, and asks the pending purges once for each entry and each purge.

What one slice can hold is swept in the step itself. Too many pending purges at a time are swept in the step
as well: then the loop is held up, but nothing grows and no purge is refused.

Rejected: one long removal in the step (100,000 entries are half a second), and a thread (it would need
locks on the way of every hit).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from proxy.cache.entry import Entry
from proxy.cache.fences import Fences
from proxy.cache.memory import MemoryStore
from proxy.cache.place_index import Place, Places
from proxy.cache.purge_count import PurgeCount
from proxy.clock import Clock
from proxy.policy.keys import CacheKey
from proxy.policy.purges import PurgeKind
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

SLICE: Final = 128
"""Entries looked at in one turn of the loop: 1 to 2 ms if all of them are removed."""

MAX_PENDING: Final = 64
"""Purges that are swept at one time."""

Covers = Callable[[CacheKey, frozenset[bytes]], bool]


@dataclass(frozen=True, slots=True)
class PurgeStatistics:
    """Counters since the start. `entries` were removed or made stale; `pending` are still swept."""

    purges: dict[PurgeKind, int]
    entries: int
    pending: int


class PurgeReceipt:
    """What becomes of one purge, which holds from the moment the receipt exists.

    `elsewhere` tells how many entries other workers found, where there are any; `on_disk` waits for the disk
    to have found all.
    """

    __slots__ = ("_done", "_waiting", "count", "elsewhere", "on_disk")

    def __init__(self, count: PurgeCount | None = None) -> None:
        self.count = count or PurgeCount(both=False)
        self.elsewhere: asyncio.Future[int] | None = None
        self.on_disk: Callable[[], Awaitable[None]] | None = None
        self._done = False
        self._waiting: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        return f"<PurgeReceipt {self.entries} entries, {'swept' if self._done else 'pending'}>"

    @property
    def entries(self) -> int:
        """How many have been removed or made stale so far, in memory and on disk, each counted once."""
        return self.count.entries

    @property
    def done(self) -> bool:
        """Whether all that it covers was found in memory."""
        return self._done

    async def swept(self) -> int:
        """Wait until all that it covers was found; how many entries there were.

        While the index of the disk is being rebuilt, and of a disk that takes long, it is as many as were
        found until now.
        """
        if not self._done:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting
        if self.on_disk is not None:
            await self.on_disk()
        return self.entries

    def finish(self) -> None:
        """All was found."""
        self._done = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()


@dataclass(slots=True, eq=False)
class _Pending:
    epoch: int
    covers: Covers
    soft: bool
    places: Places
    receipt: PurgeReceipt


class Purging:
    """Purges the memory tier. Not thread-safe: one event loop owns it."""

    def __init__(
        self, memory: MemoryStore, *, fences: Fences, clock: Clock, forget: Callable[[CacheKey], None]
    ) -> None:
        self.newest = 0
        """The epoch of the newest pending purge, 0 without any: entries of an older one are to be checked."""
        self._memory = memory
        self._fences = fences
        self._clock = clock
        self._forget = forget
        self._pending: deque[_Pending] = deque()
        self._sweeping: asyncio.Task[None] | None = None
        self._purges: Counter[PurgeKind] = Counter()
        self._entries = 0

    def __repr__(self) -> str:
        return f"<Purging {len(self._pending)} pending, {self._entries} entries purged>"

    def statistics(self) -> PurgeStatistics:
        """Counters since the start."""
        return PurgeStatistics(
            purges={kind: self._purges[kind] for kind in PurgeKind},
            entries=self._entries,
            pending=len(self._pending),
        )

    def close(self) -> None:
        """Stop sweeping; whoever waits for a receipt is told what was found until now."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._pending:
            self._pending.popleft().receipt.finish()
        self.newest = 0

    def begin(
        self,
        kind: PurgeKind | None,
        covers: Covers,
        *,
        soft: bool,
        places: Places,
        count: PurgeCount | None = None,
    ) -> PurgeReceipt:
        """Purge, in this step; it is counted under its kind, if it has one.

        `places` are those of all entries that it may cover, some perhaps twice; the list is used up.
        """
        if kind is not None:
            self._purges[kind] += 1
        if not places:  # mostly, where much is written: nothing is stored for it
            self._fences.raise_fence(covers)
            receipt = PurgeReceipt(count)
            receipt.finish()
            return receipt
        pending = _Pending(self._fences.raise_fence(covers), covers, soft, places, PurgeReceipt(count))
        if len(places) <= SLICE or len(self._pending) >= MAX_PENDING:
            if len(places) > SLICE:
                logger.warning("purge_swept_at_once entries=%d pending=%d", len(places), len(self._pending))
            self._sweep_at_once(pending)
            return pending.receipt
        self._pending.append(pending)
        self.newest = pending.epoch
        if self._sweeping is None:
            self._sweeping = spawn(self._sweep(), name="purge sweep")
        return pending.receipt

    def checked(self, entry: Entry) -> Entry | None:
        """The entry, made stale if a pending purge says so; None, and it is gone, if it is purged."""
        if entry.epoch >= self.newest:
            return entry
        for pending in self._pending:
            if pending.epoch > entry.epoch and pending.covers(entry.key, entry.tags):
                self._take(entry, pending)
                if not pending.soft:
                    return None
        entry.epoch = self.newest
        return entry

    def _take(self, entry: Entry, pending: _Pending) -> None:
        self._forget(entry.key)
        if pending.soft:
            entry.soften(self._clock.mono())
        else:
            self._memory.remove(entry.key, entry.variant)
        pending.receipt.count.found(entry.key, entry.variant)
        self._entries += 1

    def _sweep_at_once(self, pending: _Pending) -> None:
        for place in dict.fromkeys(pending.places):
            entry = self._memory.peek(*place)
            if entry is not None and pending.covers(entry.key, entry.tags):
                self._take(entry, pending)
        pending.receipt.finish()

    async def _sweep(self) -> None:
        """The pending purges in their order: what one finds has been checked against all of them."""
        while self._pending:
            places = self._pending[0].places
            while places:
                for place in _slice_of(places):
                    entry = self._memory.peek(*place)
                    if entry is not None:
                        self.checked(entry)
                await asyncio.sleep(0)
            self._pending.popleft().receipt.finish()
        self.newest = 0
        self._sweeping = None


def _slice_of(places: Places) -> list[Place]:
    """The next places, which are taken out."""
    if isinstance(places, dict):
        return [places.popitem()[0] for _ in range(min(SLICE, len(places)))]
    taken = places[-SLICE:]
    del places[-SLICE:]
    return taken
