"""The WriteQueue without a journal: a write has its place at once, and its end is an event and nothing more.

    put ──place taken, delivered──► sent ──► done: an event, and it is gone

All shards are this process's. Nothing is waited for, no thread and no task runs: what queueing a write costs
is what its lane costs.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import Final

from proxy.errors import QueueUnavailable
from proxy.writes.events import CommitEvent
from proxy.writes.live import LiveDelivery
from proxy.writes.memory.state import MemoryState, needs_journal
from proxy.writes.port import Delivery, Owner
from proxy.writes.problem import Problem
from proxy.writes.write import Mode, Result, Write

_EPOCH: Final = 1  # nobody else ever owns a shard


class MemoryQueue:
    """A WriteQueue over the memory of this process."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._owner: Owner | None = None
        self._last_position = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"<MemoryQueue {self._state!r} closed={self._closed}>"

    @property
    def shards(self) -> int:
        """How many there are."""
        return self._state.shards

    async def start(self, owner: Owner) -> None:
        """Begin to deliver what comes; nothing was left from before."""
        self._last_position = self._state.events.begin_at(self._state.clock.now(), shards=self.shards)
        self._owner = owner
        for shard in range(self.shards):
            owner.gained(shard, epoch=_EPOCH, clean=self._state.clean)

    @property
    def puts_at_once(self) -> bool:
        """There is nothing to wait for."""
        return True

    async def put(self, write: Write) -> int:
        """Take a write in that its client waits for; its position. Raises: QueueFull, QueueUnavailable."""
        return self.put_at_once(write)

    def put_at_once(self, write: Write) -> int:
        """The same. Raises: QueueFull, QueueUnavailable."""
        owner = self._check(write)
        self._last_position += 1
        delivery = LiveDelivery(write, position=self._last_position, epoch=_EPOCH)
        self._state.live.add(delivery)
        owner.deliver(delivery)
        return delivery.position

    def _check(self, write: Write) -> Owner:
        state = self._state
        if self._owner is None or self._closed:
            raise QueueUnavailable("The queue is not open.")
        if write.durable:
            asynchronous = write.mode is Mode.ASYNC
            raise needs_journal("A write that is answered 202" if asynchronous else "An Idempotency-Key")
        state.live.check_room(write)
        assert 0 <= write.shard < self.shards, f"there is no shard {write.shard}"
        return self._owner

    def started(self, delivery: Delivery, *, attempt: int) -> asyncio.Future[None] | None:
        """Note an attempt for who looks; there is nothing to wait for."""
        assert isinstance(delivery, LiveDelivery), "a delivery of another queue"
        delivery.attempts = attempt
        delivery.started_at = self._state.clock.now()
        return None

    def done(self, delivery: Delivery, result: Result, event: CommitEvent) -> Awaitable[None] | None:
        """It ended: its event is told; there is nothing to wait for."""
        assert isinstance(delivery, LiveDelivery), "a delivery of another queue"
        self._state.live.remove(delivery)
        self._state.events.append(event)
        return None

    def bury(
        self, delivery: Delivery, problem: Problem, result: Result, event: CommitEvent
    ) -> Awaitable[None] | None:
        """It ended badly. No copy is parked: its client waits, and is told."""
        return self.done(delivery, result, event)

    def lease_left_s(self, shard: int) -> float:
        """Infinite: nobody else can own a shard of this process."""
        return math.inf

    def release(self, shard: int) -> None:
        """Nobody else could have it."""

    async def close(self, *, clean: bool) -> None:
        """Take nothing in any more, and end those who follow. Idempotent."""
        self._closed = True
        self._state.events.close()
