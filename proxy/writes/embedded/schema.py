"""What the journal's file holds, and how one is made and recognised.

    queued   every durable write that has not ended; `sealed` is the whole of it; the indexes are there for
             the start, which must not walk over all rows
    ended    how each ended, in the order in which they did, for as long as results are kept
    claim    idempotency keys, by a digest of scope and key
    event    the events of each transaction, by the last one's position
    floor    by shard, the last event that was removed for age or number
    dead     dead letters, whole
    paused   keys of which nothing is started
    meta     names and values: shards, runs, generation, clean, key check

A file is made aside, complete, and renamed: under its name there is never half of one. The application id
stands in SQLite's own header, and so a foreign file is recognised without being opened, which could
already change it.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from proxy.errors import ConfigError
from proxy.writes.embedded.home import Home, sync_directory

APPLICATION_ID: Final = 0x4C6B4774
VERSION: Final = 1

_TABLES: Final = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE queued(seq INTEGER PRIMARY KEY, id TEXT NOT NULL, keys TEXT NOT NULL, claims INTEGER NOT NULL,
    attempts INTEGER NOT NULL, started_at REAL, body TEXT, sealed BLOB NOT NULL);
CREATE INDEX queued_body ON queued(body) WHERE body IS NOT NULL;
CREATE INDEX queued_claims ON queued(id) WHERE claims = 1;
CREATE TABLE ended(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at REAL NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE claim(k BLOB PRIMARY KEY, fingerprint BLOB NOT NULL, id TEXT NOT NULL, expires_at REAL NOT NULL)
    WITHOUT ROWID;
CREATE INDEX claim_id ON claim(id);
CREATE INDEX claim_end ON claim(expires_at);
CREATE TABLE event(last INTEGER PRIMARY KEY, count INTEGER NOT NULL, at REAL NOT NULL, events BLOB NOT NULL);
CREATE TABLE floor(shard INTEGER PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE dead(id TEXT PRIMARY KEY, at REAL NOT NULL, problem TEXT NOT NULL, body TEXT,
    sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE paused(key TEXT PRIMARY KEY, problem TEXT NOT NULL) WITHOUT ROWID;
"""

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
"""SQLite's file format, §1.3: user version at 60, application id at 68."""


def make(home: Home, meta: dict[str, object]) -> None:
    """Make an empty journal, durably, with these values in `meta`. Raises: OSError, sqlite3.Error."""
    aside = home.path / "journal.db.new"
    aside.unlink(missing_ok=True)
    aside.touch(mode=0o600)  # SQLite gives its log the same mode
    connection = sqlite3.connect(aside, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.executescript(
            f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION}; BEGIN; {_TABLES}"
        )
        connection.executemany("INSERT INTO meta VALUES(?, ?)", meta.items())
        connection.execute("COMMIT")
    finally:
        connection.close()
    fd = os.open(aside, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(aside, home.database)
    sync_directory(home.path)


def check(home: Home) -> bool:
    """Whether there is a journal, by its first octets and without opening it as a database.

    Raises: ConfigError where it is not one of ours or not of this version; OSError.
    """
    wal = Path(f"{home.database}-wal")
    if not home.database.exists():
        if wal.exists() and wal.stat().st_size:
            raise ConfigError(
                f"{home.setting}, where journal.db is missing beside {wal.name}: what was promised may be in "
                "it. Restore it, or move both aside to begin anew."
            )
        return False
    with home.database.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise ConfigError(
            f"{home.setting}, where journal.db is torn or no journal: {len(header)} octets of a header were "
            "read. It was left as it is. Restore it, or move it aside to begin anew."
        )
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise ConfigError(
            f"{home.setting}, where journal.db belongs to another program. It was left as it is. "
            "Name another directory."
        )
    version = int.from_bytes(header[60:64], "big")
    if version != VERSION:
        raise ConfigError(
            f"{home.setting}, where journal.db is of version {version}, and this Lockgate reads version "
            f"{VERSION}. It was left as it is. Drain it with the Lockgate that wrote it."
        )
    _check_length(home, header, has_log=wal.exists() and wal.stat().st_size > 0)
    return True


def _check_length(home: Home, header: bytes, *, has_log: bool) -> None:
    """See that nothing is cut off its end: SQLite reads zeros there, and after a clean end nobody else looks.

    Beside a log the file may be shorter: a checkpoint that was broken off is done again from it.
    Source: https://www.sqlite.org/fileformat.html §1.3.
    """
    page_bytes = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    whole_bytes = pages * (65_536 if page_bytes == 1 else page_bytes)
    is_told = header[24:28] == header[92:96]  # else the number of pages is of an older state
    found_bytes = home.database.stat().st_size
    if is_told and not has_log and found_bytes < whole_bytes:
        raise ConfigError(
            f"{home.setting}, where journal.db is damaged: it has {found_bytes} of {whole_bytes} octets. "
            "It was left as it is. Restore it, or move it aside to begin anew."
        )


def connect(home: Home) -> sqlite3.Connection:
    """Open the journal as its only user. Raises: sqlite3.Error.

    One connection, exclusive before WAL is entered: no shared memory file, no second process, and so none of
    SQLite's WAL-reset bug (3.7.0 to 3.51.2), which needs two connections. FULL syncs the log at each commit;
    NORMAL would not, and a power cut would cost what was acknowledged since the last checkpoint.
    """
    connection = sqlite3.connect(
        f"{home.database.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"journal mode is {mode}, not wal")
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


PRAGMAS: Final = ["synchronous=FULL", "temp_store=MEMORY", "journal_size_limit=67108864", "cache_size=-8192"]


def is_sound(connection: sqlite3.Connection) -> str | None:
    """What SQLite finds wrong with the file's structure; None if nothing. Reads all of it."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return None if found == "ok" else str(found)
