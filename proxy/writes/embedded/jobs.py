"""What the event loop asks of the writer thread, one object for each thing.

    submitted (loop) ──► prepared, applied in a transaction (thread) ──► settled (loop)

A job is prepared once, however often its transaction is tried. `error` says why it was not kept; whoever
waits gets it, and `on_settled` is called in any case: whoever waited may be gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from proxy.writes.embedded.records import end_record, event_record, problem_text, write_record
from proxy.writes.embedded.sealing import Seal
from proxy.writes.events import CommitEvent
from proxy.writes.problem import Problem
from proxy.writes.write import Result, Write

if TYPE_CHECKING:
    from proxy.writes.embedded.database import Database

OnSettled = Callable[[Exception | None], None]


class Job:
    """Base of all."""

    __slots__ = ("error", "future", "on_settled", "value")
    changes = True
    """Whether it needs a transaction."""
    once = False
    """Whether it is not tried again after its transaction found no room: a new write, which frees nothing."""

    def __init__(self, on_settled: OnSettled | None = None) -> None:
        self.future: asyncio.Future[Any] | None = None
        self.on_settled = on_settled
        self.error: Exception | None = None
        self.value: object = None

    def waits(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
        """What to wait for."""
        self.future = loop.create_future()
        return self.future

    def prepare(self, seal: Seal) -> None:
        """What can be done before the transaction."""

    def settle(self) -> None:
        """Tell those who wait."""
        if self.on_settled is not None:
            self.on_settled(self.error)
        future = self.future
        if future is None or future.done():
            return
        if self.error is None:
            future.set_result(self.value)
        else:
            future.set_exception(self.error)


class Insert(Job):
    """Take a write in; `body` names the file that has its body."""

    __slots__ = ("body", "row", "seq", "write")
    once = True

    def __init__(
        self, write: Write, seq: int, *, body: str | None, on_settled: OnSettled | None = None
    ) -> None:
        super().__init__(on_settled)
        self.write = write
        self.seq = seq
        self.body = body
        self.row: tuple[object, ...] = ()

    def prepare(self, seal: Seal) -> None:
        record = write_record(self.write, with_body=self.body is None)
        sealed = seal.seal(record, queued_place(self.seq))
        keys = KEY_SEPARATOR.join(self.write.keys)
        claims = self.write.idempotency is not None
        self.row = (self.seq, self.write.id, keys, claims, self.body, sealed)


class Start(Job):
    """Mark that an attempt is to be sent."""

    __slots__ = ("row",)

    def __init__(
        self, seq: int, *, attempt: int, started_at: float | None, on_settled: OnSettled | None = None
    ) -> None:
        super().__init__(on_settled)
        self.row = (attempt, started_at, seq)


class End(Job):
    """A write ended. One that is not durable leaves its event only, and a dead letter its copy.

    `seq` is None for a write that has no row.
    """

    __slots__ = (
        "body", "dead", "dead_row", "ended_row", "event", "event_octets",
        "result", "seq", "started_at", "write",
    )  # fmt: skip

    def __init__(
        self,
        write: Write,
        result: Result,
        event: CommitEvent,
        *,
        seq: int | None,
        started_at: float | None = None,
        body: str | None = None,
        dead: Problem | None = None,
        on_settled: OnSettled | None = None,
    ) -> None:
        super().__init__(on_settled)
        self.write = write
        self.result = result
        self.event = event
        self.seq = seq
        self.started_at = started_at
        self.body = body
        self.dead = dead
        self.event_octets = b""
        self.ended_row: tuple[object, ...] | None = None
        self.dead_row: tuple[object, ...] | None = None

    @property
    def frees_claim(self) -> bool:
        """Whether its idempotency key is free again: the origin has not taken it."""
        return self.write.idempotency is not None and not self.result.taken

    def prepare(self, seal: Seal) -> None:
        write, result = self.write, self.result
        self.event_octets = event_record(self.event)
        if self.seq is not None:
            record = end_record(write, result, position=self.seq, started_at=self.started_at)
            self.ended_row = (write.id, result.finished_at, seal.seal(record, ended_place(write.id)))
        if self.dead is not None:
            sealed = seal.seal(write_record(write, with_body=self.body is None), dead_place(write.id))
            self.dead_row = (write.id, result.finished_at, problem_text(self.dead), self.body, sealed)


class Call(Job):
    """Anything else: a function of the database, called in the writer thread."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[Database], object]) -> None:
        super().__init__()
        self.run = run


class Read(Call):
    """A function that changes nothing in the file: it is answered as long as the file can be read."""

    __slots__ = ()
    changes = False


KEY_SEPARATOR: Final = "\n"
"""Between the keys of a row, which are there for people."""


def queued_place(seq: int) -> bytes:
    """What a queued write is sealed for."""
    return b"queued %d" % seq


def ended_place(write_id: str) -> bytes:
    """What an end is sealed for."""
    return b"ended " + write_id.encode()


def dead_place(write_id: str) -> bytes:
    """What a dead letter is sealed for."""
    return b"dead " + write_id.encode()
