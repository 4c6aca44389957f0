"""A stored body that stays in its file: read by each reader at its own pace, verified block by block.

What the page cache holds is read at once on the event loop (`RWF_NOWAIT`); what it does not hold is read
by a thread, which asks the kernel for the blocks after it as well. No block is given out before its
checksum was compared; a damaged one fails the body for everybody, and the file is dropped.

The descriptor belongs to the body object and is closed with it: whoever reads holds the body. So a file
may be evicted, purged or replaced while it is read, and its readers notice nothing.

It is a `SharedBody` that has ended and whose pieces are elsewhere: `whole` is false, since they are not
at hand, and everything else holds.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from proxy.cache.disk.layout import BLOCK_BYTES, block_agrees
from proxy.cache.disk.object_file import read_block
from proxy.coalesce.body import BodyReader, SharedBody
from proxy.errors import StoredBodyDamaged

READ_AHEAD_BLOCKS: Final = 4
"""A thread costs about 0.1 ms to ask; the kernel reads these meanwhile, and they need no thread."""

_RWF_NOWAIT: Final = getattr(os, "RWF_NOWAIT", 0)
_CANNOT_SAY = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
"""What file systems answer that have no such flag (tmpfs, for one)."""


class Descriptor:
    """An open file that is closed when nobody refers to it any more."""

    __slots__ = ("__weakref__", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class FileReader(BodyReader):
    """One reader's place in a body that lies in a file."""

    __slots__ = ("_file",)

    def __init__(self, body: FileBody, first: int, last: int | None) -> None:
        super().__init__(body, first, last)
        self._file = body

    def narrow(self, first: int, last: int) -> None:
        """Read only the octets from `first` up to and including `last`. Before the first read."""
        self.position = first
        self._end = last + 1

    def read_nowait(self) -> bytes | None:
        """The next piece if memory has it, `b""` at the end, None if the disk must be asked.

        Raises: StoredBodyDamaged.
        """
        end = self._last_octet()
        if self.position >= end:
            return b""
        octets = self._file.block_nowait(self.position // BLOCK_BYTES)
        return None if octets is None else self._taken(octets, end)

    async def read(self) -> bytes:
        """The next piece, `b""` at the end. Raises: StoredBodyDamaged."""
        piece = self.read_nowait()
        if piece is None:
            octets = await self._file.read_block(self.position // BLOCK_BYTES)
            piece = self._taken(octets, self._last_octet())
        return piece

    def close(self) -> None:
        """Nothing to do: the file is kept by the body."""

    def _last_octet(self) -> int:
        whole = self._file.received_bytes
        return whole if self._end is None else min(self._end, whole)

    def _taken(self, octets: bytes, end: int) -> bytes:
        begin = self.position // BLOCK_BYTES * BLOCK_BYTES
        first, last = self.position - begin, min(end - begin, len(octets))
        self.position = begin + last
        return octets if first == 0 and last == len(octets) else octets[first:last]


class FileBody(SharedBody):
    """The body of a file that was written and verified to have this length and these block checksums."""

    __slots__ = ("_blocks", "_descriptor", "_nowait", "_on_damaged", "_threads")

    def __init__(
        self,
        descriptor: Descriptor,
        blocks: bytes,
        length: int,
        *,
        threads: Executor,
        on_damaged: Callable[[], None],
    ) -> None:
        super().__init__(expected_bytes=length)
        self.received_bytes = length
        self.ended = True
        self._descriptor = descriptor
        self._blocks = blocks
        self._threads = threads
        self._on_damaged = on_damaged
        self._nowait = bool(_RWF_NOWAIT)

    def __repr__(self) -> str:
        return (
            f"<FileBody {self.received_bytes} octets, descriptor {self._descriptor.fd}, error={self.error}>"
        )

    @property
    def whole(self) -> bool:
        """False: its octets are not in memory."""
        return False

    @property
    def length(self) -> int:
        """Octets of the whole body."""
        return self.received_bytes

    @property
    def blocks(self) -> bytes:
        """The block checksums, as they lie in the file."""
        return self._blocks

    @property
    def descriptor(self) -> Descriptor:
        """The open file; its body begins at octet 0."""
        return self._descriptor

    def reader(self, first: int = 0, last: int | None = None) -> FileReader:
        """A new reader, from octet `first` up to and including `last`."""
        return FileReader(self, first, last)

    def block_nowait(self, number: int) -> bytes | None:
        """A verified block if the page cache has all of it, else None. Raises: StoredBodyDamaged."""
        if self.error is not None:
            raise self.error
        if not self._nowait:
            return None
        offset = number * BLOCK_BYTES
        octets = bytearray(min(BLOCK_BYTES, self.received_bytes - offset))
        try:
            count = os.preadv(self._descriptor.fd, [octets], offset, _RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            self._nowait = error.errno not in _CANNOT_SAY
            return None  # the thread will see what is wrong with it
        if count < len(octets):
            return None
        if not block_agrees(self._blocks, number, octets):
            raise self._damaged()
        return bytes(octets)

    async def read_block(self, number: int) -> bytes:
        """A verified block, from the disk if need be. Raises: StoredBodyDamaged."""
        octets = await asyncio.get_running_loop().run_in_executor(self._threads, self._read_block, number)
        if octets is None:
            raise self._damaged()
        return octets

    def _read_block(self, number: int) -> bytes | None:
        fd = self._descriptor.fd
        try:
            octets = read_block(fd, self._blocks, number, self.received_bytes)
            ahead = (number + 1) * BLOCK_BYTES
            os.posix_fadvise(fd, ahead, READ_AHEAD_BLOCKS * BLOCK_BYTES, os.POSIX_FADV_WILLNEED)
        except OSError:
            return None
        return octets

    def _damaged(self) -> StoredBodyDamaged:
        if self.error is None:
            self._on_damaged()
        error = StoredBodyDamaged("a stored body is damaged on disk; it was dropped")
        self.error = error
        return error
