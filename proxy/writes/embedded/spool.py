"""Bodies that are too large for a row: one sealed file each, durable before the row that names it.

A file without a row is what a crash left between the two, or before the file of a write that ended was
removed; such orphans are collected at start. Names are never used twice, and so a row never finds the file
of another write.

Every function here blocks. Files are written in threads of their own: a large body must not hold up the
commits of small ones.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from proxy.writes.embedded.home import sync_directory
from proxy.writes.embedded.sealing import Damaged, Seal

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Spool:
    """The files of one directory."""

    def __init__(self, directory: Path, seal: Seal) -> None:
        self._directory = directory
        self._seal = seal

    def __repr__(self) -> str:
        return f"<Spool {self._directory}>"

    def write(self, name: str, body: bytes) -> None:
        """Keep a body, durably, under a new name. Raises: OSError; nothing is left then."""
        path = self._directory / name
        fd = os.open(path, _CREATE, 0o600)
        try:
            try:
                _write_all(fd, self._seal.seal(body, _place(name)))
                os.fsync(fd)
            finally:
                os.close(fd)
            sync_directory(self._directory)
        except OSError:
            self.remove(name)
            raise

    def read(self, name: str) -> bytes:
        """A body. Raises: OSError, Damaged."""
        try:
            sealed = (self._directory / name).read_bytes()
        except FileNotFoundError as error:
            raise Damaged(f"the body {name} is missing in {self._directory}") from error
        return self._seal.open(sealed, _place(name))

    def remove(self, name: str) -> None:
        """Drop a body; one that cannot be removed now is an orphan at the next start."""
        try:
            os.unlink(self._directory / name)
        except OSError:
            return

    def collect_orphans(self, named: Collection[str]) -> int:
        """Remove every file but those named; how many went. Raises: OSError."""
        orphans = [name for name in os.listdir(self._directory) if name not in named]
        for name in orphans:
            self.remove(name)
        return len(orphans)


def _place(name: str) -> bytes:
    return b"body " + name.encode()


def _write_all(fd: int, octets: bytes) -> None:
    left = memoryview(octets)
    while left:
        written = os.write(fd, left)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        left = left[written:]
