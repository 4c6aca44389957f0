"""The directory of the journal: whose it is, what lies in it.

    lockgate.lock   held while a process uses the directory (`proxy/held_directory.py`)
    journal.db      the journal (`schema.py`), with SQLite's journal.db-wal beside it
    journal.key     the key that it is sealed with, unless the configuration names another file
    bodies/         bodies that are too large for a row (`spool.py`)

flock besides SQLite's own lock: it is ours before the file is looked at, also while there is none yet, and
says who holds it.

Every function here blocks: they run in the writer thread.
"""

from __future__ import annotations

import os
from pathlib import Path

from proxy.held_directory import HeldDirectory


class Home(HeldDirectory):
    """One directory of a journal."""

    KIND = "journal"

    def __init__(self, path: Path) -> None:
        super().__init__(path, setting="writes.journal.directory")
        self.database = path / "journal.db"
        self.key = path / "journal.key"
        self.bodies = path / "bodies"

    def _prepare(self) -> None:
        self.bodies.mkdir(mode=0o700, exist_ok=True)
        sync_directory(self.path)
        sync_directory(self.path.parent)


def sync_directory(path: Path) -> None:
    """Make names in a directory durable. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
