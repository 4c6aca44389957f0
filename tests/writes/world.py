"""Lanes between a backend and an origin that are models, in virtual time; and what must hold of them.

The promises are checked on what the origin saw, what the backend keeps and what those who wait were told.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from proxy.errors import ProxyError
from proxy.http.messages import ResponseHead
from proxy.writes.outcomes import Effect
from proxy.writes.policy import Retry, WritePolicy
from proxy.writes.service import Writes
from proxy.writes.states import NEVER_SENT, State
from proxy.writes.waiting import Ending
from proxy.writes.write import Mode, Result, Write
from tests.simulation.virtual_time import VirtualClock, VirtualLoop
from tests.writes.fake_queue import FakeQueue, FakeStore
from tests.writes.making import make_write
from tests.writes.model_origin import TIMEOUT_S, ModelOrigin

T = TypeVar("T")

RETRY = Retry(max_attempts=4, first_s=0.2, budget_s=60.0)
POLICY = WritePolicy(
    origin="model", retry=RETRY, origin_timeout_s=TIMEOUT_S, max_concurrency=3, unrecorded=False
)
HEALING_S = 400.0
"""After this, with all faults gone, every write has come to its end."""


@dataclass
class RecordedEffects:
    """What the cache was told, beside what else happened, in one order."""

    trace: list[tuple[str, str]]

    def fence(self, write: Write, policy: WritePolicy) -> None:
        self.trace.append(("fence", write.id))

    def apply(
        self, effect: Effect, write: Write, policy: WritePolicy, head: ResponseHead | None
    ) -> tuple[str, ...]:
        if effect is not Effect.NONE:
            self.trace.append((effect.value, write.id))
        return (write.target.decode(),) if effect in _INVALIDATING else ()

    async def durable(self) -> None:
        pass


_INVALIDATING = (Effect.INVALIDATE, Effect.INVALIDATE_AND_HOLD)


@dataclass(eq=False)
class Put:
    """One call of `accept`, and what its client knows."""

    write: Write
    order: int
    accepted: bool = False
    refused: ProxyError | None = None
    ending: Ending | None = None
    orphaned: bool = False
    """The process that took it in is no more."""
    cancelled: bool = False


@dataclass(eq=False)
class World:
    """A proxy that may crash, with a backend and an origin that do not forget."""

    policies: dict[str, WritePolicy] = field(default_factory=lambda: {"*/": POLICY})
    shards: int = 1
    flags_all: bool = False
    max_running: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self.queue = FakeQueue(shards=self.shards, flags_all=self.flags_all)
        self.trace = self.queue.trace
        self.store = FakeStore()
        self.origin = ModelOrigin(self.clock)
        self.puts: list[Put] = []
        self.crashes = 0
        self.patience_ended = False
        """Whether some end could not be kept for so long that those who wait were told before."""
        self.writes = self._make()
        self._clients: set[asyncio.Task[None]] = set()
        self.run(self.writes.start())

    def _make(self) -> Writes:
        return Writes(
            queue=self.queue,
            store=self.store,  # type: ignore[arg-type]
            origins={"model": self.origin},
            effects=RecordedEffects(self.trace),
            policies=self.policies.get,
            clock=self.clock,
            max_queued=1000,
            max_running=self.max_running,
            chance=random.Random(self.seed).random,
        )

    def run(self, work: Awaitable[T]) -> T:
        """Run until this is over; everything else runs beside it."""

        async def wait() -> T:
            return await work

        return self.loop.run_until_complete(wait())

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call this on the loop, and let everything happen that happens now."""

        async def called() -> T:
            return function(*arguments)

        result = self.run(called())
        self.turn()
        return result

    def pass_time(self, seconds: float) -> None:
        """Let this time pass."""
        self.run(asyncio.sleep(seconds))

    def turn(self) -> None:
        """Let everything happen that happens now."""
        self.pass_time(0.0001)

    # clients

    def put(self, *keys: str, mode: Mode = Mode.ASYNC, method: str = "PUT", lives_s: float = 1e6) -> Put:
        """A client sends a write, and waits for its end."""
        order = len(self.puts)
        write = make_write(
            *keys,
            write_id=f"w{order:04}",
            shard=sum(map(ord, min(keys))) % self.shards,
            method=method,
            mode=mode,
            accepted_at=self.clock.now(),
            not_after=self.clock.now() + lives_s,
        )
        put = Put(write, order)
        self.puts.append(put)
        task = self.loop.create_task(self._client(put))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        self.turn()
        return put

    async def _client(self, put: Put) -> None:
        with self.writes.wait(put.write.id, reads=True) as future:
            try:
                await self.writes.accept(put.write)
            except ProxyError as error:
                put.refused = error
                return
            put.accepted = True
            put.ending = await future
            self.trace.append(("told", put.write.id))

    def result(self, put: Put) -> Result:
        """How it ended for the backend."""
        entry = self.queue.entry_of(put.write.id)
        assert entry is not None
        assert entry.result is not None, f"{put} has not ended"
        return entry.result

    def crash(self) -> None:
        """The process is killed, and started again."""
        self.crashes += 1
        for put in self.puts:
            put.orphaned = True
        for task in tuple(self._clients):
            task.cancel()
        self.turn()
        self.queue.crash()
        self.call(self.writes._scheduler.close)
        self.writes = self._make()
        self.turn()
        self.run(self.writes.start())

    def heal(self) -> None:
        """All faults are over; wait for the end of everything."""
        self.queue.heal()
        self.queue.let_go()
        self.queue.lease_s = float("inf")
        self.origin.acts.clear()
        for shard in range(self.shards):
            self.call(self.queue.grant, shard)
        for key in self.writes._lanes.blocked:
            self.run(self.writes.resume(key))
        self.pass_time(HEALING_S)

    def close(self) -> None:
        """The loop's end."""
        self.run(self.writes.stop(deadline_s=1.0))
        for task in tuple(self._clients):
            task.cancel()
        self.turn()
        self.loop.close()

    # what must hold

    def check_origin(self) -> None:
        """One at a time, in order, and never an older one after a newer one."""
        keys_of = {put.write.id: put.write.keys for put in self.puts}
        order_of = {put.write.id: put.order for put in self.puts}
        overlaps = self.origin.overlaps(keys_of)
        overlaps = [pair for pair in overlaps if pair[0].ended_mono is not None]
        assert not overlaps, f"two at a time: {overlaps}"
        last: dict[str, int] = {}
        for served in self.origin.served:
            order = order_of[served.write_id]
            for key in keys_of[served.write_id]:
                assert order >= last.get(key, -1), f"{served} came after w{last[key]:04} of {key}"
                last[key] = order

    def check_ends(self) -> None:
        """After `heal`: whatever was promised has its one end, and it is true."""
        for put in self.puts:
            entry = self.queue.entry_of(put.write.id)
            if put.refused is not None:
                assert entry is None or entry.result is None or self.crashes
                continue
            if put.accepted and (put.write.durable or self.flags_all):
                assert entry is not None, f"{put} was lost"
            if entry is None:
                continue
            assert entry.result is not None, f"{put} has no end"
            self._check_end(put, entry.result)

    def _check_end(self, put: Put, result: Result) -> None:
        served = [one for one in self.origin.served if one.write_id == put.write.id]
        applied = self.origin.applied.count(put.write.id)
        match result.state:
            case State.COMMITTED:
                assert applied, f"{put} is told to be committed"
            case state if state in NEVER_SENT:
                assert not served, f"{put} was sent"
            case State.REJECTED:
                assert not applied, f"{put} was applied"
            case _:
                pass
        assert result.taken or not applied, f"{put} was applied, and its idempotency key is free"
        if applied > 1:
            assert put.write.method == "PUT", f"{put} was applied {applied} times"
        if put.ending is not None:
            # Who waited when his process ended was told that nobody knows, or that it goes on with the next.
            told = put.ending.result.state
            left = told is State.UNKNOWN or (put.ending.goes_on and put.write.durable)
            assert told is result.state or (put.orphaned and left), f"{put} was told {told}"
        elif put.accepted and not put.orphaned:
            raise AssertionError(f"{put} waits for ever")

    def check_steps(self) -> None:
        """Cache, then kept, then the next of the key and whoever waits."""
        keys_of = {put.write.id: put.write.keys for put in self.puts}
        busy: dict[str, str] = {}
        done: set[str] = set()
        for what, write_id in self.trace:
            if what == "fence":
                for key in keys_of[write_id]:
                    before = busy.get(key, write_id)
                    assert before == write_id or before in done or self._ended_elsewhere(before), (
                        f"{write_id} was sent before the end of {before} was kept"
                    )
                    busy[key] = write_id
            elif what == "done":
                done.add(write_id)
            elif what == "told":
                unknown = ("invalidate-and-hold", write_id) in self.trace or self._was_left(write_id)
                assert write_id in done or unknown or self.patience_ended, (
                    f"{write_id} was told of before it was kept"
                )
        self._check_cache()

    def _ended_elsewhere(self, write_id: str) -> bool:
        """It was of a process that is no more, and was not to outlive it."""
        put = next(put for put in self.puts if put.write.id == write_id)
        return put.orphaned and not (put.write.durable or self.flags_all)

    def _was_left(self, write_id: str) -> bool:
        """Its client was told at the end of a process that nobody knows, or that it goes on."""
        put = next(put for put in self.puts if put.write.id == write_id)
        if not put.orphaned or put.ending is None:
            return False
        return put.ending.goes_on or put.ending.result.state is State.UNKNOWN

    def _check_cache(self) -> None:
        told = [write_id for what, write_id in self.trace if what in ("invalidate", "invalidate-and-hold")]
        for entry in self.queue.entries:
            state = None if entry.result is None else entry.result.state
            if state in (State.COMMITTED, State.UNKNOWN, State.INDETERMINATE):
                write_id = entry.write.id
                assert write_id in told, f"the cache was not told of {write_id}"
                done = self.trace.index(("done", write_id))
                before = [what for what, one in self.trace[:done] if one == write_id]
                assert _told_in(before), f"the cache heard of {write_id} too late"

    def check_nothing_left(self) -> None:
        """Idle keys leave nothing."""
        lanes = self.writes._lanes
        assert (len(lanes), lanes.busy_keys, lanes.running) == (0, 0, 0), repr(lanes)
        assert not any((lanes._ready, lanes._by_route, lanes._by_origin, lanes._queued_by_route))
        assert not self.writes._scheduler._tasks
        assert len(self.writes._waiters) == 0
        unclosed = [one for one in self.origin.responses if not one.closed]
        assert not unclosed, f"{len(unclosed)} answers are open"

    def check_all(self) -> None:
        """Heal, and check everything."""
        self.heal()
        self.check_origin()
        self.check_ends()
        self.check_steps()
        self.check_nothing_left()


def _told_in(happened: list[str]) -> bool:
    return "invalidate" in happened or "invalidate-and-hold" in happened


def worlds(check: Callable[[World], None], **parts: object) -> None:
    """Run a test in a world of its own, and check that all promises hold in the end."""
    world = World(**parts)  # type: ignore[arg-type]
    try:
        check(world)
        world.check_all()
    finally:
        world.close()
