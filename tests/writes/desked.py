"""Writes over a journal, or in memory, with the operator's desk before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from proxy.clock import SystemClock
from proxy.config.write_settings import JournalSettings
from proxy.writes.desk import Desk
from proxy.writes.embedded.journal import Journal
from proxy.writes.embedded.queue import EmbeddedQueue
from proxy.writes.embedded.store import EmbeddedStore
from proxy.writes.memory.queue import MemoryQueue
from proxy.writes.memory.state import MemoryState
from proxy.writes.memory.store import MemoryStore
from proxy.writes.orders import WritesOrder
from proxy.writes.policy import Retry, WritePolicy
from proxy.writes.port import EventLog, Store, WriteQueue
from proxy.writes.service import Writes
from proxy.writes.states import FINAL, State
from proxy.writes.write import Write
from tests.writes.making import make_write
from tests.writes.model_origin import Act, ModelOrigin
from tests.writes.world import RecordedEffects

RETRY = Retry(max_attempts=2, first_s=0.0, budget_s=60.0)
POLICY = WritePolicy(origin="model", retry=RETRY, settle_s=0.0, unrecorded=False)
LIVES_S = 3600.0
REFUSES = Act(401, delay_s=0.0, applies=False)
"""The write becomes a dead letter."""
HANGS = Act(hangs=True, applies=False)


@dataclass
class Desked:
    """One process's writes. `policies` may be changed at any time."""

    queue: WriteQueue
    store: Store
    events: EventLog
    recovering: bool = False
    policies: dict[str, WritePolicy] = field(default_factory=lambda: {"*/": POLICY})

    def __post_init__(self) -> None:
        self.origin = ModelOrigin(SystemClock(), usual=Act(delay_s=0.0))
        self.writes = Writes(
            queue=self.queue,
            store=self.store,
            origins={"model": self.origin},
            effects=RecordedEffects([]),
            policies=lambda route: self.policies.get(route),
            clock=SystemClock(),
            max_queued=1000,
            max_running=8,
        )
        numbers = count(1)
        self.desk = Desk(
            self.writes,
            events=self.events,
            new_id=lambda shard: f"again{next(numbers):03}-{shard:03x}",
            lives_s=lambda _route: LIVES_S,
            clock=SystemClock(),
            recovering=lambda: self.recovering,
        )

    async def order(self, order: WritesOrder) -> Any:
        """What the desk answers."""
        return await self.desk.carry_out(order)

    async def accept(self, *keys: str, write_id: str, **parts: Any) -> Write:
        """A write that is at its lane."""
        write = make_write(*keys, write_id=write_id, accepted_at=SystemClock().now(), **parts)
        await self.writes.accept(write)
        return write

    async def ended(self, *keys: str, write_id: str, act: Act | None = None) -> State:
        """A write that is over: how it ended."""
        if act is not None:
            self.origin.acts.append(act)
        write = make_write(*keys, write_id=write_id, accepted_at=SystemClock().now())
        with self.writes.wait(write.id) as future:
            await self.writes.accept(write)
            async with asyncio.timeout(10):
                return (await future).result.state

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let others run until it holds."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what changes it is in many places
                await asyncio.sleep(0)

    async def until_ended(self, write_id: str) -> None:
        """Wait until the end of this write is kept."""
        async with asyncio.timeout(10):
            while not await self._has_ended(write_id):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)

    async def _has_ended(self, write_id: str) -> bool:
        status = await self.store.status(write_id)
        return status is not None and status.state in FINAL


@dataclass
class DeskedJournal(Desked):
    """The same over a journal."""

    journal: Journal = field(kw_only=True)


@asynccontextmanager
async def desked(directory: Path) -> AsyncIterator[DeskedJournal]:
    """It has started, over a journal; its origin answers at once."""
    settings = JournalSettings(directory=directory, shards=4, min_free_bytes=0)
    journal = Journal(settings, clock=SystemClock())
    made = DeskedJournal(EmbeddedQueue(journal), EmbeddedStore(journal), journal.events, journal=journal)
    async with _running(made):
        yield made


@asynccontextmanager
async def desked_in_memory() -> AsyncIterator[Desked]:
    """The same without a journal."""
    state = MemoryState(clock=SystemClock())
    made = Desked(MemoryQueue(state), MemoryStore(state), state.events)
    async with _running(made):
        yield made


@asynccontextmanager
async def _running(made: Desked) -> AsyncIterator[None]:
    await made.writes.start()
    try:
        yield
    finally:
        await made.writes.stop(deadline_s=0.0)
