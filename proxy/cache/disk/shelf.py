"""The shelf: index, files and the room for them, kept in step. What the parts of the tier share.

Whatever is taken out of the index is unlinked by the job queue, in order; whatever is to be written has
its room reserved first, and what must go for it is queued before it. So the files stay within the bound,
except for the time of one slice when a single large object displaces very many small ones.

Room is `max_bytes`, or less where others fill the file system: `limit_bytes` is set from what is free at
every check, and what we write ourselves is counted against it in between.
"""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

from cachetools import LRUCache

from proxy.cache.disk.bans import Bans
from proxy.cache.disk.directory import Directory
from proxy.cache.disk.health import OUT_OF_ROOM, Health
from proxy.cache.disk.index import Index, Indexed
from proxy.cache.disk.job_queue import Job, JobQueue
from proxy.cache.disk.layout import Unusable
from proxy.cache.disk.object_file import allocated_bytes
from proxy.cache.disk.place import Place
from proxy.cache.disk.record import Moment
from proxy.cache.disk.statistics import Counters
from proxy.cache.entry import Entry
from proxy.clock import Clock
from proxy.config.settings import DiskSettings
from proxy.tasks import spawn

EVICT_AT_ONCE: Final = 256
"""Objects taken out in one turn of the loop: about 1 ms."""

UNLINKS_A_JOB: Final = 32
"""Handing over each alone would cost more than the unlink."""

_SHED_WHEN_FULL: Final = 64
"""The part of the objects that goes when the disk says that it is full, although we counted otherwise."""


class Shelf:
    """Objects within their room. The event loop owns it."""

    def __init__(self, settings: DiskSettings, *, clock: Clock, boot: bytes) -> None:
        self.settings = settings
        self.clock = clock
        self.boot = boot
        self.directory = Directory(settings.directory)
        self.index = Index()
        self.bans = Bans()
        self.counters = Counters()
        self.jobs = JobQueue(max_bytes=settings.max_queue_bytes)
        self.reads = Health("reading", clock=clock, retry_after_s=settings.retry_after_s)
        self.writes = Health("writing", clock=clock, retry_after_s=settings.retry_after_s)
        self.opened: LRUCache[Place, Entry] = LRUCache(maxsize=settings.max_open_files)
        self.generation = 0
        self.frame_bytes = 4096
        self.limit_bytes = settings.max_bytes
        self.reserved_bytes = 0
        self._doomed: Counter[Place] = Counter()
        self._unlinking: tuple[list[Place], Job | None] = ([], None)
        self.remains = False  # a purged file may still be there: the purge log must be kept
        self._clearing: asyncio.Task[None] | None = None
        self._shedding: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Shelf {self.index!r} of {self.limit_bytes}, {self.reserved_bytes} reserved>"

    def moment(self) -> Moment:
        """Both clocks, now."""
        return Moment(self.clock.now(), self.clock.mono(), self.boot)

    def allocated(self, file_bytes: int) -> int:
        """What a file of this size takes of the file system."""
        return allocated_bytes(file_bytes, self.frame_bytes)

    # objects

    def admit(self, item: Indexed, *, max_variants: int) -> None:
        """An object was written: index it, and take out what it replaces.

        Variants that were chosen by other field names cannot be found any more; of too many the oldest go.
        """
        self.opened.pop(item.place, None)
        if self.index.remove(item.place) is not None:
            self.counters.replaced += 1
        siblings = self.index.of_key(item.place.key_digest)
        for number, other in enumerate(siblings, start=1):
            if other.varies_on != item.varies_on or number >= max_variants:
                self.remove(other.place)
        self.index.insert(item)
        self.make_room()

    def remove(self, place: Place) -> bool:
        """Take an object out; whether the index had it."""
        found = self.index.remove(place) is not None
        self.opened.pop(place, None)
        self.unlink(place)
        return found

    def drop(self, place: Place, reason: Unusable) -> None:
        """A file is of no use: take it out, if there is one, and count it."""
        self.counters.drop(reason)
        if reason is Unusable.MISSING:
            self.index.remove(place)
        else:
            self.remove(place)

    def unlink(self, place: Place) -> None:
        """Remove the file, after what was queued before."""
        self._doomed[place] += 1
        places, job = self._unlinking
        if job is not None and job is self.jobs.last and len(places) < UNLINKS_A_JOB:
            places.append(place)  # nothing was queued in between, so the order stays
            return
        places = [place]
        job = Job(partial(self._unlink, places), partial(self._unlinked, places))
        self._unlinking = (places, job)
        self.jobs.put(job)

    def _unlink(self, places: Sequence[Place]) -> None:
        failed: OSError | None = None
        for place in places:
            try:
                self.directory.unlink_object(place)
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    def _unlinked(self, places: Sequence[Place], error: OSError | None) -> None:
        for place in places:
            self._doomed[place] -= 1
            if not self._doomed[place]:
                del self._doomed[place]
        if error is not None:
            self.remains = True
            self.writes.failed(error)

    def is_doomed(self, place: Place) -> bool:
        """Whether what lies at a place that is not indexed is only waiting to be removed."""
        return place in self._doomed

    def soften(self, place: Place) -> None:
        """An object was purged softly: say so in the index, in its file, and to those who get it now."""
        self.index.soften(place)
        entry = self.opened.get(place)
        if entry is not None:
            entry.soften(self.clock.mono())
        self.jobs.put(Job(partial(self.directory.soften_object, place), self._softened))

    def _softened(self, error: OSError | None) -> None:
        if error is not None:
            self.remains = True
            self.writes.failed(error)

    # room

    def reserve(self, octets: int) -> bool:
        """Room for what is to be written; False if there can never be so much."""
        if octets + self.reserved_bytes > self.limit_bytes:
            return False
        self.reserved_bytes += octets
        self.make_room()
        return True

    def release(self, octets: int) -> None:
        """It was written and is in the index, or it was not."""
        self.reserved_bytes -= octets

    def measured(self, free_bytes: int) -> None:
        """So much is free on the file system: more than `min_free_bytes` of it may be used."""
        ours = self.index.allocated_bytes + free_bytes - self.settings.min_free_bytes
        self.limit_bytes = max(0, min(self.settings.max_bytes, ours))
        self.make_room()

    def write_failed(self, error: OSError) -> None:
        """Rest from writing; a disk that is full, whatever we counted, is made emptier."""
        self.writes.failed(error)
        if error.errno in OUT_OF_ROOM and self._shedding is None:
            self._shedding = spawn(self._shed(), name="disk shedding")

    def read_failed(self, place: Place, error: OSError) -> None:
        """A file could not be read: rest, if that is not about this file alone."""
        self.counters.drop(Unusable.FAILED)
        self.reads.failed(error)
        if error.errno == errno.EIO:
            self.remove(place)

    def make_room(self) -> None:
        """Evict what is too much; a slice now, and the rest in turns of the loop."""
        if self._clearing is None and not self._evict(EVICT_AT_ONCE):
            self._clearing = spawn(self._clear(), name="disk eviction")

    def _evict(self, count: int) -> bool:
        """Take out up to `count` objects; whether what remains fits."""
        for _ in range(count):
            if self.index.allocated_bytes + self.reserved_bytes <= self.limit_bytes:
                return True
            if not self._evict_one():
                return True
        return self.index.allocated_bytes + self.reserved_bytes <= self.limit_bytes

    def _evict_one(self) -> bool:
        item = self.index.evict()
        if item is None:
            return False
        self.opened.pop(item.place, None)
        self.unlink(item.place)
        self.counters.evictions += 1
        return True

    async def _shed(self) -> None:
        try:
            for number in range(1 + len(self.index) // _SHED_WHEN_FULL):
                if not self._evict_one():
                    return
                if number % EVICT_AT_ONCE == 0:
                    await asyncio.sleep(0)
        finally:
            self._shedding = None

    async def _clear(self) -> None:
        try:
            while not self._evict(EVICT_AT_ONCE):  # noqa: ASYNC110 - a turn for others, not a poll
                await asyncio.sleep(0)
        finally:
            self._clearing = None
