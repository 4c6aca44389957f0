"""The journal's file as the writer thread has it: what one transaction does, and the positions of events.

Order within a batch: new writes, marks, ends, then everything else in the order it was asked. Jobs of one
kind go to SQLite together, which halves their cost; a write's own steps never meet in one batch in another
order, as each is asked for after the one before it was settled, or after its insert was submitted.

Positions. All shards draw theirs from one counter: within each they rise, and what a reader of many shards
has missed lies in one piece. The events of a transaction are one row; a row for each would cost as much as
the write itself. Nobody hears of an event before it is durable, and so a position that a crash took back was
never seen and can be given again. Two things break that: after an unclean end events may be missing (of
writes that were not durable, and of those that were at the origin), and while the disk fails events go out
that are not kept. Either raises the *generation*, which is the upper part of a position: it goes on rising,
and a reader who crosses from one generation to the next is told that there is a gap.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, cast

from proxy.writes.embedded.claims import Claims
from proxy.writes.embedded.jobs import Call, End, Insert, Job, Start
from proxy.writes.embedded.records import event_row
from proxy.writes.embedded.sealing import Seal
from proxy.writes.events import LoggedEvent

GENERATION_SHIFT: Final = 40
"""2^40 events in a generation: eleven years at 3,000 a second."""


class Database:
    """One open journal. Owned by the writer thread."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self.connection = connection
        self.seal = seal
        self.claims = Claims(connection)
        self.generation = cast(int, self.meta("generation"))
        (last,) = connection.execute("SELECT coalesce(max(last), 0) FROM event").fetchone()
        self._position = max(cast(int, last), cast(int, self.meta("position")), self.base)
        self._unsaved = False
        self.dead_letters = self._dead_letters_then = self._count_dead_letters()
        """How many are parked; read by other threads."""

    def __repr__(self) -> str:
        return f"<Database generation={self.generation} unsaved={self._unsaved} {self.claims!r}>"

    def meta(self, name: str) -> object:
        """A value of `meta`; None if there is none. Raises: sqlite3.Error."""
        row = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def set_meta(self, **values: object) -> None:
        """Set values of `meta`. Raises: sqlite3.Error."""
        self.connection.executemany("INSERT OR REPLACE INTO meta VALUES(?, ?)", values.items())

    @property
    def base(self) -> int:
        """Where positions of this generation begin: the first one is one more."""
        return self.generation << GENERATION_SHIFT

    @property
    def position(self) -> int:
        """The last one that was given."""
        return max(self._position, self.base)

    def _count_dead_letters(self) -> int:
        """Some microseconds for ten thousand. Raises: sqlite3.Error."""
        (count,) = self.connection.execute("SELECT count(*) FROM dead").fetchone()
        return cast(int, count)

    # transactions

    def begin(self) -> None:
        """Raises: sqlite3.Error."""
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make it durable. Raises: sqlite3.Error."""
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        """After an error; SQLite has rolled back by itself after some of them."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def apply(self, jobs: Sequence[Job]) -> list[LoggedEvent]:
        """Do these jobs in the transaction that was begun; the events that they add.

        Positions are given for good by `gave` only. Raises: sqlite3.Error, and what a Call raises.
        """
        inserts = [job for job in jobs if isinstance(job, Insert)]
        if inserts:
            self._insert(inserts)
        starts = [job.row for job in jobs if isinstance(job, Start)]
        if starts:
            self.connection.executemany(
                "UPDATE queued SET attempts = ?, started_at = ? WHERE seq = ?", starts
            )
        ends = [job for job in jobs if isinstance(job, End)]
        events = self._end(ends) if ends else []
        for job in jobs:
            if isinstance(job, Call):
                job.value = job.run(self)
        if any(map(_parks_or_clears, jobs)):
            self._dead_letters_then = self._count_dead_letters()
        return events

    def _insert(self, inserts: Sequence[Insert]) -> None:
        self.connection.executemany(
            "INSERT INTO queued(seq, id, keys, claims, body, sealed, attempts) VALUES(?, ?, ?, ?, ?, ?, 0)",
            [job.row for job in inserts],
        )
        claims = self.claims.rows(job.write for job in inserts)
        if claims:
            self.connection.executemany("INSERT OR REPLACE INTO claim VALUES(?, ?, ?, ?)", claims)

    def _end(self, ends: Sequence[End]) -> list[LoggedEvent]:
        many = self.connection.executemany
        many("DELETE FROM queued WHERE seq = ?", [(job.seq,) for job in ends if job.seq is not None])
        many(
            "INSERT OR REPLACE INTO ended(id, at, sealed) VALUES(?, ?, ?)",
            [job.ended_row for job in ends if job.ended_row is not None],
        )
        dead = [job.dead_row for job in ends if job.dead_row is not None]
        if dead:
            many("INSERT OR REPLACE INTO dead VALUES(?, ?, ?, ?, ?)", dead)
        freed = [(job.write.id,) for job in ends if job.frees_claim]
        if freed:
            many("DELETE FROM claim WHERE id = ?", freed)
        if self._unsaved:
            self.generation += 1
            self.set_meta(generation=self.generation)
        events = self._number(ends)
        row = event_row(
            (event.position, event.event.shard, job.event_octets)
            for event, job in zip(events, ends, strict=True)
        )
        self.connection.execute(
            "INSERT INTO event VALUES(?, ?, ?, ?)",
            (events[-1].position, len(events), ends[-1].event.at, row),
        )
        return events

    def _number(self, ends: Iterable[End]) -> list[LoggedEvent]:
        first = self.position + 1
        return [LoggedEvent(position, job.event) for position, job in enumerate(ends, first)]

    # what follows from how it went

    def kept(self, jobs: Sequence[Job], events: Sequence[LoggedEvent]) -> None:
        """The transaction with these jobs is durable."""
        self.dead_letters = self._dead_letters_then
        if events:
            self._position = events[-1].position
            self._unsaved = False
        for job in jobs:
            if isinstance(job, Insert):
                self.claims.kept(job.write.id)
            elif isinstance(job, End):
                self.claims.ended(job.write.id)

    def not_kept(self, generation: int) -> None:
        """It was rolled back: the generation that it may have raised is the one before it."""
        self.generation = generation
        self._dead_letters_then = self.dead_letters

    def unsaved(self, ends: Iterable[End]) -> list[LoggedEvent]:
        """Number events that cannot be kept, for those who follow now."""
        events = self._number(ends)
        self._position = events[-1].position
        self._unsaved = True
        return events


def _parks_or_clears(job: Job) -> bool:
    """Whether the number of dead letters may be another after it."""
    return isinstance(job, Call) or (isinstance(job, End) and job.dead_row is not None)
