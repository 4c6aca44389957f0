"""What is known of single writes: those that run from memory, those that ended from the journal."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from proxy.errors import QueueUnavailable
from proxy.tasks import spawn
from proxy.writes.embedded.database import Database
from proxy.writes.embedded.jobs import dead_place, ended_place
from proxy.writes.embedded.journal import Journal
from proxy.writes.embedded.records import problem_of, problem_text, result_of, status_of, write_of
from proxy.writes.embedded.recovery import left
from proxy.writes.embedded.spool import Spool
from proxy.writes.live import is_asked
from proxy.writes.port import Claim, DeadLetter, WriteStatus
from proxy.writes.problem import Problem
from proxy.writes.states import FINAL, State
from proxy.writes.write import Idempotency, Result

_PAGE: Final = 500
_PAGE_S: Final = 0.005
"""Ends that are read at a time, and how long that may take: nothing is committed meanwhile. Each has its
answer's body, which has to be unsealed with it."""


class EmbeddedStore:
    """A Store over a journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __repr__(self) -> str:
        return f"<EmbeddedStore {self._journal!r}>"

    async def status(self, write_id: str) -> WriteStatus | None:
        """None if it never was or is not known any more."""
        recovering = self._journal.recovering  # before the looks: it may get to its lane between them
        running = self._journal.live.get(write_id)
        if running is not None:
            return running.status()
        ended = await self._ended(write_id)
        if ended is not None or not recovering:
            return ended
        # Left from before, and not at its lane yet: a walk over the rows, as long as there are such.
        waiting = await self._journal.read(lambda database: left(database, write_id))
        return waiting or await self._ended(write_id)

    async def _ended(self, write_id: str) -> WriteStatus | None:
        record = await self._journal.read(_end_of(write_id))
        return None if record is None else status_of(record)

    async def result(self, write_id: str) -> Result | None:
        """How a durable write ended."""
        record = await self._journal.read(_end_of(write_id))
        return None if record is None else result_of(record)

    async def listing(
        self,
        *,
        key: str | None = None,
        states: frozenset[State] | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[WriteStatus]:
        """Writes in the order of their ids, those after the id `after`; those not yet recovered excepted."""

        found = self._journal.live.page(key=key, states=states, after=after, limit=limit)
        ended: list[WriteStatus] = []
        place = after
        while len(ended) < limit and (states is None or states & FINAL):
            page, is_last = await self._journal.read(_page_of_ends(place))
            ended += (status for status in page if is_asked(status, key=key, states=states))
            if is_last:
                break
            place = page[-1].id
        # A write that ended between the two looks is in both: its end is the later word.
        by_id = {status.id: status for status in (*found, *ended)}
        return [by_id[write_id] for write_id in sorted(by_id)[:limit]]

    # idempotency keys

    async def claim(self, idempotency: Idempotency, write_id: str, *, expires_at: float) -> Claim:
        """Take the key for this write unless another one has it."""
        now = self._journal.clock.now()
        try:
            return await self._journal.read(
                lambda database: database.claims.claim(idempotency, write_id, expires_at=expires_at, now=now)
            )
        except asyncio.CancelledError:
            # It is done all the same, and nobody would ever free the key.
            _task = spawn(self._void(write_id), name="void claim")
            raise

    async def _void(self, write_id: str) -> None:
        """Free a key that no write was put for. A read, as the claim is: the two stay in their order."""
        with contextlib.suppress(QueueUnavailable):  # nothing is kept any more, and no claim is
            await self._journal.read(lambda database: database.claims.void(write_id))

    async def unclaim(self, write_id: str) -> None:
        """Free the key of a write that was refused."""
        await self._journal.change(lambda database: database.claims.unclaim(write_id))

    # dead letters

    async def dead_letters(self, *, after: str = "", limit: int = 100) -> Sequence[DeadLetter]:
        """Dead letters in the order of their ids, those after the id `after`."""
        spool = self._journal.opened.spool
        return await self._journal.read(
            lambda database: _letters(database, spool, "id > ? ORDER BY id LIMIT ?", (after, limit))
        )

    async def dead_letter(self, write_id: str) -> DeadLetter | None:
        """One of them; None if there is none."""
        spool = self._journal.opened.spool
        found = await self._journal.read(lambda database: _letters(database, spool, "id = ?", (write_id,)))
        return found[0] if found else None

    async def discard(self, write_id: str) -> bool:
        """Drop a dead letter that was seen to; False if there is none."""

        def drop(database: Database) -> tuple[bool, str | None]:
            row = database.connection.execute("SELECT body FROM dead WHERE id = ?", (write_id,)).fetchone()
            database.connection.execute("DELETE FROM dead WHERE id = ?", (write_id,))
            return row is not None, None if row is None else row[0]

        was_there, body = await self._journal.change(drop)
        if body is not None:
            self._journal.remove_body(body)
        return was_there

    # paused keys

    async def pause(self, key: str, problem: Problem) -> None:
        """Remember that nothing of this key is to be started."""
        await self._journal.change(
            lambda database: (
                database.connection.execute(
                    "INSERT OR REPLACE INTO paused VALUES(?, ?)", (key, problem_text(problem))
                ).rowcount
            )
        )

    async def resume(self, key: str) -> bool:
        """Forget it; False if it was not paused."""
        removed = await self._journal.change(
            lambda database: database.connection.execute("DELETE FROM paused WHERE key = ?", (key,)).rowcount
        )
        return removed > 0

    async def paused(self) -> dict[str, Problem]:
        """All paused keys. Opens the journal: lanes ask before the queue is started. Raises: ConfigError."""
        await self._journal.open()
        rows = await self._journal.read(
            lambda database: database.connection.execute("SELECT key, problem FROM paused").fetchall()
        )
        return {key: problem for key, text in rows if (problem := problem_of(text)) is not None}


def _end_of(write_id: str) -> Callable[[Database], bytes | None]:
    def read(database: Database) -> bytes | None:
        row = database.connection.execute("SELECT sealed FROM ended WHERE id = ?", (write_id,)).fetchone()
        return None if row is None else database.seal.open(row[0], ended_place(write_id))

    return read


def _page_of_ends(after: str) -> Callable[[Database], tuple[list[WriteStatus], bool]]:
    """The next ones, and whether there are no more."""

    def read(database: Database) -> tuple[list[WriteStatus], bool]:
        until_mono = time.monotonic() + _PAGE_S
        page: list[WriteStatus] = []
        rows = database.connection.execute(
            "SELECT id, sealed FROM ended WHERE id > ? ORDER BY id LIMIT ?", (after, _PAGE)
        )
        for write_id, sealed in rows:
            page.append(status_of(database.seal.open(sealed, ended_place(write_id))))
            if time.monotonic() >= until_mono:
                return page, False
        return page, len(page) < _PAGE

    return read


def _letters(
    database: Database, spool: Spool, condition: str, values: tuple[object, ...]
) -> list[DeadLetter]:
    rows = database.connection.execute(
        f"SELECT id, at, problem, body, sealed FROM dead WHERE {condition}", values
    )
    letters = []
    for write_id, at, problem, body_name, sealed in rows:
        record = database.seal.open(sealed, dead_place(write_id))
        body = None if body_name is None else spool.read(body_name)
        why = problem_of(problem)
        assert why is not None, "a dead letter has its problem"
        letters.append(DeadLetter(write_of(record, body=body), why, at))
    return letters
