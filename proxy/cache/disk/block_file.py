"""A body that lies in a file, read in blocks, each verified before any of it is given out.

What the page cache holds is read at once on the event loop (`RWF_NOWAIT`); what it does not hold is read
by a thread, which asks the kernel for the blocks after it as well. A damaged block fails the file for
everybody who reads it.

Rejected: `sendfile`, which sends what nobody has compared with its checksum, and goes past the transport,
its order, its limits and TLS; `docs/architecture.md` has the measurement. And `mmap`: a page that is not
there stops the loop, and one that was cut off kills the process.

The file may still be growing: a fill tells how far it can be read back. The descriptor is closed with the
last who reads; so a file may be evicted, purged, given up or replaced while it is read, and its readers
notice nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from proxy.cache.disk.access import CANNOT_SAY, RWF_NOWAIT
from proxy.cache.disk.layout import BLOCK_BYTES, block_agrees
from proxy.cache.disk.object_file import read_block
from proxy.errors import StoredBodyDamaged

READ_AHEAD_BLOCKS: Final = 4
"""A thread costs about 0.1 ms to ask; the kernel reads these meanwhile, and they need no thread."""


class Descriptor:
    """An open file that is closed when nobody refers to it any more."""

    __slots__ = ("__weakref__", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class BlockFile:
    """An open file with the checksums of the blocks that can be read from it.

    `readable_bytes` are whole blocks, but for the last one of a whole body.
    """

    __slots__ = ("_nowait", "_on_damaged", "_threads", "blocks", "descriptor", "error", "readable_bytes")

    def __init__(
        self,
        descriptor: Descriptor,
        blocks: bytes,
        readable_bytes: int,
        *,
        threads: Executor,
        on_damaged: Callable[[], None],
    ) -> None:
        self.descriptor = descriptor
        self.blocks = blocks
        self.readable_bytes = readable_bytes
        self.error: StoredBodyDamaged | None = None
        self._threads = threads
        self._on_damaged = on_damaged
        self._nowait = bool(RWF_NOWAIT)

    def __repr__(self) -> str:
        return (
            f"<BlockFile {self.readable_bytes} octets, descriptor {self.descriptor.fd}, error={self.error}>"
        )

    def grow(self, blocks: bytes, readable_bytes: int) -> None:
        """So much can be read now, and these are the checksums of all of it."""
        self.blocks = blocks
        self.readable_bytes = readable_bytes

    def piece_nowait(self, position: int) -> bytes | None:
        """The octets from `position` to the end of its block if the page cache has them, else None.

        Raises: StoredBodyDamaged.
        """
        if self.error is not None:
            raise self.error
        if not self._nowait:
            return None
        number, count = self._block_at(position)
        octets = bytearray(count)
        try:
            read = os.preadv(self.descriptor.fd, [octets], number * BLOCK_BYTES, RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            self._nowait = error.errno not in CANNOT_SAY
            return None  # the thread will see what is wrong with it
        if read < count:
            return None
        if not block_agrees(self.blocks, number, octets):
            raise self._damaged()
        return bytes(memoryview(octets)[position % BLOCK_BYTES :])

    async def piece(self, position: int) -> bytes:
        """The same, from the disk if need be. Raises: StoredBodyDamaged."""
        number, count = self._block_at(position)
        loop = asyncio.get_running_loop()
        octets = await loop.run_in_executor(self._threads, self._read_block, number, count)
        if octets is None:
            raise self._damaged()
        skip = position % BLOCK_BYTES
        return octets[skip:] if skip else octets

    def _block_at(self, position: int) -> tuple[int, int]:
        assert position < self.readable_bytes, f"octet {position} of {self!r}"
        number = position // BLOCK_BYTES
        return number, min(BLOCK_BYTES, self.readable_bytes - number * BLOCK_BYTES)

    def _read_block(self, number: int, count: int) -> bytes | None:
        fd = self.descriptor.fd
        try:
            octets = read_block(fd, self.blocks, number, count)
            ahead = (number + 1) * BLOCK_BYTES
            os.posix_fadvise(fd, ahead, READ_AHEAD_BLOCKS * BLOCK_BYTES, os.POSIX_FADV_WILLNEED)
        except OSError:
            return None
        return octets

    def _damaged(self) -> StoredBodyDamaged:
        if self.error is None:
            self.error = StoredBodyDamaged("a stored body is damaged on disk; it was dropped")
            self._on_damaged()
        return self.error
