"""Positions of events over commits, rollbacks, crashes and times without a disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.config.write_settings import JournalSettings
from proxy.writes.embedded.database import GENERATION_SHIFT, Database
from proxy.writes.embedded.home import Home
from proxy.writes.embedded.jobs import End
from proxy.writes.embedded.opening import open_journal
from tests.writes.backends import event_of, result_of
from tests.writes.making import make_write


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    home = Home(tmp_path / "j")
    opened = open_journal(home, JournalSettings(directory=home.path))
    yield opened.database
    opened.database.connection.close()
    home.release()


def an_end(database: Database) -> End:
    write = make_write()
    job = End(write, result_of(), event_of(write), seq=None)
    job.prepare(database.seal)
    return job


def kept(database: Database, jobs: list[End]) -> list[int]:
    generation = database.generation
    database.begin()
    try:
        events = database.apply(jobs)
        database.commit()
    except sqlite3.Error:
        database.not_kept(generation)
        database.rollback()
        raise
    database.kept(jobs, events)
    return [event.position for event in events]


def test_positions_rise_one_by_one(database: Database) -> None:
    assert kept(database, [an_end(database), an_end(database)]) == [1, 2]
    assert kept(database, [an_end(database)]) == [3]


def test_a_position_that_was_rolled_back_was_never_seen_and_is_given_again(database: Database) -> None:
    generation = database.generation
    database.begin()
    database.apply([an_end(database)])
    database.rollback()
    database.not_kept(generation)
    assert kept(database, [an_end(database)]) == [1]


def test_events_that_could_not_be_kept_begin_a_new_generation(database: Database) -> None:
    assert kept(database, [an_end(database)]) == [1]
    assert [event.position for event in database.unsaved([an_end(database)])] == [2]
    generation = database.generation
    database.begin()
    database.apply([an_end(database)])
    database.rollback()
    database.not_kept(generation)
    assert [event.position for event in database.unsaved([an_end(database)])] == [3]
    assert kept(database, [an_end(database)]) == [(1 << GENERATION_SHIFT) + 1]
    assert kept(database, [an_end(database)]) == [(1 << GENERATION_SHIFT) + 2]
    assert database.meta("generation") == 1
