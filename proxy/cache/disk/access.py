"""How files are opened and read: by a thread that may wait for the disk, or at once from the page cache.

`CACHED` never waits: `openat2` with RESOLVE_CACHED opens what the kernel has in its tables, `RWF_NOWAIT`
reads what is in the page cache, and both say so where they cannot (BlockingIOError). To ask a thread for a
small file costs more than all the rest of a hit does; so what was used lately is read on the event loop, and
a thread is asked for the rest.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final, Protocol

READ_AT_ONCE_BYTES: Final = 64 * 1024
"""More of a file is read by a thread, whatever the page cache has: this takes the loop about 50 us."""

CANNOT_SAY: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM})
"""What kernels and file systems answer that have no such call or flag: tmpfs, for one, or a sandbox."""

RWF_NOWAIT: Final = getattr(os, "RWF_NOWAIT", 0)

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Without following links, and without waiting where somebody put a FIFO."""

_SYS_OPENAT2: Final = 437
_AT_FDCWD: Final = -100
_RESOLVE_CACHED: Final = 0x20
_HOW: Final = struct.pack("=QQQ", _FLAGS, 0, _RESOLVE_CACHED)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class Access(Protocol):
    """A way to files. Raises: OSError."""

    def open(self, path: str) -> int:
        """A descriptor for reading."""

    def read(self, fd: int, count: int, offset: int) -> bytes:
        """Up to `count` octets; fewer only at the end of the file."""


class Patient:
    """Waits for the disk: for threads."""

    def open(self, path: str) -> int:
        """A descriptor for reading. Raises: OSError."""
        return os.open(path, _FLAGS)

    def read(self, fd: int, count: int, offset: int) -> bytes:
        """Up to `count` octets; fewer only at the end of the file. Raises: OSError."""
        octets = os.pread(fd, count, offset)
        while len(octets) < count:
            more = os.pread(fd, count - len(octets), offset + len(octets))
            if not more:
                break
            octets += more
        return octets


class Cached:
    """Takes what the kernel has at hand: for the event loop."""

    def open(self, path: str) -> int:
        """A descriptor for reading. Raises: BlockingIOError, and OSError if it is not for this way."""
        fd: int = _libc.syscall(_SYS_OPENAT2, _AT_FDCWD, path.encode(), _HOW, len(_HOW))
        if fd < 0:
            raise OSError(ctypes.get_errno(), "openat2 failed", path)
        return fd

    def read(self, fd: int, count: int, offset: int) -> bytes:
        """All of `count` octets. Raises: BlockingIOError, and OSError if it is not for this way."""
        if count > READ_AT_ONCE_BYTES:
            raise BlockingIOError(errno.EAGAIN, "too much to read at once")
        octets = bytearray(count)
        if not RWF_NOWAIT:
            raise OSError(errno.ENOSYS, "no reading without waiting")
        if os.preadv(fd, [octets], offset, RWF_NOWAIT) < count:
            raise BlockingIOError(errno.EAGAIN, "a part is not at hand")
        return bytes(octets)


PATIENT: Final = Patient()
CACHED: Final = Cached()
