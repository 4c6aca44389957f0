"""What the journal of writes costs: `python -m loadtest.bench.journal`.

Told: durable writes (put, then done, each awaited) that so many tasks bring through the queue by itself,
beside the same with a commit for each step, and what one write alone waits. Then, with very many writes
queued, the time from start to the first and to the last one at its lane, how long the loop was held up
meanwhile, and memory for each of them beyond its body. A process of its own opens the journal each time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from proxy.clock import SystemClock
from proxy.config.write_settings import JournalSettings
from proxy.http.fields import Fields
from proxy.writes.embedded.journal import Journal
from proxy.writes.embedded.queue import EmbeddedQueue
from proxy.writes.embedded.writer import MAX_BATCH
from proxy.writes.events import CommitEvent
from proxy.writes.port import Delivery
from proxy.writes.states import State
from proxy.writes.write import Mode, Result, Write

BODY_BYTES = 512
SHARDS = 64
ENTITIES = 2000
FIELDS = (
    (b"Host", b"origin.example"),
    (b"Content-Type", b"application/json"),
    (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"),
    (b"Authorization", b"Bearer 0123456789abcdef0123456789abcdef"),
)


def write_number(number: int) -> Write:
    """A write of half a kilobyte, like one that was just read from a client: nothing of it is shared."""
    entity = number % ENTITIES
    target = b"/posts/%d" % entity
    return Write(
        id=f"0193{number:032x}",
        route="example.org/",
        keys=(f"/posts/{entity}",),
        shard=entity % SHARDS,
        method="PUT",
        target=target,
        forward_target=target,
        fields=Fields((bytes(bytearray(name)), bytes(bytearray(value))) for name, value in FIELDS),
        body=os.urandom(BODY_BYTES),
        mode=Mode.ASYNC,
        accepted_at=time.time(),
        not_after=time.time() + 86_400,
        authority=b"example.org",
    )


def end_of(write: Write) -> tuple[Result, CommitEvent]:
    """How it ends."""
    at = time.time()
    answer = Fields([(b"Content-Type", b"application/json"), (b"ETag", b'"0123456789abcdef"')])
    result = Result(State.COMMITTED, 1, True, at, 200, answer, b'{"ok":true}')
    event = CommitEvent(
        write_id=write.id, route=write.route, keys=write.keys, shard=write.shard, method=write.method,
        target=write.target, state=State.COMMITTED, at=at, status=200,
    )  # fmt: skip
    return result, event


class Lanes:
    """An owner that only takes what it gets."""

    def __init__(self) -> None:
        self.deliveries: dict[str, Delivery] = {}
        self.first = asyncio.Event()

    def gained(self, shard: int, *, epoch: int, clean: bool) -> None:
        """Nothing to do."""

    def deliver(self, delivery: Delivery) -> None:
        """Remember it."""
        self.deliveries[delivery.write.id] = delivery
        self.first.set()

    def withdraw(self, delivery: Delivery) -> None:
        """The benchmark has no room for a full disk."""
        raise AssertionError("a write was withdrawn")

    async def losing(self, shard: int, *, deadline_s: float) -> None:
        """Never, of an embedded queue."""

    def lost(self, shard: int) -> None:
        """Never, of an embedded queue."""


def journal_of(directory: Path, *, max_batch: int = MAX_BATCH) -> Journal:
    """A journal with room for the largest measurement."""
    settings = JournalSettings(directory=directory, shards=SHARDS, min_free_bytes=0)
    return Journal(settings, clock=SystemClock(), max_writes=10_000_000, max_bytes=2**40, max_batch=max_batch)


async def rate(directory: Path, writes: int, in_flight: int, max_batch: int) -> tuple[float, float]:
    """Writes put and done in a second of time, and in one of processor time."""
    journal = journal_of(directory, max_batch=max_batch)
    queue, lanes = EmbeddedQueue(journal), Lanes()
    await queue.start(lanes)
    made = [write_number(number) for number in range(writes)]
    turns: Iterator[tuple[Write, tuple[Result, CommitEvent]]] = iter([(one, end_of(one)) for one in made])

    async def use() -> None:
        for write, (result, event) in turns:
            await queue.put(write)
            kept = queue.done(lanes.deliveries.pop(write.id), result, event)
            assert kept is not None, "a durable write is waited for"
            await kept

    began, cpu_began = time.perf_counter(), time.process_time()
    await asyncio.gather(*(use() for _ in range(in_flight)))
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    await queue.close(clean=True)
    return writes / took_s, writes / cpu_s


async def fill(directory: Path, writes: int) -> None:
    """Leave so many writes in a journal, and end as a crash would."""
    journal = journal_of(directory)
    queue = EmbeddedQueue(journal)
    await queue.start(Lanes())
    numbers = iter(range(writes))

    async def use() -> None:
        for number in numbers:
            await queue.put(write_number(number))

    await asyncio.gather(*(use() for _ in range(1000)))
    await queue.close(clean=False)


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def restart(directory: Path, writes: int) -> None:
    """Open what was left and print what it took."""
    gc.collect()
    before = resident_bytes()
    journal = journal_of(directory)
    queue, lanes = EmbeddedQueue(journal), Lanes()
    began, cpu_began_s = time.perf_counter(), time.process_time()
    await queue.start(lanes)
    await lanes.first.wait()
    first_s = time.perf_counter() - began
    recovered = asyncio.ensure_future(queue.wait_recovered())
    longest_s = 0.0
    while not recovered.done():
        turn = time.perf_counter()
        await asyncio.sleep(0.001)  # the loop's other work
        longest_s = max(longest_s, time.perf_counter() - turn - 0.001)
    last_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began_s
    assert len(lanes.deliveries) == writes, f"{len(lanes.deliveries)} of {writes} came back"
    gc.collect()
    each = (resident_bytes() - before) / writes - BODY_BYTES
    print(f"queued at start             {writes:>12,}")
    print(f"first at its lane after     {first_s:>12.3f} s")
    print(f"last at its lane after      {last_s:>12.3f} s  ({last_s / writes * 1e6:.1f} us a write)")
    print(f"processor time              {cpu_s:>12.2f} s  ({cpu_s / writes * 1e6:.1f} us a write)")
    print(f"longest the loop was held   {longest_s * 1000:>12.1f} ms")
    print(f"memory beyond the body      {each:>12.0f} octets a write")
    await queue.close(clean=False)


def _rates(base: Path, runs: int, writes: int, in_flight: int) -> None:
    grouped, single, alone = [], [], []
    for run in range(runs):
        single.append(asyncio.run(rate(base / f"single{run}", max(100, writes // 40), in_flight, 1)))
        grouped.append(asyncio.run(rate(base / f"grouped{run}", writes, in_flight, MAX_BATCH)))
        alone.append(asyncio.run(rate(base / f"alone{run}", max(50, writes // 100), 1, MAX_BATCH)))
    best = max(grouped)
    print(f"put and done, {in_flight} in flight    {best[0]:>9,.0f} a second ({best[1]:,.0f} a CPU-second)")
    print(f"a commit for each step      {max(single)[0]:>12,.0f} a second")
    ratios = sorted(many[0] / one[0] for many, one in zip(grouped, single, strict=True))
    each = ", ".join(f"{ratio:.1f}" for ratio in ratios)
    print(f"ratio                       {ratios[-1]:>12.1f}  (each run: {each})")
    print(f"one alone waits             {1000 / max(alone)[0]:>12.2f} ms for both")


def main() -> None:
    """Measure each in a process or a directory of its own; remove what was made."""
    parser = argparse.ArgumentParser(description="what the journal of writes costs")
    parser.add_argument("--writes", type=int, default=20_000, help="of each run of the rates (%(default)s)")
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--queued", type=int, default=100_000, help="at a restart (%(default)s)")
    parser.add_argument("--under", type=Path, default=None, help="where the journals lie")
    parser.add_argument("--restart", type=Path, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.restart is not None:
        asyncio.run(restart(arguments.restart, arguments.queued))
        return
    base = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.under))
    with contextlib.ExitStack() as after:
        after.callback(shutil.rmtree, base)
        _rates(base, arguments.runs, arguments.writes, arguments.in_flight)
        asyncio.run(fill(base / "left", arguments.queued))
        command = [sys.executable, "-m", "loadtest.bench.journal", "--queued", str(arguments.queued)]
        subprocess.run([*command, "--restart", str(base / "left")], check=True)


if __name__ == "__main__":
    main()
