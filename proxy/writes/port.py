"""The ports between the lanes and what keeps their writes.

The backend gives shards and keeps what was promised; the lanes give order within a key. An adapter
implements `WriteQueue` (and `EventLog`); `Store` is local to a proxy, embedded or fed by the events.

    put ──► deliver ──► started ──► (the origin) ──► done | bury
                 └──► withdraw, if the put failed after all

Order. Within a shard, writes are delivered in the order of the calls of `put`, and journalled and
unjournalled ones share that order. A write may be delivered before its `put` returns; the embedded queue
does so within the call. What makes that safe is `started`: it holds only once the write itself does.

Ends. Nothing but `done` and `bury` takes a write out of a backend. There is no way to put one back: a
retry happens in place, with the lane held, since every broker reorders on a negative acknowledgement.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from proxy.writes.delivery import Delivery as Delivery
from proxy.writes.events import CommitEvent, Gap, LoggedEvent, Positions
from proxy.writes.problem import Problem
from proxy.writes.states import State
from proxy.writes.write import Idempotency, Mode, Result, Write


class Owner(Protocol):
    """What a backend tells the lanes. Calls come on the event loop, and in this order for each shard."""

    def gained(self, shard: int, *, epoch: int, clean: bool) -> None:
        """The shard is ours. `clean` unless an owner before us may still have something at the origin."""

    def deliver(self, delivery: Delivery) -> None:
        """The next write of a shard that was gained. Does not wait."""

    def withdraw(self, delivery: Delivery) -> None:
        """Its `put` failed after it was delivered; nobody was promised anything, and it was not started."""

    async def losing(self, shard: int, *, deadline_s: float) -> None:
        """The shard is to go: start nothing more, return when what runs is done, or at the deadline."""

    def lost(self, shard: int) -> None:
        """The shard is gone: forget its lanes. What was sent runs on; its end has no effect here."""


class WriteQueue(Protocol):
    """A backend. Every call is made on the event loop."""

    @property
    def shards(self) -> int:
        """How many there are: fixed for the life of what is stored."""

    async def start(self, owner: Owner) -> None:
        """Begin to deliver: first what was left from before, in its order, while new writes may come.

        Raises: QueueUnavailable, ConfigError (a journal that is not ours, or of another version).
        """

    async def put(self, write: Write) -> int:
        """Take a write in; its position. The order of calls is the order within a shard.

        When it returns, a write that is `durable` survives any crash; for others nothing is promised.
        Before the first await it is refused or has its place.

        Raises: QueueFull (nothing happened), QueueUnavailable (after a crash it may be there all the same).
        """

    @property
    def puts_at_once(self) -> bool:
        """Whether a write that is not `durable` has nothing to wait for here: `put_at_once` takes it in."""

    def put_at_once(self, write: Write) -> int:
        """As `put`, for a write that is not `durable`, where `puts_at_once`. Raises: as `put`."""

    def started(self, delivery: Delivery, *, attempt: int) -> Future[None] | None:
        """Mark that attempt `attempt` (from 1) is to be sent; None if there is nothing to wait for.

        When it is over, a crash gives the write back as redelivered, and the write itself is durable. With
        the attempt before it that is taken back: it was not sent after all. Calls of one shard take effect in
        their order, those of `done` and `bury` included, and it begins in the step of the call.

        Raises: QueueUnavailable (not marked: do not send, ask again later).
        """

    def done(self, delivery: Delivery, result: Result, event: CommitEvent) -> Awaitable[None] | None:
        """It ended: state, result and event are kept as one, then it is taken out; None: nothing to wait for.

        Embedded that is one transaction; a broker confirms the event first. A write that is not `durable`
        has no result kept. Calls of one shard take effect in their order. A lane is not to go on before it
        is over: else a crash could repeat an older write after a newer one.

        Raises: QueueUnavailable (not known to be kept: ask again later); never for a write that the backend
        does not keep, which is embedded one that is not `durable`.
        """

    def bury(
        self, delivery: Delivery, problem: Problem, result: Result, event: CommitEvent
    ) -> Awaitable[None] | None:
        """The same for a dead letter: a copy is parked for an operator as well."""

    def lease_left_s(self, shard: int) -> float:
        """Seconds in which an attempt may still be begun; infinite where nobody else can own the shard."""

    def release(self, shard: int) -> None:
        """The shard is drained: somebody else may have it."""

    async def close(self, *, clean: bool) -> None:
        """Keep what was promised and stop. `clean` says that nothing of ours is at the origin any more."""


class EventLog(Protocol):
    """The events of all shards that this proxy can see."""

    def ends(self) -> Positions:
        """The last position of each shard."""

    def follow(self, after: Positions | None = None) -> AsyncIterator[LoggedEvent | Gap]:
        """Events as they come, those of a shard in order, each once; it ends when the log is closed.

        Of each shard those after `after`'s position, or all that are kept if it names none for it; without
        `after`, those from now on. Where some of them are not kept any more, first a Gap.
        """


# What is known of single writes.


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """A write as it is shown: no body, no credentials. Times are wall clock, None until they are known."""

    id: str
    route: str
    keys: tuple[str, ...]
    shard: int
    position: int
    method: str
    target: bytes
    mode: Mode
    state: State
    attempts: int
    accepted_at: float
    not_after: float
    principal: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    status: int | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A write that was parked, with all that is needed to send it again."""

    write: Write
    problem: Problem
    at: float


class ClaimKind(StrEnum):
    """What was found under an idempotency key."""

    OURS = "ours"
    RUNNING = "running"
    FINISHED = "finished"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who has an idempotency key: this write, or another one; for MISMATCH it came with another request."""

    kind: ClaimKind
    write_id: str
    expires_at: float


class Store(Protocol):
    """What is known of writes by their ids, of idempotency keys, of dead letters and of paused keys.

    Raises in general: QueueUnavailable, if it cannot be read or written.
    """

    async def status(self, write_id: str) -> WriteStatus | None:
        """None if it never was or is not known any more."""

    async def result(self, write_id: str) -> Result | None:
        """How a durable write ended; None while it has not, and after the retention."""

    async def listing(
        self,
        *,
        key: str | None = None,
        states: frozenset[State] | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[WriteStatus]:
        """Writes in the order of their ids, those after the id `after`."""

    async def claim(self, idempotency: Idempotency, write_id: str, *, expires_at: float) -> Claim:
        """Take the key for this write unless another one has it: look-up and claim are one step.

        It lasts with the `put` of that write, and is void if that never happens.
        """

    async def unclaim(self, write_id: str) -> None:
        """Free the key of a write that was refused. `done` and `bury` do so for one that was not `taken`."""

    async def dead_letters(self, *, after: str = "", limit: int = 100) -> Sequence[DeadLetter]:
        """Dead letters in the order of their ids, those after the id `after`."""

    async def dead_letter(self, write_id: str) -> DeadLetter | None:
        """One of them; None if there is none."""

    async def discard(self, write_id: str) -> bool:
        """Drop a dead letter that was seen to; False if there is none."""

    async def pause(self, key: str, problem: Problem) -> None:
        """Remember that nothing of this key is to be started."""

    async def resume(self, key: str) -> bool:
        """Forget it; False if it was not paused."""

    async def paused(self) -> dict[str, Problem]:
        """All paused keys."""
