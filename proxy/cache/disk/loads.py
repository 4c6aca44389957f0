"""Loads: from a place to an entry, with everything verified on the way.

The index is only asked whether it is worth looking. What is served is decided by the file: its footer is
of this place and generation, its record is of this key and variant, its checksums agree, and no ban
covers its epoch. The bans are kept for a load until it is over, even if their sweep ends meanwhile: it
may have read the file just before.

What the kernel has at hand is read in the step of the look-up, the rest by a thread. Small bodies come back
in memory; of larger ones the file is kept open (`opened`, a bounded table of those
used last), and the next client finds it there without waiting.
"""

from __future__ import annotations

import asyncio
import errno
import os
import weakref
from concurrent.futures import Executor
from functools import partial

from proxy.cache.disk.access import CACHED, CANNOT_SAY, READ_AT_ONCE_BYTES
from proxy.cache.disk.bans import Ban
from proxy.cache.disk.block_file import BlockFile, Descriptor
from proxy.cache.disk.commits import Commits
from proxy.cache.disk.file_body import FileBody
from proxy.cache.disk.heads import Head, Heads
from proxy.cache.disk.index import Indexed
from proxy.cache.disk.layout import Unusable
from proxy.cache.disk.object_file import Loaded, examine, load_object, read_again
from proxy.cache.disk.place import Place, key_digest, parse_name, place_of, shard_of
from proxy.cache.disk.shelf import Shelf
from proxy.cache.entry import Entry
from proxy.coalesce.body import SharedBody
from proxy.policy.keys import CacheKey, Variant
from proxy.tasks import spawn

Examined = list[tuple[Place, Indexed | Unusable]]


class Loads:
    """Reads entries; one read a place at a time, whoever waits for it."""

    def __init__(self, shelf: Shelf, commits: Commits, threads: Executor) -> None:
        self._shelf = shelf
        self._commits = commits
        self._threads = threads
        self._loading: dict[tuple[CacheKey, Variant], asyncio.Task[Entry | None]] = {}
        self._heads = Heads(max_bytes=shelf.settings.max_head_bytes)
        self._at_once = True  # until the kernel says that it cannot
        self._descriptors: weakref.WeakSet[Descriptor] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"<Loads {len(self._loading)} under way, {self.open_files} files open>"

    @property
    def open_files(self) -> int:
        """Files held open for larger bodies."""
        return len(self._descriptors)

    async def load(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry, if there is a good one. Whoever leaves stops nobody else's load."""
        loading = self._loading.get((key, variant))
        if loading is None:
            loading = spawn(self._load(key, variant), name=f"disk load {key!r}")
            self._loading[key, variant] = loading
            loading.add_done_callback(lambda _task: self._loading.pop((key, variant)))
        return await asyncio.shield(loading)

    def load_nowait(self, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry, if the kernel has all that is needed at hand; None says nothing.

        In one step, so that no purge can come between.
        """
        shelf, place = self._shelf, place_of(key, variant)
        if not self._at_once or not shelf.reads.usable:
            return None
        head = self._heads.get(place)
        entry = None if head is None else self._read_again(head, place, key, variant)
        if entry is not None:
            shelf.counters.hits += 1
            return entry
        try:
            loaded = load_object(
                shelf.directory,
                place,
                generation=shelf.generation,
                whole_bytes=shelf.settings.promote_max_bytes,
                access=CACHED,
            )
        except OSError as error:
            self._at_once = error.errno not in CANNOT_SAY
            return None  # the thread will see what is wrong with it
        if isinstance(loaded, Unusable):
            return None
        entry = self._entry(place, loaded, key, variant)
        shelf.counters.hits += entry is not None
        return entry

    def _read_again(self, head: Head, place: Place, key: CacheKey, variant: Variant) -> Entry | None:
        """What lies at the place, if it has the head that was found there last and no ban covers it."""
        shelf, found = self._shelf, head.entry
        if found.key != key or found.variant != variant:
            return None
        if len(shelf.bans) and shelf.bans.covering(head.footer.epoch, place, key, found.tags) is not None:
            return None
        try:
            octets = read_again(shelf.directory, place, head.footer.file_bytes, access=CACHED)
        except OSError:
            return None
        entry = None if octets is None else head.of(octets)
        if entry is None:
            self._heads.drop(place)
        return entry

    async def _load(self, key: CacheKey, variant: Variant) -> Entry | None:
        shelf, place = self._shelf, place_of(key, variant)
        epoch = shelf.bans.enter_load()
        try:
            entry = await self._read(place, key, variant)
        finally:
            shelf.bans.leave(epoch)
        if entry is None:
            shelf.counters.misses += 1
        else:
            shelf.counters.hits += 1
        return entry

    async def _read(self, place: Place, key: CacheKey, variant: Variant) -> Entry | None:
        shelf = self._shelf
        if not shelf.reads.usable:
            shelf.counters.unavailable += 1
            return None
        read = partial(
            load_object,
            shelf.directory,
            place,
            generation=shelf.generation,
            whole_bytes=shelf.settings.promote_max_bytes,
        )
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(self._threads, read)
        except OSError as error:
            shelf.read_failed(place, error)
            return None
        shelf.reads.worked()
        if isinstance(loaded, Unusable):
            shelf.drop(place, loaded)
            return None
        return self._entry(place, loaded, key, variant)

    def _entry(self, place: Place, loaded: Loaded, key: CacheKey, variant: Variant) -> Entry | None:
        """The entry of a file whose checksums agree, if it is the one and nothing bans it."""
        shelf, footer, record = self._shelf, loaded.footer, loaded.record
        descriptor = None if loaded.fd is None else Descriptor(loaded.fd)
        if (record.key, record.variant) != (key, variant):
            shelf.counters.drop(Unusable.COLLISION)
            return None
        ban = shelf.bans.covering(footer.epoch, place, key, record.tags)
        if ban is not None and not ban.soft:
            shelf.drop(place, Unusable.PURGED)
            return None
        body = self._body(place, loaded, descriptor)
        if body is None:
            shelf.counters.drop(Unusable.BUSY)
            return None
        soft_since = loaded.modified_at if footer.soft else None
        entry = record.entry(body, at=shelf.moment(), soft=ban is not None, soft_since=soft_since)
        if descriptor is not None:
            shelf.opened[place] = entry
        elif loaded.trailer is not None and footer.file_bytes <= READ_AT_ONCE_BYTES:
            self._heads.keep(place, footer, loaded.trailer, entry)
        self._index_probed(place, loaded, ban)
        return entry

    def _body(self, place: Place, loaded: Loaded, descriptor: Descriptor | None) -> SharedBody | None:
        """The body, in memory or in its file; None if too many files are open."""
        if descriptor is None:
            assert loaded.body is not None, f"{loaded!r} has neither body nor file"
            return SharedBody.complete([loaded.body])
        self._descriptors.add(descriptor)
        if self.open_files > self._shelf.settings.max_open_files and not self._close_one():
            return None
        return FileBody(
            BlockFile(
                descriptor,
                loaded.blocks,
                loaded.footer.body_bytes,
                threads=self._threads,
                on_damaged=partial(self._shelf.drop, place, Unusable.TORN),
            )
        )

    def _close_one(self) -> bool:
        """Let go of the file used least recently; false if clients read all of them."""
        opened = self._shelf.opened
        while opened and self.open_files > self._shelf.settings.max_open_files:
            opened.popitem()
        return self.open_files <= self._shelf.settings.max_open_files

    def _index_probed(self, place: Place, loaded: Loaded, ban: Ban | None) -> None:
        """A file was found that the index does not know yet: it is being rebuilt."""
        shelf, footer = self._shelf, loaded.footer
        if not shelf.index.has(place) and not self._commits.pending(place):
            self._index(
                Indexed(
                    place=place,
                    allocated_bytes=shelf.allocated(footer.file_bytes),
                    epoch=footer.epoch,
                    fingerprint=footer.fingerprint,
                    varies_on=loaded.record.varies_on,
                    soft=footer.soft or ban is not None,
                )
            )

    def _index(self, item: Indexed) -> None:
        """Put a file of an earlier process into the index.

        A kill between the rename of one variant and the unlink of those that were chosen by other field
        names leaves both. Which is younger is not known here: neither is kept.
        """
        shelf, digest = self._shelf, item.place.key_digest
        if not shelf.index.has_key(digest):  # nearly all of a million
            shelf.index.insert(item)
            return
        others = [other for other in shelf.index.of_key(digest) if other.varies_on != item.varies_on]
        if not others:
            shelf.index.insert(item)
            return
        shelf.drop(item.place, Unusable.REPLACED)
        for other in others:
            if not other.of_this_process:
                shelf.drop(other.place, Unusable.REPLACED)

    async def probe(self, key: CacheKey) -> None:
        """Index the key's own files, ahead of the rebuild."""
        digest = key_digest(key)
        look = partial(self._look, digest)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        except OSError as error:
            self._shelf.reads.failed(error)
            return
        self.take(found)

    def _look(self, digest: bytes) -> Examined:
        prefix = digest.hex()
        names = self._shelf.directory.shard_names(shard_of(digest))
        places = (parse_name(name) for name in names if name.startswith(prefix))
        return [(place, self.examine(place)) for place in places if place is not None]

    def examine(self, place: Place) -> Indexed | Unusable:
        """What the index is to know of a file. Blocks.

        Raises: OSError, of those errors that are not the file's own fault.
        """
        shelf = self._shelf
        try:
            return examine(
                shelf.directory,
                place,
                generation=shelf.generation,
                bans=shelf.bans,
                frame_bytes=shelf.frame_bytes,
            )
        except OSError as error:
            if error.errno == errno.EIO:
                return Unusable.FAILED
            raise

    def take(self, examined: Examined) -> None:
        """Index what was examined, and drop what is of no use; what was written meanwhile is newer."""
        shelf = self._shelf
        for place, item in examined:
            if shelf.index.has(place) or self._commits.pending(place) or shelf.is_doomed(place):
                continue
            if isinstance(item, Indexed):
                self._index(item)
                if item.soft and len(shelf.bans):  # by a ban, perhaps, and not yet by its own mark
                    shelf.soften(place)
            else:
                shelf.drop(place, item)
        shelf.make_room()


def boot_identity() -> bytes:
    """8 octets that are equal in one boot of the machine; of chance where the system does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return bytes.fromhex(file.read().strip().replace("-", ""))[:8]
    except (OSError, ValueError):
        return os.urandom(8)
