"""A backend in memory for the lanes: as slow, forgetful and fickle as a test wants it.

It keeps the port's promises, and sees that its owner keeps his: each call is checked as it comes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from dataclasses import dataclass, field

from proxy.errors import QueueUnavailable
from proxy.writes.delivery import Delivery
from proxy.writes.events import CommitEvent
from proxy.writes.port import DeadLetter, Owner
from proxy.writes.problem import Problem
from proxy.writes.states import DEAD_LETTERS, FINAL
from proxy.writes.write import Result, Write


@dataclass(eq=False)
class Entry:
    """A write as the backend has it."""

    write: Write
    position: int
    kept: bool = False
    delivered: bool = False
    started: int = 0
    result: Result | None = None
    event: CommitEvent | None = None


@dataclass(eq=False)
class FakeQueue:
    """`proxy.writes.port.WriteQueue`. While `stuck` nothing is kept; while `broken` nothing can be.

    With `flags_all` it is like a broker: it keeps every write, and what was delivered before comes as
    redelivered. Else it is like the journal: it keeps those that are durable, flags those that were marked
    as started, and has all shards for good.
    """

    shards: int = 1
    flags_all: bool = False
    entries: list[Entry] = field(default_factory=list)
    trace: list[tuple[str, str]] = field(default_factory=list)
    """What was kept, in order: `kept`, `started`, `done`, each with the write's id."""
    lease_s: float = math.inf
    broken: bool = False
    closed: bool | None = None

    def __post_init__(self) -> None:
        self._owner: Owner | None = None
        self._owned: dict[int, int] = {}
        self._epochs = 0
        self._gate = asyncio.Event()
        self._gate.set()
        self._life = 0

    # the port

    async def start(self, owner: Owner) -> None:
        self._owner = owner
        clean = self.closed is not False
        self.closed = False
        for shard in range(self.shards):
            self.grant(shard, clean=clean)

    @property
    def puts_at_once(self) -> bool:
        return not self.flags_all

    def put_at_once(self, write: Write) -> int:
        assert self.puts_at_once
        assert not write.durable
        self._check()
        entry = Entry(write, len(self.entries))
        self.entries.append(entry)
        self._deliver(entry)
        return entry.position

    async def put(self, write: Write) -> int:
        self._check()
        entry = Entry(write, len(self.entries))
        self.entries.append(entry)
        self._deliver(entry)
        if not self._is_durable(write):
            return entry.position
        try:
            await self._keep()
        except QueueUnavailable:
            self._withdraw(entry)
            raise
        self._note("kept", entry)
        entry.kept = True
        return entry.position

    def started(self, delivery: Delivery, *, attempt: int) -> asyncio.Future[None] | None:
        assert attempt >= 0
        entry = self._entry(delivery)
        if entry is None or not self._is_durable(entry.write):
            return None
        self._check()

        async def mark() -> None:
            await self._keep()
            entry.kept = True
            entry.started = attempt
            self._note("started", entry)

        return asyncio.get_running_loop().create_task(mark())

    def done(self, delivery: Delivery, result: Result, event: CommitEvent) -> Awaitable[None] | None:
        assert result.state in FINAL
        assert event.state is result.state
        assert event.write_id == delivery.write.id
        entry = self._entry(delivery)
        if entry is None:
            return None
        self._check()
        return self._end(entry, result, event)

    def bury(
        self, delivery: Delivery, problem: Problem, result: Result, event: CommitEvent
    ) -> Awaitable[None] | None:
        assert result.state in DEAD_LETTERS
        assert result.problem == problem
        return self.done(delivery, result, event)

    def lease_left_s(self, shard: int) -> float:
        return self.lease_s if shard in self._owned else 0.0

    def release(self, shard: int) -> None:
        self._owned.pop(shard, None)

    async def close(self, *, clean: bool) -> None:
        self.closed = clean

    # what a test does to it

    def hold(self) -> None:
        """Keep nothing from now on; who waits for it, waits."""
        self._gate.clear()

    def let_go(self) -> None:
        """Keep what waits, and all that comes."""
        self._gate.set()

    def break_down(self) -> None:
        """Fail whatever is to be kept, what waits included."""
        self.broken = True
        self._gate.set()

    def heal(self) -> None:
        """Keep again."""
        self.broken = False

    def revoke(self, shard: int) -> None:
        """Take the shard away at once."""
        if self._owned.pop(shard, None) is not None and self._owner is not None:
            self._owner.lost(shard)

    def grant(self, shard: int, *, clean: bool = False) -> None:
        """Give the shard, and all of it that is not done, in order."""
        assert self._owner is not None
        if shard in self._owned:
            return
        self._epochs += 1
        self._owned[shard] = self._epochs
        self._owner.gained(shard, epoch=self._epochs, clean=clean)
        for entry in self.entries:
            if entry.result is None and entry.write.shard == shard:
                self._deliver(entry)

    def crash(self) -> None:
        """The process ends without a word: what was not kept never was; whoever waited is no more."""
        self._life += 1
        self._owned.clear()
        self._owner = None
        self.entries = [entry for entry in self.entries if entry.kept or entry.result is not None]
        for entry in self.entries:
            entry.delivered = self.flags_all and entry.delivered

    def entry_of(self, write_id: str) -> Entry | None:
        """What it has of this write."""
        return next((entry for entry in self.entries if entry.write.id == write_id), None)

    # inside

    def _is_durable(self, write: Write) -> bool:
        return write.durable or self.flags_all

    def _check(self) -> None:
        if self.broken:
            raise QueueUnavailable("the queue is broken")

    async def _keep(self) -> None:
        life = self._life
        await self._gate.wait()
        assert life == self._life, "a dead process waits"
        self._check()

    def _note(self, what: str, entry: Entry) -> None:
        self.trace.append((what, entry.write.id))

    def _deliver(self, entry: Entry) -> None:
        epoch = self._owned.get(entry.write.shard)
        if epoch is None or self._owner is None:
            return
        again = entry.delivered if self.flags_all else entry.started > 0
        entry.delivered = True
        self._owner.deliver(
            Delivery(
                entry.write,
                position=entry.position,
                epoch=epoch,
                redelivered=again,
                attempts=0 if self.flags_all else entry.started,
            )
        )

    def _withdraw(self, entry: Entry) -> None:
        epoch = self._owned.get(entry.write.shard)
        self.entries.remove(entry)
        if epoch is not None and self._owner is not None:
            self._owner.withdraw(Delivery(entry.write, position=entry.position, epoch=epoch))

    def _entry(self, delivery: Delivery) -> Entry | None:
        """None if the call comes from an ownership that is over."""
        if self._owned.get(delivery.write.shard) != delivery.epoch:
            return None
        entry = self.entry_of(delivery.write.id)
        assert entry is not None, f"{delivery!r} was never put"
        assert entry.result is None, f"{delivery!r} was done before"
        return entry

    def _end(self, entry: Entry, result: Result, event: CommitEvent) -> Awaitable[None] | None:
        epoch = self._owned[entry.write.shard]

        def keep() -> None:
            if self._owned.get(entry.write.shard) == epoch:
                assert entry.result is None, f"{entry.write.id} ends twice"
                entry.result, entry.event = result, event
                self._note("done", entry)

        if not self._is_durable(entry.write):
            keep()
            return None

        async def end() -> None:
            await self._keep()
            keep()

        return end()


@dataclass
class FakeStore:
    """What lanes and service ask of `proxy.writes.port.Store`."""

    paused_keys: dict[str, Problem] = field(default_factory=dict)
    letters: dict[str, DeadLetter] = field(default_factory=dict)

    async def pause(self, key: str, problem: Problem) -> None:
        self.paused_keys[key] = problem

    async def resume(self, key: str) -> bool:
        return self.paused_keys.pop(key, None) is not None

    async def paused(self) -> dict[str, Problem]:
        return dict(self.paused_keys)

    async def dead_letter(self, write_id: str) -> DeadLetter | None:
        return self.letters.get(write_id)

    async def discard(self, write_id: str) -> bool:
        return self.letters.pop(write_id, None) is not None
