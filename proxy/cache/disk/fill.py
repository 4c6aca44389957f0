"""A fill of the disk tier: a body that is spooled to its file while it streams in.

Pieces are collected to blocks; while one block is being written the next may be collected, and only a
second full one waits. So an origin faster than the disk is slowed to the disk's pace by whoever awaits
`write`, and one that is not never waits. The head comes last: `commit` gives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Final

import aiofiles

from proxy.cache.disk.commits import RECORD_ROOM_BYTES, Commits
from proxy.cache.disk.directory import remove_quietly
from proxy.cache.disk.layout import BLOCK_BYTES
from proxy.cache.disk.object_file import BlockChecksums
from proxy.cache.disk.shelf import Shelf
from proxy.cache.entry import Entry
from proxy.tasks import spawn

RESERVE_BYTES: Final = 16 * BLOCK_BYTES
"""Room is taken in steps of this where the length is not known beforehand."""


class DiskFill:
    """One body on its way to the disk. End it by `commit` or `abort`."""

    def __init__(
        self,
        shelf: Shelf,
        commits: Commits,
        threads: Executor,
        *,
        reserved_bytes: int,
        on_over: Callable[[DiskFill], None],
    ) -> None:
        self._shelf = shelf
        self._commits = commits
        self._threads = threads
        self._reserved_bytes = reserved_bytes
        self._on_over = on_over
        self._checksums = BlockChecksums()
        self._pieces: list[bytes] = []
        self._collected_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._part: Path | None = None
        self._file: aiofiles.threadpool.binary.AsyncBufferedIOBase | None = None
        self.over = False

    def __repr__(self) -> str:
        return f"<DiskFill {self.received_bytes} octets over={self.over}>"

    @property
    def received_bytes(self) -> int:
        """Octets taken so far."""
        return self._checksums.body_bytes

    async def open(self) -> bool:
        """Create the file; False, and the fill is over, if that fails."""
        loop = asyncio.get_running_loop()
        try:
            self._part, fd = await loop.run_in_executor(self._threads, self._shelf.directory.new_part)
            self._file = await aiofiles.open(fd, "wb", executor=self._threads)
        except OSError as error:
            await self._failed(error)
        return not self.over

    async def write(self, piece: bytes) -> bool:
        """Take the next octets; False if the fill is over, because the disk or its room is."""
        if self.over:
            return False
        self._checksums.update(piece)
        if not self._has_room():
            await self.abort()
            return False
        self._pieces.append(piece)
        self._collected_bytes += len(piece)
        if self._collected_bytes >= BLOCK_BYTES:
            await self._written()
            self._writing = spawn(self._write_out(self._take()), name="disk fill")
        return not self.over

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
            if not await self._closed():
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
        finally:
            if outcome is None:  # whoever called may have been cancelled
                self._shelf.bans.leave(epoch)
                await self.abort()
        return await asyncio.shield(outcome)

    async def abort(self) -> None:
        """Leave nothing behind. Idempotent."""
        if self.over:
            return
        self._end()
        await self._written()
        self._shelf.release(self._reserved_bytes)
        loop = asyncio.get_running_loop()
        try:
            if self._file is not None:
                await self._file.close()
        except OSError as error:
            self._shelf.write_failed(error)
        if self._part is not None:
            await loop.run_in_executor(self._threads, remove_quietly, self._part)

    def _end(self) -> None:
        self.over = True
        self._on_over(self)

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

    def _take(self) -> bytes:
        octets = b"".join(self._pieces)
        self._pieces.clear()
        self._collected_bytes = 0
        return octets

    async def _written(self) -> None:
        """Wait for the block that is being written."""
        if self._writing is not None:
            await asyncio.shield(self._writing)
            self._writing = None

    async def _write_out(self, octets: bytes) -> None:
        assert self._file is not None, f"{self!r} has no file"
        try:
            await self._file.write(octets)
        except OSError as error:
            self._writing = None  # this very task: `abort` is not to wait for it
            await self._failed(error)

    async def _closed(self) -> bool:
        """Write what is left and close; False, and the fill is over, if that fails."""
        await self._written()
        if self.over:
            return False
        assert self._file is not None, f"{self!r} has no file"
        try:
            if self._pieces:
                await self._file.write(self._take())
            await self._file.close()
        except OSError as error:
            await self._failed(error)
        return not self.over

    async def _failed(self, error: OSError) -> None:
        self._shelf.counters.spoiled += 1
        self._shelf.write_failed(error)
        await self.abort()
