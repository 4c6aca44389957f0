"""What is forgotten, and when: results and claims by age, events and dead letters by age or number.

Each step removes some rows only, in a transaction like any other: new writes wait for no sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proxy.config.write_settings import JournalSettings
from proxy.writes.embedded.database import Database
from proxy.writes.embedded.records import events_of

logger = logging.getLogger(__name__)

STEP: Final = 500
"""Rows of one kind that go in one step: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a step did: whether there may be more, new floors of the event log, bodies without a row."""

    more: bool
    floors: dict[int, int]
    bodies: tuple[str, ...]


def sweep(settings: JournalSettings, *, now: float) -> Callable[[Database], Swept]:
    """One step."""

    def run(database: Database) -> Swept:
        ended = _sweep_ended(database, settings, now)
        claims = database.claims.forget_expired(now=now, limit=STEP)
        events, floors = _sweep_events(database, settings, now)
        bodies, dead = _sweep_dead(database, settings)
        return Swept(max(ended, claims, events, dead) >= STEP, floors, bodies)

    return run


def _sweep_ended(database: Database, settings: JournalSettings, now: float) -> int:
    execute = database.connection.execute
    first, last = execute("SELECT coalesce(min(n), 0), coalesce(max(n), -1) FROM ended").fetchone()
    # Rows stand in the order in which they ended, and nothing but this removes any.
    by_number = last - settings.max_results
    upto = max(
        by_number, _old(database, "SELECT n, at FROM ended ORDER BY n LIMIT ?", now - settings.retention_s)
    )
    upto = min(upto, first + STEP - 1)
    return execute("DELETE FROM ended WHERE n <= ?", (upto,)).rowcount


def _old(database: Database, query: str, before: float) -> int:
    upto = -1
    for number, at in database.connection.execute(query, (STEP,)):
        if at > before:
            break
        upto = number
    return upto


def _sweep_events(database: Database, settings: JournalSettings, now: float) -> tuple[int, dict[int, int]]:
    execute = database.connection.execute
    before = now - settings.event_retention_s
    (surplus,) = execute("SELECT coalesce(sum(count), 0) FROM event").fetchone()
    surplus -= settings.max_events
    upto = removed = 0
    floors: dict[int, int] = {}
    rows = execute("SELECT last, count, at, events FROM event ORDER BY last LIMIT ?", (STEP,))
    for last, count, at, events in rows:
        if at > before and surplus <= 0:
            break
        upto, removed, surplus = last, removed + 1, surplus - count
        floors.update((event.event.shard, event.position) for event in events_of(events))
    if upto:
        execute("DELETE FROM event WHERE last <= ?", (upto,))
        database.connection.executemany("INSERT OR REPLACE INTO floor VALUES(?, ?)", floors.items())
        database.set_meta(position=database.position)
    return removed, floors


def _sweep_dead(database: Database, settings: JournalSettings) -> tuple[tuple[str, ...], int]:
    execute = database.connection.execute
    (count,) = execute("SELECT count(*) FROM dead").fetchone()
    surplus = min(STEP, count - settings.max_dead_letters)
    if surplus <= 0:
        return (), 0
    rows = execute("SELECT id, body FROM dead ORDER BY at, id LIMIT ?", (surplus,)).fetchall()
    database.connection.executemany("DELETE FROM dead WHERE id = ?", [(write_id,) for write_id, _ in rows])
    logger.error("dead_letters_dropped count=%d max_dead_letters=%d", len(rows), settings.max_dead_letters)
    return tuple(body for _, body in rows if body is not None), len(rows)
