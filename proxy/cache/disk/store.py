"""The disk tier: stored responses that outlive the process, and that are too much for memory.

    index.py      what lies there, in numbers            place.py    how files are named
    shelf.py      index, files and room in step          layout.py   what is in a file, and its checksums
    commits.py    how an object gets into its place      record.py   what is kept beside the body
    fill.py       a body spooled while it streams        object_file.py  reading and writing one file
    loads.py      from a place to an entry               file_body.py    a body read from its file
    purges.py     purging, its log and its sweep         bans.py, purge_log.py
    rebuild.py    the index at start                     directory.py, job_queue.py, health.py

Theory of operation. The event loop owns the index and decides; threads read and write files. Files are
believed only after their own checksums, and only if no purge covers them; the index is a hint. So the
order in which threads and loop see things can cost a miss, and never serves what should not be served:
not after a kill at any moment, not after a purge, not while the index is being rebuilt.

A disk that fails or is full costs the disk copy and nothing else: the tier rests for a while, says so
once, and memory serves alone (`health.py`).

Threads: one that writes in order (`job_queue.py`), one for the purge log, so that an acknowledgement does
not wait behind a large copy, one that scans, a few that read, and two that spool: a disk that writes slowly
does not keep the readers of what memory has of it waiting.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Final

from cachetools import Cache

from proxy.cache.disk.bans import Purge
from proxy.cache.disk.commits import RECORD_ROOM_BYTES, Commits
from proxy.cache.disk.file_body import FileBody
from proxy.cache.disk.fill import RESERVE_BYTES, DiskFill
from proxy.cache.disk.index import Indexed
from proxy.cache.disk.layout import Unusable
from proxy.cache.disk.loads import Loads, boot_identity
from proxy.cache.disk.place import key_digest, place_of
from proxy.cache.disk.purges import PurgeReceipt, Purges
from proxy.cache.disk.rebuild import Rebuild
from proxy.cache.disk.shelf import Shelf
from proxy.cache.disk.statistics import DiskStatistics
from proxy.cache.entry import Entry
from proxy.cache.purge_count import OnFound
from proxy.clock import Clock
from proxy.config.settings import DiskSettings
from proxy.errors import ConfigError
from proxy.http.messages import RequestHead
from proxy.policy.keys import CacheKey, Variant, variant_of
from proxy.tasks import spawn

READ_THREADS: Final = 4
SPOOL_THREADS: Final = 2


class DiskStore:
    """Entries on disk. Not thread-safe: one event loop owns it, from `open` to `close`.

    `boot` tells one boot of the machine from another (8 octets); the system's own unless a test says.
    """

    def __init__(self, settings: DiskSettings, *, clock: Clock, boot: bytes | None = None) -> None:
        self.settings = settings
        self._shelf = Shelf(settings, clock=clock, boot=boot_identity() if boot is None else boot)
        self._scanner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk-scan")
        self._threads = ThreadPoolExecutor(max_workers=READ_THREADS, thread_name_prefix="disk-read")
        self._spoolers = ThreadPoolExecutor(max_workers=SPOOL_THREADS, thread_name_prefix="disk-spool")
        self._commits = Commits(self._shelf)
        self._loads = Loads(self._shelf, self._commits, self._threads)
        self._purges = Purges(self._shelf, scanner=self._scanner)
        self._rebuild = Rebuild(self._shelf, self._loads)
        self._fills: set[DiskFill] = set()
        self._rebuilding: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._open = False

    def __repr__(self) -> str:
        return f"<DiskStore {self._shelf!r} complete={self.index_complete}>"

    # life

    async def open(self) -> None:
        """Take the directory and begin to serve; the index is rebuilt meanwhile.

        Raises: ConfigError if the directory cannot be used, or another process uses it.
        """
        loop = asyncio.get_running_loop()
        shelf = self._shelf
        try:
            await loop.run_in_executor(self._scanner, shelf.directory.acquire)
            shelf.generation = await self._purges.open()
            found = await loop.run_in_executor(self._scanner, os.statvfs, shelf.directory.path)
        except OSError as error:
            await self._release()
            raise ConfigError(
                f"cache.disk.directory is {self.settings.directory}, which cannot be used: {error}"
            ) from error
        except ConfigError:
            await self._release()
            raise
        for _ in range(shelf.directory.leftovers):
            shelf.counters.drop(Unusable.UNFINISHED)
        shelf.frame_bytes = max(512, found.f_bsize)
        self._open = True
        self._rebuilding = spawn(self._run_rebuild(), name="disk rebuild")
        self._checking = spawn(self._check_room(), name="disk room")

    async def _run_rebuild(self) -> None:
        known = self._shelf.bans.sequence
        await self._rebuild.run(self._scanner)
        if self.index_complete:
            self._purges.index_complete(upto=known)

    async def _check_room(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                free_bytes = await loop.run_in_executor(self._threads, self._shelf.directory.free_bytes)
            except OSError as error:
                self._shelf.write_failed(error)
            else:
                self._shelf.measured(free_bytes)
            await asyncio.sleep(self.settings.check_interval_s)

    async def close(self) -> None:
        """Write what is queued, stop the threads, let others have the directory. Idempotent."""
        if not self._open:
            return
        self._open = False
        if self._checking is not None:
            self._checking.cancel()
        self._rebuild.stop()
        if self._rebuilding is not None:
            await asyncio.wait([self._rebuilding])
        for fill in list(self._fills):
            await fill.abort()
        self._shelf.opened.clear()
        await self._release()

    async def _release(self) -> None:
        await self._purges.close()
        await self._shelf.jobs.close()
        self._scanner.shutdown()
        self._threads.shutdown()
        self._spoolers.shutdown()
        self._shelf.directory.release()

    async def wait_complete(self) -> None:
        """Wait until the index is complete, or the tier was closed."""
        if self._rebuilding is not None:
            await asyncio.shield(self._rebuilding)

    async def wait_written(self) -> None:
        """Wait until everything put so far is written, or was given up."""
        await self._shelf.jobs.barrier()

    # looking

    @property
    def index_complete(self) -> bool:
        """Whether the index knows every file."""
        return self._rebuild.complete

    def knows_all_of(self, key: CacheKey) -> bool:
        """Whether the index knows all there is of this key; else `probe` makes it so."""
        return self._rebuild.reached(key_digest(key))

    def varies_on(self, key: CacheKey) -> tuple[bytes, ...]:
        """The field names by which the key's objects were chosen, as far as indexed."""
        return self._shelf.index.varies_on(key_digest(key))

    def get(self, key: CacheKey, variant: Variant) -> Indexed | None:
        """What the index knows of this place: whether it is worth loading. Counts as a use."""
        return self._shelf.index.get(place_of(key, variant), touch=True)

    def glance(self, key: CacheKey, variant: Variant) -> Entry | None:
        """As `opened`; neither a use nor a hit."""
        place = place_of(key, variant)
        if place not in self._shelf.opened:
            return None
        entry: Entry = Cache.__getitem__(self._shelf.opened, place)
        return entry if _is_good(entry, key, variant) else None

    def has(self, key: CacheKey, variant: Variant) -> bool:
        """Whether the index has this place. Counts as a use."""
        return self._shelf.index.has(place_of(key, variant), touch=True)

    def knows(self, key: CacheKey, variant: Variant) -> bool:
        """Whether the index has this place; no use of it."""
        return self._shelf.index.has(place_of(key, variant))

    def opened(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry, if its file is open: then its head is here, and its body is read from disk."""
        entry = self._shelf.opened.get(place_of(key, variant))
        if entry is None or not _is_good(entry, key, variant):
            return None
        self._shelf.index.has(place_of(key, variant), touch=True)
        self._shelf.counters.hits += 1
        return entry

    async def probe(self, key: CacheKey) -> None:
        """Index this key's files now, ahead of the rebuild."""
        if not self.knows_all_of(key) and self._open:
            await self._loads.probe(key)

    def load_nowait(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry at this place, if it is at hand; None says nothing."""
        return self._loads.load_nowait(key, variant) if self._open else None

    async def load(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry at this place, its body in memory if it is small; None if there is no good one.

        A purge may come between its end and the caller's next step: ask the fences before serving it.
        """
        if not self._open:
            return None
        gone = self.knows_all_of(key) or self._shelf.is_doomed(place_of(key, variant))
        if gone and self.get(key, variant) is None:
            self._shelf.counters.misses += 1
            return None
        return self.opened(key, variant) or await self._loads.load(key, variant)

    async def find(self, key: CacheKey, request: RequestHead) -> Entry | None:
        """The entry that this request selects (RFC 9111 §4.1), by what the disk knows of the key."""
        await self.probe(key)
        names = self.varies_on(key)
        return await self.load(key, variant_of(names, request) if names else ())

    # storing

    def put(self, entry: Entry, *, max_variants: int) -> bool:
        """Write an entry, behind; False if it will not be. Never waits.

        Call it in the step in which the fences were asked about the entry: purges from then on are ours
        to look after. Its body is whole in memory, or is that of an entry from this store.
        """
        return self._open and self._commits.put(entry, max_variants=max_variants) is not None

    def begin(self, expected_bytes: int | None = None) -> DiskFill | None:
        """A body that is to be spooled while it comes; None if there is no room, or the tier rests.

        There may be as many as there may be open files.
        """
        shelf = self._shelf
        if not self._open or not shelf.writes.usable:
            shelf.counters.unavailable += 1
            return None
        if (expected_bytes or 0) > self.settings.max_entry_bytes:
            shelf.counters.too_large += 1
            return None
        reserved = RESERVE_BYTES if expected_bytes is None else expected_bytes + RECORD_ROOM_BYTES
        if len(self._fills) >= self.settings.max_open_files or not shelf.reserve(reserved):
            shelf.counters.queue_full += 1
            return None
        fill = DiskFill(
            shelf,
            self._commits,
            readers=self._threads,
            writers=self._spoolers,
            reserved_bytes=reserved,
            on_over=self._fills.discard,
        )
        self._fills.add(fill)
        return fill

    # purging

    def purge(self, purge: Purge, on_found: OnFound | None = None) -> PurgeReceipt:
        """Purge: it holds at once. Acknowledge it to others when `durable()` has returned.

        `Purge.of` gives the purges that make up a coverage; `on_found` is told of each object found.
        """
        return self._purges.purge(purge, on_found)

    def statistics(self) -> DiskStatistics:
        """Counters since the start, and the present state."""
        shelf = self._shelf
        counted = asdict(shelf.counters)
        alarms = [health.last_error for health in (shelf.writes, shelf.reads) if health.alarm]
        return DiskStatistics(
            entries=len(shelf.index),
            allocated_bytes=shelf.index.allocated_bytes,
            reserved_bytes=shelf.reserved_bytes,
            max_bytes=shelf.limit_bytes,
            index_complete=self.index_complete,
            open_files=self._loads.open_files,
            queued_jobs=len(shelf.jobs),
            queued_bytes=shelf.jobs.held_bytes,
            bans=len(shelf.bans),
            purge_sequence=shelf.bans.sequence,
            read_failures=shelf.reads.failures,
            write_failures=shelf.writes.failures,
            alarm=alarms[0] if alarms else None,
            **counted,
        )


def _is_good(entry: Entry, key: CacheKey, variant: Variant) -> bool:
    """Whether an open entry is that of this key and variant, and was not found to be damaged."""
    body = entry.body
    assert isinstance(body, FileBody), f"{entry!r} lies open without a file"
    return entry.key == key and entry.variant == variant and not body.damaged
