"""Commits: how an object gets into its place.

    put, or the end of a fill ──► QUEUED ──thread: write, rename──► checked against the bans ──► indexed
                                     │                                     └─ purged meanwhile: unlinked
                                     └─ no room, tier at rest, an older answer: not written, and counted

A commit carries the purge sequence of the moment it was made, as its epoch, in the file. The caller has
asked the fences in the same step, so that no purge before that moment concerns it; every purge after it
is a ban that is kept until the commit is over. Nothing here ever waits for the disk.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from proxy.cache.disk.block_file import Descriptor
from proxy.cache.disk.coverage import marks_of
from proxy.cache.disk.directory import remove_quietly, write_all
from proxy.cache.disk.file_body import FileBody
from proxy.cache.disk.index import Indexed
from proxy.cache.disk.job_queue import Job
from proxy.cache.disk.layout import BLOCK_BYTES, fingerprint_of
from proxy.cache.disk.object_file import checksums_of, ending_of
from proxy.cache.disk.place import Place, place_of
from proxy.cache.disk.record import Record
from proxy.cache.disk.shelf import Shelf
from proxy.cache.entry import Entry

RECORD_ROOM_BYTES: Final = 1024
"""Reserved beyond body and head, until the file is written and its size is known."""


@dataclass(slots=True, eq=False)
class Commit:
    """One object on its way to its place. The thread sets `file_bytes`."""

    entry: Entry
    place: Place
    epoch: int
    max_variants: int
    reserved_bytes: int
    outcome: asyncio.Future[bool]
    file_bytes: int = 0


Write = Callable[[Commit], None]
"""Blocks; writes the file of a commit into its place and sets its size. Raises: OSError."""


class Commits:
    """Those on their way."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._latest: dict[Place, Commit] = {}

    def __repr__(self) -> str:
        return f"<Commits {len(self._latest)} on their way>"

    def pending(self, place: Place) -> bool:
        """Whether one is on its way to this place."""
        return place in self._latest

    def put(self, entry: Entry, *, max_variants: int) -> asyncio.Future[bool] | None:
        """Queue an entry whose body is there; what becomes of it, or None if it is not written at all."""
        shelf, counters = self._shelf, self._shelf.counters
        if not self.welcome(entry):
            return None
        size = shelf.allocated(entry.size_bytes() + RECORD_ROOM_BYTES)
        held = 0 if isinstance(entry.body, FileBody) else entry.body.received_bytes
        if not shelf.jobs.has_room(held) or not shelf.reserve(size):
            counters.queue_full += 1
            return None
        epoch = shelf.bans.enter()
        return self.start(
            entry, self._write_entry, epoch=epoch, max_variants=max_variants, reserved=size, held=held
        )

    def welcome(self, entry: Entry) -> bool:
        """Whether to write this entry now: the tier works, it is not too large, nothing newer is there."""
        shelf, counters = self._shelf, self._shelf.counters
        if not shelf.writes.usable:
            counters.unavailable += 1
            return False
        if entry.body.received_bytes > shelf.settings.max_entry_bytes:
            counters.too_large += 1
            return False
        if self._newest(place_of(entry.key, entry.variant)) > entry.requested_mono:
            counters.superseded += 1
            return False
        return True

    def start(
        self, entry: Entry, write: Write, *, epoch: int, max_variants: int, reserved: int, held: int = 0
    ) -> asyncio.Future[bool]:
        """Queue the write of an entry for which room was reserved; whether it is in its place.

        `epoch` was entered with the bans, and is left when the commit is over.
        """
        commit = Commit(
            entry=entry,
            place=place_of(entry.key, entry.variant),
            epoch=epoch,
            max_variants=max_variants,
            reserved_bytes=reserved,
            outcome=asyncio.get_running_loop().create_future(),
        )
        self._latest[commit.place] = commit
        self._shelf.jobs.put(Job(partial(write, commit), partial(self._done, commit), held))
        return commit.outcome

    def _newest(self, place: Place) -> float:
        """When the newest response for this place was asked for."""
        commit = self._latest.get(place)
        if commit is not None:
            return commit.entry.requested_mono
        item = self._shelf.index.get(place)
        return float("-inf") if item is None else item.requested_mono

    # in the thread

    def _write_entry(self, commit: Commit) -> None:
        body = commit.entry.body
        if isinstance(body, FileBody):
            self._copy(commit, body)
            return
        pieces = body.pieces
        ending = self.ending(commit, checksums_of(pieces))
        fsync = self._shelf.settings.fsync
        self._shelf.directory.write_object(commit.place, [*pieces, ending], fsync=fsync)

    def _copy(self, commit: Commit, body: FileBody) -> None:
        """A body that is on disk already, under a new head: a 304 freshened it."""
        part, fd = self._shelf.directory.new_part()
        try:
            _copy_octets(body.descriptor, fd, body.received_bytes)
        except OSError:
            remove_quietly(part)
            raise
        finally:
            os.close(fd)
        self.finish_part(part, body.blocks, commit)

    def finish_part(self, part: Path, blocks: bytes, commit: Commit) -> None:
        """Append what comes after the body, and put the file in its place. Raises: OSError."""
        try:
            fd = os.open(part, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                write_all(fd, [self.ending(commit, blocks)])
                if self._shelf.settings.fsync:
                    os.fsync(fd)
            finally:
                os.close(fd)
            self._shelf.directory.publish(part, commit.place)
        except OSError:
            remove_quietly(part)
            raise

    def ending(self, commit: Commit, blocks: bytes) -> bytes:
        """What comes after the body of this commit; sets the size of the file."""
        record = Record.of(commit.entry, boot=self._shelf.boot)
        body_bytes = commit.entry.body.received_bytes
        generation = self._shelf.generation
        ending = ending_of(record, blocks, body_bytes=body_bytes, generation=generation, epoch=commit.epoch)
        commit.file_bytes = body_bytes + len(ending)
        return ending

    # on the loop again

    def _done(self, commit: Commit, error: OSError | None) -> None:
        shelf, entry = self._shelf, commit.entry
        if self._latest.get(commit.place) is commit:
            del self._latest[commit.place]
        shelf.release(commit.reserved_bytes)
        ban = shelf.bans.covering(commit.epoch, commit.place, entry.key, entry.tags)
        shelf.bans.leave(commit.epoch)
        stored = error is None and (ban is None or ban.soft)
        if error is not None:
            shelf.counters.spoiled += 1
            shelf.write_failed(error)
        elif not stored:
            shelf.counters.spoiled += 1
            shelf.remove(commit.place)
        else:
            shelf.counters.stores += 1
            shelf.writes.worked()
            shelf.admit(self._indexed(commit), max_variants=commit.max_variants)
            if ban is not None or entry.purged_softly:
                shelf.soften(commit.place)
        if not commit.outcome.done():
            commit.outcome.set_result(stored)

    def _indexed(self, commit: Commit) -> Indexed:
        return Indexed(
            place=commit.place,
            allocated_bytes=self._shelf.allocated(commit.file_bytes),
            epoch=commit.epoch,
            fingerprint=fingerprint_of(marks_of(commit.entry.key, commit.entry.tags)),
            varies_on=commit.entry.varies_on,
            requested_mono=commit.entry.requested_mono,
        )


def _copy_octets(source: Descriptor, target_fd: int, count: int) -> None:
    """Copy the first `count` octets, inside the kernel where it can. Raises: OSError.

    What is copied is verified when it is read, by the checksums that go with it.
    """
    offset = 0
    while offset < count:
        try:
            copied = os.copy_file_range(source.fd, target_fd, min(count - offset, 1 << 30), offset, offset)
        except OSError:
            block = os.pread(source.fd, min(BLOCK_BYTES, count - offset), offset)
            write_all(target_fd, [block])  # a failure of the target is raised here
            copied = len(block)
        if not copied:
            raise OSError(f"a stored body ends at octet {offset} of {count}")
        offset += copied
