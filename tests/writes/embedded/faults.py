"""Faults of the disk, by SQLite itself or in its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from proxy.writes.embedded.database import Database
from tests.writes.backends import EmbeddedBackend


async def fill_disk(backend: EmbeddedBackend, *, pages: int = 0) -> None:
    """Let the file grow by so many pages and no more: SQLite answers SQLITE_FULL then."""

    def limit(database: Database) -> None:
        (count,) = database.connection.execute("PRAGMA page_count").fetchone()
        database.connection.execute(f"PRAGMA max_page_count = {count + pages}")

    await backend.journal.read(limit)


async def free_disk(backend: EmbeddedBackend) -> None:
    """Let it grow again."""
    await backend.journal.read(
        lambda database: database.connection.execute("PRAGMA max_page_count = 1000000")
    )


def io_error(code: int = sqlite3.SQLITE_IOERR_FSYNC) -> sqlite3.OperationalError:
    """What SQLite raises when the disk failed."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


class FailingConnection:
    """A connection whose commits fail while `failing` is set; everything else is the real one's."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.failing: Callable[[], Exception] | None = None
        self.after = False
        """Whether a commit fails when it has been written, as where its sync does."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        if statement == "COMMIT" and self.failing is not None:
            if self.after:
                self._connection.execute(statement)
            raise self.failing()
        return self._connection.execute(statement, values)


async def failing_connection(backend: EmbeddedBackend) -> FailingConnection:
    """Put one in the place of the journal's."""

    def replace(database: Database) -> FailingConnection:
        failing = FailingConnection(database.connection)
        database.connection = failing  # type: ignore[assignment]
        return failing

    return await backend.journal.read(replace)
