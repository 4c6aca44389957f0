"""The journal's file is made whole, recognised, and otherwise left alone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.writes.embedded import schema
from proxy.writes.embedded.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    one = Home(tmp_path / "journal")
    one.acquire()
    yield one
    one.release()


def test_an_empty_directory_has_none(home: Home) -> None:
    assert not schema.check(home)


def test_one_that_was_made_is_recognised_and_opens_in_wal_with_full_sync(home: Home) -> None:
    schema.make(home, {"shards": 64})
    assert schema.check(home)
    connection = schema.connect(home)
    assert connection.execute("SELECT value FROM meta WHERE name = 'shards'").fetchone() == (64,)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA locking_mode").fetchone() == ("exclusive",)
    assert not os.path.exists(f"{home.database}-shm"), "a second process could join"
    assert schema.is_sound(connection) is None
    connection.close()


def test_sqlite_itself_keeps_a_second_connection_out(home: Home) -> None:
    schema.make(home, {"shards": 64})
    connection = schema.connect(home)
    connection.execute("SELECT * FROM meta").fetchall()
    other = sqlite3.connect(home.database, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("SELECT * FROM meta")
    other.close()
    connection.close()


def test_what_a_crash_left_of_making_one_is_made_anew(home: Home) -> None:
    (home.path / "journal.db.new").write_bytes(b"half")
    schema.make(home, {"shards": 64})
    assert schema.check(home)


def foreign(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE mine(a)")
    other.close()


def of_another_version(path: Path) -> None:
    other = sqlite3.connect(path)
    other.executescript(f"PRAGMA application_id={schema.APPLICATION_ID}; PRAGMA user_version=999;")
    other.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(Path.touch, "torn or no journal: 0 octets", id="empty"),
        pytest.param(
            lambda path: path.write_bytes(b"SQLite format 3\0torn"), "torn or no journal", id="torn"
        ),
        pytest.param(
            lambda path: path.write_bytes(b"#!/bin/sh\n" * 50), "torn or no journal", id="no-database"
        ),
        pytest.param(foreign, "belongs to another program", id="foreign"),
        pytest.param(of_another_version, "version 999", id="another-version"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_left_as_it_is(home: Home, make: object, message: str) -> None:
    assert callable(make)
    make(home.database)
    before = home.database.read_bytes()
    with pytest.raises(ConfigError, match=message):
        schema.check(home)
    assert home.database.read_bytes() == before


def test_a_log_without_its_database_is_not_built_over(home: Home) -> None:
    Path(f"{home.database}-wal").write_bytes(b"promised")
    with pytest.raises(ConfigError, match=r"journal\.db is missing beside journal\.db-wal"):
        schema.check(home)
