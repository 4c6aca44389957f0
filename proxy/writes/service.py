"""The writes of one proxy: takes them in, works them, and answers for them.

    the front end ──accept──► queue.put ──► lanes ──► attempts ──► endings ──► whoever waits
                                                          └──► the cache

The queue is the promise, the lanes are the order. What a front end needs is here, and nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from proxy.clock import Clock
from proxy.errors import LaneFull, QueueFull, QueueUnavailable, RouteNotFound
from proxy.origin.port import Origin
from proxy.writes.attempting import Attempts, Effects
from proxy.writes.ending import Endings
from proxy.writes.forwarding import Forwarder
from proxy.writes.job import AT_WORK, Job, Phase
from proxy.writes.lanes import Lanes
from proxy.writes.policy import WritePolicy
from proxy.writes.port import Store, WriteQueue
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.scheduler import Refusal, Scheduler
from proxy.writes.states import State
from proxy.writes.statistics import WritesStatistics as WritesStatistics
from proxy.writes.waiting import Ending, Waiter, Waiters
from proxy.writes.write import Mode, Result, Write


class Writes:
    """Writes under one configuration. One event loop owns it."""

    def __init__(
        self,
        *,
        queue: WriteQueue,
        store: Store,
        origins: Mapping[str, Origin],
        effects: Effects,
        policies: Callable[[str], WritePolicy | None],
        clock: Clock,
        max_queued: int,
        max_running: int,
        origin_limits: Mapping[str, int] | None = None,
        extra_grace_s: float = 0.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.store = store
        self._queue = queue
        self._policies = policies
        self._clock = clock
        self._max_queued = max_queued
        self._lanes = Lanes(max_running=max_running, origin_limits=origin_limits)
        self._waiters = Waiters()
        self._attempts = Attempts(
            queue=queue,
            forwarder=Forwarder(origins, clock=clock),
            effects=effects,
            waiters=self._waiters,
            clock=clock,
            chance=chance,
        )
        self._endings = Endings(
            queue=queue, store=store, waiters=self._waiters, clock=clock, lanes=self._lanes
        )
        self._scheduler = Scheduler(
            lanes=self._lanes,
            attempts=self._attempts,
            endings=self._endings,
            policies=policies,
            clock=clock,
            extra_grace_s=extra_grace_s,
        )
        self._refused = 0

    def __repr__(self) -> str:
        return f"<Writes {self._scheduler!r} on {self._queue!r}>"

    async def start(self) -> None:
        """Take up what was left from before. Raises: QueueUnavailable, ConfigError."""
        for key in await self.store.paused():
            self._scheduler.block(key)
        await self._queue.start(self._scheduler)

    async def stop(self, *, deadline_s: float) -> bool:
        """Start nothing more, wait for what runs, keep what was promised; False if something still ran."""
        drained = await self._scheduler.drain(deadline_s=deadline_s)
        self._tell_left()
        clean = drained and not self._scheduler.haunted
        self._scheduler.close()
        await self._queue.close(clean=clean)
        return drained

    async def until(self, condition: Callable[[], bool], *, deadline_s: float) -> bool:
        """Wait until it holds when some attempt is over; False if the time is over before."""
        return await self._scheduler.until(condition, deadline_s)

    def _tell_left(self) -> None:
        """Whoever waits still is told what is known."""
        for job in self._lanes:
            if self._waiters.waits(job.write.id):
                self._waiters.tell(job.write.id, Ending(self._left(job)))

    def _left(self, job: Job) -> Result:
        """It goes on with the next process, or was never sent, or nobody knows."""
        never = job.never_sent and job.phase not in AT_WORK
        if never and job.write.durable:
            state, problem = job.state, None
        elif never:
            told = "the process that had it ended before it was sent"
            state, problem = State.CANCELLED, Problem(ProblemType.QUEUE_UNAVAILABLE, told)
        else:
            told = "the process that had it ended before it did"
            state, problem = State.UNKNOWN, Problem(ProblemType.UNKNOWN_OUTCOME, told)
        return Result(
            state=state,
            attempts=job.attempts,
            taken=not never,
            finished_at=self._clock.now(),
            problem=problem,
        )

    # for front ends

    async def accept(self, write: Write) -> int:
        """Give a write its place; its position. When it returns, what is `durable` will outlive a crash.

        Raises: LaneFull, QueueFull, QueueUnavailable.
        """
        try:
            self._check_room(write)
            return await self._queue.put(write)
        except QueueFull:
            self._refused += 1
            raise

    @property
    def accepts_at_once(self) -> bool:
        """Whether `accept_at_once` takes in what is not `durable`."""
        return self._queue.puts_at_once

    def accept_at_once(self, write: Write) -> int:
        """As `accept`, for a write that is not `durable`, where `accepts_at_once`. Raises: as `accept`."""
        try:
            self._check_room(write)
            return self._queue.put_at_once(write)
        except QueueFull:
            self._refused += 1
            raise

    def _check_room(self, write: Write) -> None:
        policy = self._policies(write.route)
        if policy is None:  # the configuration was changed while its body came
            raise QueueUnavailable(f"No route is called {write.route} any more.")
        for key in write.keys:
            depth = self._lanes.depth(key)
            if depth >= policy.max_lane:
                raise LaneFull(f"{depth} writes of {key!r} wait, as many as writes.max_lane allows")
            if write.mode is Mode.SYNC and depth >= policy.max_sync_lane:
                self._check_sync_room(key, policy)
        if len(self._lanes) >= self._max_queued:
            raise QueueFull(f"{len(self._lanes)} writes wait, as many as writes.max_queued allows")
        if self._lanes.of_route(write.route) >= policy.max_queued:
            raise QueueFull(f"route {write.route}: as many writes wait as writes.max_queued allows")

    def _check_sync_room(self, key: str, policy: WritePolicy) -> None:
        waiting = sum(job.write.mode is Mode.SYNC for job in self._lanes.lane(key))
        if waiting >= policy.max_sync_lane:
            raise LaneFull(f"{waiting} clients wait for {key!r}, as many as writes.max_sync_lane allows")

    def wait(self, write_id: str, *, reads: bool = False) -> AbstractContextManager[asyncio.Future[Ending]]:
        """A future of the end of this write, as `Waiters.wait`; to be asked for before it is accepted."""
        return self._waiters.wait(write_id, reads=reads)

    def join(self, write_id: str, waiter: Waiter) -> None:
        """Have a waiter told of the end of this write, and of a body that goes on; until it leaves."""
        self._waiters.join(write_id, waiter, reads=True)

    def leave(self, write_id: str, waiter: Waiter) -> None:
        """It waits no more; it may leave while it is told."""
        self._waiters.leave(write_id, waiter)

    def waiting(self, write_id: str) -> int:
        """How many wait for the end of this write."""
        return self._waiters.count(write_id)

    def state(self, write_id: str) -> State | None:
        """The state of a write that is here; None if it is not."""
        job = self._lanes.get(write_id)
        return None if job is None else job.state

    def ahead(self, write_id: str) -> int | None:
        """How many writes are before this one; None if it is not here."""
        job = self._lanes.get(write_id)
        return None if job is None else self._lanes.ahead(job)

    def expected_s(self, write_id: str) -> float:
        """About when it will have ended: a mean attempt for it and each before it; 0 if it is not here."""
        ahead = self.ahead(write_id)
        return 0.0 if ahead is None else (ahead + 1) * self._attempts.mean_s

    def depth(self, key: str) -> int:
        """How many writes of this key are here."""
        return self._lanes.depth(key)

    def cancel(self, write_id: str) -> Refusal | None:
        """Take a write back that was never sent; None if that is done."""
        return self._scheduler.cancel(write_id)

    # for operators

    def here(self, key: str | None = None) -> Sequence[Job]:
        """The writes that have not ended; of a key in its order, the one at its head first."""
        return tuple(self._lanes) if key is None else self._lanes.lane(key)

    def find(self, write_id: str) -> Job | None:
        """The write as it is worked on; None if it is not here."""
        return self._lanes.get(write_id)

    @property
    def paused_keys(self) -> frozenset[str]:
        """Keys of which nothing is started."""
        return self._lanes.blocked

    async def pause(self, key: str, problem: Problem) -> None:
        """Start nothing of this key, restarts included. Raises: QueueUnavailable (only until a restart)."""
        self._scheduler.block(key)
        await self.store.pause(key, problem)

    async def resume(self, key: str) -> bool:
        """Go on with this key; False if it was not paused. Raises: QueueUnavailable (it is still paused)."""
        paused = await self.store.resume(key)
        paused = paused or key in self._lanes.blocked
        self._scheduler.unblock(key)
        return paused

    def skip(self, key: str) -> Refusal | None:
        """Give up the write at the head of this key, as a dead letter; None if that is done."""
        return self._scheduler.skip(key)

    async def replay(self, write_id: str, *, new_id: str, not_after: float) -> int | None:
        """Take a dead letter in again, as a new write behind those that wait; its position, None without one.

        Raises: as `accept`, RouteNotFound; then the dead letter stays.
        """
        letter = await self.store.dead_letter(write_id)
        if letter is None:
            return None
        if self._policies(letter.write.route) is None:
            raise RouteNotFound(f"no route is called {letter.write.route!r} any more; discard it")
        again = replace(
            letter.write,
            id=new_id,
            mode=Mode.ASYNC,
            accepted_at=self._clock.now(),
            not_after=not_after,
            client_key=letter.write.client_key or b'"%b"' % write_id.encode(),
            idempotency=None,
        )
        position = await self.accept(again)
        await self.store.discard(write_id)
        return position

    # to be seen

    def statistics(self) -> WritesStatistics:
        """Counters since the start; looks at each lane once."""
        phases = [job.phase for job in self._lanes]
        heads: list[Job] = list(self._lanes.heads())
        oldest_at = min((job.write.accepted_at for job in heads), default=self._clock.now())
        keys = {key for job in heads for key in job.write.keys}
        return WritesStatistics(
            queued=len(self._lanes),
            running=self._lanes.running,
            resting=sum(phase is Phase.RESTING for phase in phases),
            busy_keys=self._lanes.busy_keys,
            paused_keys=len(self._lanes.blocked),
            deepest_lane=max((self._lanes.depth(key) for key in keys), default=0),
            oldest_age_s=max(0.0, self._clock.now() - oldest_at),
            attempts=self._attempts.begun,
            unknown=self._attempts.unknown,
            ended={state: self._endings.ended[state] for state in State if self._endings.ended[state]},
            refused=self._refused,
        )
