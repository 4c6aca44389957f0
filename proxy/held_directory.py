"""A directory that one process holds at a time: the disk tier's, the journal's.

`lockgate.lock` in it is held by flock for as long as a process uses the directory. Its presence marks the
directory as ours, and its first line says what it is for: a journal is never begun in a cache, nor anything
among files of somebody else. The second line says who holds it.

Every function here blocks.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import ClassVar

from proxy.errors import ConfigError

LOCK_NAME = "lockgate.lock"


class HeldDirectory:
    """Held exclusively from `acquire` to `release`. `setting` is what names it, for errors."""

    KIND: ClassVar[str]
    """What it is, in one word or two."""

    def __init__(self, path: Path, *, setting: str) -> None:
        self.path = path
        self.setting = f"{setting} is {path}"
        self._lock_fd: int | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path} held={self._lock_fd is not None}>"

    def acquire(self) -> None:
        """Make it ours and create what it lacks. Raises: ConfigError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (self.path / LOCK_NAME).exists() and any(self.path.iterdir()):
                raise ConfigError(
                    f"{self.setting}, which is neither empty nor a {self.KIND} of ours. "
                    "Name an empty directory."
                )
            self._lock()
            self._prepare()
        except OSError as error:
            self.release()
            raise ConfigError(f"{self.setting}, which cannot be used: {error}") from error

    def _prepare(self) -> None:
        """Create what it lacks. Raises: OSError."""

    def _lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.path / LOCK_NAME, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        mark, _, holder = os.pread(fd, 200, 0).decode(errors="replace").partition("\n")
        if held and mark in ("", self._mark):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{self._mark}\npid {os.getpid()}\n".encode(), 0)
            self._lock_fd = fd
            return
        os.close(fd)
        if held:
            raise ConfigError(f"{self.setting}, which is a {mark!r}. Name another directory.")
        raise ConfigError(
            f"{self.setting}, which another Lockgate uses ({holder.strip() or 'pid unknown'}). "
            "Stop it, or give each its own directory."
        )

    @property
    def _mark(self) -> str:
        return f"lockgate {self.KIND}"

    def release(self) -> None:
        """Let others have it. Idempotent."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def free_bytes(self) -> int:
        """Octets that the file system still has for us; 0 if it is out of files. Raises: OSError."""
        found = os.statvfs(self.path)
        if found.f_files and not found.f_favail:
            return 0
        return found.f_bavail * found.f_frsize
