"""What the lanes do by themselves, over an origin in this process that takes its time: hot keys, many keys,
a key that is stuck, keys that are idle. With a queue in memory, or with a journal."""

from __future__ import annotations

import asyncio
import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import quantiles

from loadtest.bench.journal import journal_of, write_number
from proxy.clock import SystemClock
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.origin.port import ForwardRequest, Framing, OnInformational
from proxy.writes.embedded.queue import EmbeddedQueue
from proxy.writes.embedded.store import EmbeddedStore
from proxy.writes.job import Job
from proxy.writes.memory.queue import MemoryQueue
from proxy.writes.memory.state import MemoryState
from proxy.writes.memory.store import MemoryStore
from proxy.writes.outcomes import Effect
from proxy.writes.policy import WritePolicy
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.service import Writes
from proxy.writes.states import State
from proxy.writes.write import Mode, Write

LANES = 100
"""Writes at the origin at one time, at most."""

_POLICY = WritePolicy(
    origin="origin", max_lane=1_000_000, max_sync_lane=1_000_000, max_queued=1_000_000, max_concurrency=LANES
)


class _Answer:
    """200 without a body."""

    head = ResponseHead(200, Fields())
    framing = Framing.NONE
    length = 0
    tunnel = None
    word = None

    async def read(self) -> bytes:
        return b""

    def close(self) -> None:
        """There is no connection."""


class SlowOrigin:
    """Answers each request after the delay that `delays` gives; never, for the keys that hang."""

    name = "origin"

    def __init__(self, delays: Callable[[], float]) -> None:
        self._delays = delays
        self.hanging: frozenset[bytes] = frozenset()
        self.asked: list[bytes] = []

    async def send(
        self, request: ForwardRequest, *, on_informational: OnInformational | None = None
    ) -> _Answer:
        """Wait, and answer."""
        if request.before_sending is not None:
            request.before_sending()
        self.asked.append(request.target)
        if request.target in self.hanging:
            await asyncio.Event().wait()
        await asyncio.sleep(self._delays())
        return _Answer()

    async def close(self) -> None:
        """Nothing is open."""


class _NoCache:
    """There is no cache here to be kept true."""

    def fence(self, write: Write, policy: WritePolicy) -> None:
        """Nothing is filled."""

    def apply(
        self, effect: Effect, write: Write, policy: WritePolicy, head: ResponseHead | None
    ) -> tuple[str, ...]:
        """Nothing is stored."""
        return ()

    async def durable(self) -> None:
        """Nothing has to last."""


def _writes(origin: SlowOrigin, directory: Path | None) -> Writes:
    clock = SystemClock()
    if directory is None:
        state = MemoryState(clock=clock)
        queue, store = MemoryQueue(state), MemoryStore(state)
    else:
        journal = journal_of(directory)
        queue, store = EmbeddedQueue(journal), EmbeddedStore(journal)  # type: ignore[assignment]
    return Writes(
        queue=queue,
        store=store,
        origins={"origin": origin},
        effects=_NoCache(),
        policies=lambda _route: _POLICY,
        clock=clock,
        max_queued=1_000_000,
        max_running=10_000,
    )


def _made(numbers: Iterable[int], *, keys: int, mode: Mode) -> list[Write]:
    return [_one(number, number % keys, mode) for number in numbers]


def _one(number: int, key: int, mode: Mode) -> Write:
    made, target = write_number(number), b"/posts/%d" % key
    return Write(
        id=made.id, route=made.route, keys=(target.decode(),), shard=key % 64, method="PUT", target=target,
        forward_target=target, fields=made.fields, body=made.body, mode=mode, accepted_at=made.accepted_at,
        not_after=made.not_after, authority=made.authority,
    )  # fmt: skip


async def _bring(writes: Writes, some: Iterable[Write]) -> None:
    """Bring them all at once, and wait for the last one's end."""

    async def bring(write: Write) -> None:
        with writes.wait(write.id) as ended:
            await writes.accept(write)
            found = await ended
        assert found.result.state is State.COMMITTED, f"{write.id} ended as {found.result}"

    await asyncio.gather(*map(bring, some))


async def took_s(count: int, *, keys: int, delays: Callable[[], float], directory: Path | None) -> float:
    """Seconds for so many writes, spread over so many keys."""
    origin = SlowOrigin(delays)
    writes = _writes(origin, directory)
    await writes.start()
    mode = Mode.SYNC if directory is None else Mode.ASYNC
    made = _made(range(count), keys=keys, mode=mode)
    began = time.perf_counter()
    await _bring(writes, made)
    seconds = time.perf_counter() - began
    assert len(origin.asked) == count, f"{len(origin.asked)} of {count} reached the origin"
    await writes.stop(deadline_s=5)
    return seconds


async def serial_s(count: int, *, delays: Callable[[], float]) -> float:
    """Seconds for the same at the origin alone, one behind the other."""
    origin = SlowOrigin(delays)
    request = ForwardRequest("PUT", b"/", Fields())
    began = time.perf_counter()
    for _ in range(count):
        await origin.send(request)
    return time.perf_counter() - began


def up_to_5_ms() -> Callable[[], float]:
    """Delays by chance, the same each time."""
    chance = random.Random(7)
    return lambda: chance.random() * 0.005


async def neighbours_p99_s(*, stuck: bool, count: int = 4000) -> float:
    """The 99th percentile of a write of another key of one shard, at 1 ms, with one key stuck or not."""
    origin = SlowOrigin(lambda: 0.001)
    origin.hanging = frozenset({b"/posts/64"})
    writes = _writes(origin, None)
    await writes.start()
    if stuck:
        for number in range(1000):
            await writes.accept(_one(1_000_000 + number, 64, Mode.SYNC))
    times: list[float] = []
    numbers = iter(range(count))

    async def use(key: int) -> None:
        for number in numbers:
            write = _one(number, key, Mode.SYNC)
            began = time.perf_counter()
            with writes.wait(write.id) as ended:
                await writes.accept(write)
                await ended
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(use(128 + 64 * client) for client in range(16)))
    await writes.stop(deadline_s=0)
    return quantiles(times, n=100)[98]


async def idle_keys(count: int = 50_000) -> tuple[int, int]:
    """After as many keys were written once: jobs and tasks that are left."""
    writes = _writes(SlowOrigin(lambda: 0.0), None)
    await writes.start()
    for first in range(0, count, 1000):
        await _bring(writes, (_one(number, number, Mode.SYNC) for number in range(first, first + 1000)))
    for _ in range(3):  # what is called when a task is over
        await asyncio.sleep(0)
    gc.collect()
    jobs = sum(isinstance(one, Job) for one in gc.get_objects())
    tasks = len(asyncio.all_tasks()) - 1
    assert writes.statistics().busy_keys == 0, "a lane is left"
    await writes.stop(deadline_s=1)
    return jobs, tasks


async def queued_octets(count: int = 20_000) -> float:
    """What each write takes beyond its body while it waits, as the allocator counts: timers excepted."""
    writes = _writes(SlowOrigin(lambda: 0.0), None)
    await writes.start()
    why = Problem(ProblemType.PAUSED, "measured")
    for key in range(100):
        await writes.pause(f"/posts/{key}", why)
    gc.collect()
    tracemalloc.start()
    for number in range(count):
        await writes.accept(_one(number, number % 100, Mode.SYNC))
    gc.collect()
    each = tracemalloc.get_traced_memory()[0] / count - 512
    tracemalloc.stop()
    await writes.stop(deadline_s=1)
    return each
