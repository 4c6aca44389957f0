"""Every backend as the contract suite sees it: started, asked, and started again on what it kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

from proxy.config.write_settings import JournalSettings
from proxy.http.fields import Fields
from proxy.writes.embedded.event_log import EmbeddedLog
from proxy.writes.embedded.journal import Journal
from proxy.writes.embedded.queue import EmbeddedQueue
from proxy.writes.embedded.store import EmbeddedStore
from proxy.writes.events import CommitEvent, Gap, LoggedEvent, Positions
from proxy.writes.memory.event_log import MemoryLog
from proxy.writes.memory.queue import MemoryQueue
from proxy.writes.memory.state import MemoryState
from proxy.writes.memory.store import MemoryStore
from proxy.writes.port import Delivery, EventLog, Store, WriteQueue
from proxy.writes.states import State
from proxy.writes.write import Mode, Result, Write


class RecordingOwner:
    """An owner that keeps what it is told, and lets tests wait for it."""

    def __init__(self) -> None:
        self.gains: dict[int, bool] = {}
        self.deliveries: list[Delivery] = []
        self.withdrawn: list[Delivery] = []
        self._changed = asyncio.Event()

    def gained(self, shard: int, *, epoch: int, clean: bool) -> None:
        self.gains[shard] = clean

    def deliver(self, delivery: Delivery) -> None:
        assert delivery.write.shard in self.gains, "delivered before the shard was gained"
        self.deliveries.append(delivery)
        self._changed.set()

    def withdraw(self, delivery: Delivery) -> None:
        assert delivery in self.deliveries, "withdrawn, but never delivered"
        self.withdrawn.append(delivery)

    async def losing(self, shard: int, *, deadline_s: float) -> None:
        return

    def lost(self, shard: int) -> None:
        del self.gains[shard]

    def of(self, write: Write) -> Delivery:
        """The delivery of a write."""
        return next(one for one in self.deliveries if one.write.id == write.id)

    async def until(self, count: int) -> list[Delivery]:
        """Wait until so many were delivered."""
        async with asyncio.timeout(10):
            while len(self.deliveries) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.deliveries

    @property
    def ids(self) -> list[str]:
        return [one.write.id for one in self.deliveries]


class Backend(Protocol):
    """One backend under test; `mode` is what writes must be at the most that it takes in."""

    mode: Mode
    queue: WriteQueue
    store: Store
    events: EventLog
    owner: RecordingOwner

    def renew(self) -> None: ...
    async def start(self) -> RecordingOwner: ...
    async def restart(self, *, clean: bool) -> RecordingOwner: ...
    async def stop(self, *, clean: bool) -> None: ...


class TestClock:
    """A clock that stands until a test moves it."""

    __test__ = False

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.monotonic = 1_000.0

    def now(self) -> float:
        return self.wall

    def mono(self) -> float:
        return self.monotonic

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


class EmbeddedBackend:
    """The embedded queue over a directory."""

    mode = Mode.ASYNC

    def __init__(
        self, directory: Path, *, max_writes: int = 1000, max_bytes: int = 2**24, **settings: object
    ) -> None:
        self._room = {"max_writes": max_writes, "max_bytes": max_bytes}
        values = {"directory": directory, "min_free_bytes": 0, "shards": 4, "spool_above_bytes": 1000}
        self.settings = JournalSettings(**(values | settings))  # type: ignore[arg-type]
        self.clock = TestClock()
        self.journal: Journal
        self.queue: EmbeddedQueue
        self.store: EmbeddedStore
        self.events: EmbeddedLog
        self.owner: RecordingOwner

    async def start(self) -> RecordingOwner:
        self.renew()
        await self.queue.start(self.owner)
        return self.owner

    async def restart(self, *, clean: bool) -> RecordingOwner:
        await self.stop(clean=clean)
        return await self.start()

    def renew(self) -> None:
        """As a new process finds it, before anything is started."""
        self.journal = Journal(self.settings, clock=self.clock, **self._room)
        self.queue = EmbeddedQueue(self.journal)
        self.store = EmbeddedStore(self.journal)
        self.events = self.journal.events
        self.owner = RecordingOwner()

    async def stop(self, *, clean: bool) -> None:
        await self.queue.close(clean=clean)


class MemoryBackend:
    """The queue in memory, of which a new process finds nothing."""

    mode = Mode.SYNC

    def __init__(self, directory: Path) -> None:  # where nothing is left
        self.clock = TestClock()
        self.state: MemoryState
        self.queue: MemoryQueue
        self.store: MemoryStore
        self.events: MemoryLog
        self.owner: RecordingOwner
        self._clean = True

    async def start(self) -> RecordingOwner:
        self.renew()
        await self.queue.start(self.owner)
        return self.owner

    async def restart(self, *, clean: bool) -> RecordingOwner:
        await self.stop(clean=clean)
        self._clean = clean
        self.clock.advance(0.1)  # no process starts within the same instant as the one before
        return await self.start()

    def renew(self) -> None:
        """As a new process makes it, before anything is started."""
        self.state = MemoryState(clock=self.clock, shards=4, clean=self._clean)
        self.queue = MemoryQueue(self.state)
        self.store = MemoryStore(self.state)
        self.events = self.state.events
        self.owner = RecordingOwner()

    async def stop(self, *, clean: bool) -> None:
        await self.queue.close(clean=clean)


KEEPERS: dict[str, Callable[[Path], Backend]] = {"embedded": EmbeddedBackend}
"""Those that keep what was promised."""

BACKENDS: dict[str, Callable[[Path], Backend]] = {**KEEPERS, "memory": MemoryBackend}


def result_of(
    state: State = State.COMMITTED,
    *,
    attempts: int = 1,
    taken: bool = True,
    status: int | None = 200,
    body: bytes = b"answer",
) -> Result:
    """How a write ended."""
    fields = Fields([(b"Set-Cookie", b"a=1"), (b"ETag", b'"\xe9"')])
    return Result(state, attempts, taken, 1_700_000_100.5, status, fields, body)


def event_of(write: Write, state: State = State.COMMITTED, *, status: int | None = 200) -> CommitEvent:
    """Its event."""
    return CommitEvent(
        write_id=write.id, route=write.route, keys=write.keys, shard=write.shard, method=write.method,
        target=write.target, state=state, at=1_700_000_100.5, status=status, etag=b'"\xe9"',
        invalidated=("/posts/1", "tag:posts"),
    )  # fmt: skip


async def finish(backend: Backend, write: Write, *, result: Result | None = None) -> None:
    """Start the write once, and end it."""
    delivery = backend.owner.of(write)
    marked = backend.queue.started(delivery, attempt=1)
    if marked is not None:
        await marked
    result = result or result_of()
    kept = backend.queue.done(delivery, result, event_of(write, result.state, status=result.status))
    if kept is not None:
        await kept


async def take(events: AsyncIterator[LoggedEvent | Gap], count: int) -> list[LoggedEvent | Gap]:
    """The next so many from a follower."""
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def all_after(log: EventLog, after: Positions, *, until: int) -> Sequence[LoggedEvent | Gap]:
    """What a follower that begins there gets, up to `until` events."""
    found: list[LoggedEvent | Gap] = []
    follower = log.follow(after)
    async with asyncio.timeout(10):
        async for one in follower:
            found.append(one)
            if sum(isinstance(each, LoggedEvent) for each in found) == until:
                break
    return found
