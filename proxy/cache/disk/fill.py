"""A fill of the disk tier: a body that is spooled to its file while it streams in, and read back from there.

    write ──► collected ──block by block, in a thread──► in the file, readable ──commit──► in its place
                 └ not by a disk that is full or fails, nor beyond the room: then the fill is over

Nothing here makes the writer wait: pieces are collected, and a task writes them behind it. How much may be
collected is for whoever writes to say: `readable_bytes` tells how far the file has come, `on_progress` when.
The head comes last: `commit` gives it.

The file is read while it is being written, each block verified as that of a stored body is, by clients who
come late or are slow. A fill that is over takes its name off the directory and writes no more; what it has
got can be read until the last of its readers has gone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Final

from aiofiles.os import wrap

from proxy.cache.disk.block_file import BlockFile, Descriptor
from proxy.cache.disk.commits import RECORD_ROOM_BYTES, Commits
from proxy.cache.disk.directory import remove_quietly, write_all
from proxy.cache.disk.layout import BLOCK_BYTES
from proxy.cache.disk.object_file import BlockChecksums
from proxy.cache.disk.shelf import Shelf
from proxy.cache.entry import Entry
from proxy.tasks import spawn

RESERVE_BYTES: Final = 16 * BLOCK_BYTES
"""Room is taken in steps of this where the length is not known beforehand."""

WRITE_BYTES: Final = 4 * BLOCK_BYTES
"""Written in one go: what a thread has to be asked for costs less than a tenth of that."""


class DiskFill:
    """One body on its way to the disk. End it by `commit`, `abort` or `give_up`."""

    def __init__(
        self,
        shelf: Shelf,
        commits: Commits,
        *,
        readers: Executor,
        writers: Executor,
        reserved_bytes: int,
        on_over: Callable[[DiskFill], None],
    ) -> None:
        self.received_bytes = 0
        self.on_progress: Callable[[], None] | None = None
        self.over = False
        self._shelf = shelf
        self._commits = commits
        self._readers = readers
        self._writers = writers
        self._reserved_bytes = reserved_bytes
        self._on_over = on_over
        self._checksums = BlockChecksums()  # of the threads, one at a time
        self._pieces: list[bytes] = []
        self._collected_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._part: Path | None = None
        self._file: BlockFile | None = None

    def __repr__(self) -> str:
        return f"<DiskFill {self.readable_bytes}/{self.received_bytes} octets over={self.over}>"

    # what is in the file

    @property
    def readable_bytes(self) -> int:
        """Octets that are in the file and can be read back; grows only."""
        return 0 if self._file is None else self._file.readable_bytes

    def piece_nowait(self, position: int) -> bytes | None:
        """Octets from `position` on, if the page cache has them. Raises: StoredBodyDamaged."""
        assert self._file is not None, f"{self!r} has no file yet"
        return self._file.piece_nowait(position)

    async def piece(self, position: int) -> bytes:
        """Octets from `position` on. Raises: StoredBodyDamaged."""
        assert self._file is not None, f"{self!r} has no file yet"
        return await self._file.piece(position)

    # writing

    def write(self, piece: bytes) -> bool:
        """Take the next octets; False if the fill is over, because the disk or its room is. Never waits."""
        if self.over:
            return False
        self.received_bytes += len(piece)
        if not self._has_room():
            self.give_up()
            return False
        self._pieces.append(piece)
        self._collected_bytes += len(piece)
        if self._collected_bytes >= BLOCK_BYTES and self._writing is None:
            self._writing = spawn(self._write_out(), name="disk fill")
        return True

    async def commit(self, entry: Entry, *, max_variants: int) -> bool:
        """The body is whole, and this is what belongs to it; whether it is in its place.

        Call it in the same step as the fences are asked. Its epoch is that of the call, even while the
        last octets are being written.
        """
        if self.over:
            return False
        if entry.body.received_bytes != self.received_bytes or not self._commits.welcome(entry):
            await self.abort()
            return False
        epoch, outcome = self._shelf.bans.enter(), None
        try:
            if not await self._finished():
                return False
            assert self._part is not None, f"{self!r} has no file"
            outcome = self._commits.start(
                entry,
                partial(self._commits.finish_part, self._part, self._checksums.finish()),
                epoch=epoch,
                max_variants=max_variants,
                reserved=self._reserved_bytes,
            )
            self._end()
            self._on_over(self)
        finally:
            if outcome is None:  # whoever called may have been cancelled
                self._shelf.bans.leave(epoch)
                self.give_up()
        return await asyncio.shield(outcome)

    def too_slow(self) -> None:
        """Clients would have to wait for the disk: counted, as it is with what waits to be written."""
        if not self.over:
            self._shelf.counters.queue_full += 1
            self.give_up()

    def give_up(self) -> None:
        """Write no more, and leave nothing behind but what is being read. Idempotent; never waits."""
        if self.over:
            return
        self._end()
        self._shelf.release(self._reserved_bytes)
        self._pieces.clear()
        if self._writing is None:
            self._writing = spawn(self._remove(), name="disk fill")

    async def abort(self) -> None:
        """The same, and wait until it is so. Idempotent."""
        self.give_up()
        if self._writing is not None:
            await asyncio.shield(self._writing)

    def _end(self) -> None:
        self.over = True
        self.on_progress = None

    def _has_room(self) -> bool:
        if self.received_bytes > self._shelf.settings.max_entry_bytes:
            self._shelf.counters.too_large += 1
            return False
        if self.received_bytes + RECORD_ROOM_BYTES > self._reserved_bytes:
            if not self._shelf.reserve(RESERVE_BYTES):
                self._shelf.counters.queue_full += 1
                return False
            self._reserved_bytes += RESERVE_BYTES
        return True

    async def _write_out(self, *, all_of_it: bool = False) -> None:
        """Write what has been collected, while it is a block; or all of it, and that is the whole body."""
        try:
            if self._file is None:
                await self._open()
            while not self.over and self._collected_bytes >= (1 if all_of_it else BLOCK_BYTES):
                self._readable(*await wrap(self._append)(self._take(), executor=self._writers))
            if all_of_it and not self.over:
                self._readable(*await wrap(self._finish)(executor=self._writers))
        except OSError as error:
            if not self.over:
                self._shelf.counters.spoiled += 1
                self._shelf.write_failed(error)
                self.give_up()
        finally:
            if self.over:
                await self._remove()
            self._writing = None

    async def _open(self) -> None:
        self._part, fd = await wrap(self._shelf.directory.new_part)(executor=self._writers)
        self._file = BlockFile(Descriptor(fd), b"", 0, threads=self._readers, on_damaged=self._damaged)

    async def _remove(self) -> None:
        """Take its name off the directory."""
        if self._part is not None:
            await wrap(remove_quietly)(self._part, executor=self._writers)
        self._on_over(self)

    def _take(self) -> list[bytes]:
        """The next pieces, some blocks of them."""
        taken, count = [], 0
        for piece in self._pieces:
            taken.append(piece)
            count += len(piece)
            if count >= WRITE_BYTES:
                break
        del self._pieces[: len(taken)]
        self._collected_bytes -= count
        return taken

    def _readable(self, blocks: bytes, readable_bytes: int) -> None:
        assert self._file is not None, f"{self!r} has no file"
        self._file.grow(blocks, readable_bytes)
        if self.on_progress is not None:
            self.on_progress()

    async def _finished(self) -> bool:
        """Write what is left; False, and the fill is over, if that fails."""
        if self._writing is not None:
            await asyncio.shield(self._writing)
        if not self.over:
            self._writing = spawn(self._write_out(all_of_it=True), name="disk fill")
            await asyncio.shield(self._writing)
        return not self.over

    def _damaged(self) -> None:
        self._shelf.counters.spoiled += 1
        self.give_up()

    # in a thread

    def _append(self, pieces: list[bytes]) -> tuple[bytes, int]:
        assert self._file is not None, f"{self!r} has no file"
        for piece in pieces:
            self._checksums.update(piece)
        write_all(self._file.descriptor.fd, pieces)
        return self._checksums.whole

    def _finish(self) -> tuple[bytes, int]:
        assert self._file is not None, f"{self!r} has no file"
        if self._shelf.settings.fsync:  # here, rather than in the thread that everybody's commit goes through
            os.fsync(self._file.descriptor.fd)
        return self._checksums.finish(), self._checksums.body_bytes
