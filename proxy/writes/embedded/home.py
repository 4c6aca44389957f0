"""The directory of the journal: whose it is, what lies in it.

    lockgate.lock   held by flock while a process uses the directory; its presence marks the directory
    journal.db      the journal (`schema.py`), with SQLite's journal.db-wal beside it
    journal.key     the key that it is sealed with, unless the configuration names another file
    bodies/         bodies that are too large for a row (`spool.py`)

flock besides SQLite's own lock: it is ours before the file is looked at, also while there is none yet, and
says who holds it.

Every function here blocks: they run in the writer thread.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from proxy.errors import ConfigError

LOCK_NAME = "lockgate.lock"
_MARK = "lockgate journal\n"


class Home:
    """One directory, held exclusively from `acquire` to `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "journal.db"
        self.key = path / "journal.key"
        self.bodies = path / "bodies"
        self.setting = f"writes.journal.directory is {path}"
        self._lock_fd: int | None = None

    def __repr__(self) -> str:
        return f"<Home {self.path} held={self._lock_fd is not None}>"

    def acquire(self) -> None:
        """Make it ours and create what it lacks. Raises: ConfigError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (self.path / LOCK_NAME).exists() and any(self.path.iterdir()):
                raise ConfigError(
                    f"{self.setting}, which is neither empty nor a journal of ours. Name an empty directory."
                )
            self._lock()
            self.bodies.mkdir(mode=0o700, exist_ok=True)
            sync_directory(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            self.release()
            raise ConfigError(f"{self.setting}, which cannot be used: {error}") from error

    def _lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.path / LOCK_NAME, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 200, 0).decode(errors="replace").removeprefix(_MARK).strip()
            os.close(fd)
            raise ConfigError(
                f"{self.setting}, which another Lockgate uses ({holder or 'pid unknown'}). "
                "Stop it, or give each its own directory."
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{_MARK}pid {os.getpid()}\n".encode(), 0)
        self._lock_fd = fd

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


def sync_directory(path: Path) -> None:
    """Make names in a directory durable. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
