"""The embedded backend as a whole: one directory, and over it the queue, the store and the event log.

    queue.py    writes in, marks and ends (WriteQueue)      live.py       those that have not ended
    store.py    what is known of single writes (Store)      claims.py     idempotency keys
    event_log.py  what was committed (EventLog)             retention.py  what is forgotten
    recovery.py what was left from before                   spool.py      large bodies
    writer.py   the thread that commits in groups           commits.py    a batch that fails
    database.py what a transaction does                     health.py     when nothing more is taken in
    opening.py  from a directory to an open journal         schema.py, home.py, sealing.py, records.py

Theory of operation. The event loop keeps every write that has not ended in memory and gives it its place; the
journal has those that were promised. Whatever changes the file is a job for its one thread, jobs take effect
in the order in which they are submitted, and are settled in that order. Nothing is acknowledged before its
transaction has been synced, and nothing is told to a follower before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar, cast

from proxy.clock import Clock
from proxy.config.write_settings import JournalSettings
from proxy.errors import QueueUnavailable
from proxy.tasks import spawn
from proxy.writes.embedded.event_log import EmbeddedLog
from proxy.writes.embedded.health import Health
from proxy.writes.embedded.home import Home
from proxy.writes.embedded.jobs import Call, Job, Read
from proxy.writes.embedded.live import EmbeddedDelivery
from proxy.writes.embedded.opening import Opened, open_journal
from proxy.writes.embedded.retention import Swept, sweep
from proxy.writes.embedded.writer import MAX_BATCH, JournalWriter
from proxy.writes.live import MAX_BYTES, MAX_WRITES, Live
from proxy.writes.statistics import JournalStatistics

if TYPE_CHECKING:
    from proxy.writes.embedded.database import Database

Value = TypeVar("Value")

SWEEP_INTERVAL_S: Final = 10.0
_SPOOL_THREADS: Final = 2


class Journal:
    """The shared parts. Owned by the event loop, from `open` to `close`.

    `max_writes` and `max_bytes` bound what has not ended, in the file or not. `max_batch` is for the
    benchmark, which compares with a commit for each job.
    """

    def __init__(
        self,
        settings: JournalSettings,
        *,
        clock: Clock,
        max_writes: int = MAX_WRITES,
        max_bytes: int = MAX_BYTES,
        max_batch: int = MAX_BATCH,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.live: Live[EmbeddedDelivery] = Live(max_writes=max_writes, max_bytes=max_bytes)
        self.health = Health(
            clock=clock, min_free_bytes=settings.min_free_bytes, retry_after_s=settings.retry_after_s
        )
        self.events = EmbeddedLog(self.read)
        self.spoolers = ThreadPoolExecutor(_SPOOL_THREADS, thread_name_prefix="journal-spool")
        self.recovering = False
        self._home = Home(settings.directory)
        self._writer = JournalWriter(
            self._home, health=self.health, publish=self.events.publish, max_batch=max_batch
        )
        self._opened: Opened | None = None
        self._opening = asyncio.Lock()
        self._sweeping: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Journal {self.settings.directory} {self.health!r} {self.live!r}>"

    @property
    def opened(self) -> Opened:
        """The open journal. Raises: QueueUnavailable before `open` and after `close`."""
        if self._opened is None or not self._writer.running:
            raise QueueUnavailable("The journal is not open.")
        return self._opened

    async def open(self) -> None:
        """Take the directory and open what lies there, unless that has been done. Raises: ConfigError."""
        async with self._opening:
            if self._opened is None:
                await self._open()

    async def _open(self) -> None:
        opened = await self._writer.open(lambda: open_journal(self._home, self.settings))
        self._opened = opened
        self.events.begin(self.settings.shards, opened.position, opened.floors)
        self._sweeping = spawn(self._sweep(), name="journal sweep")

    async def close(self, *, clean: bool) -> None:
        """Write what was submitted and let others have the directory. Idempotent."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._writer.close(clean=clean)
        self.spoolers.shutdown(wait=False)
        self.events.close()

    # jobs

    def submit(self, job: Job) -> None:
        """Raises: QueueUnavailable if it is closed."""
        if not self._writer.running:
            raise QueueUnavailable("The journal is closed.")
        self._writer.submit(job)

    async def read(self, function: Callable[[Database], Value]) -> Value:
        """What a function that changes nothing finds in the file. Raises: QueueUnavailable."""
        return await self._call(Read(function))

    async def change(self, function: Callable[[Database], Value]) -> Value:
        """What a function gives that changes the file; durable when it returns. Raises: QueueUnavailable."""
        return await self._call(Call(function))

    async def _call(self, job: Call) -> Value:
        future = job.waits(asyncio.get_running_loop())
        self.submit(job)
        return cast(Value, await future)

    def remove_body(self, name: str) -> None:
        """Drop the file of a body whose row is gone, some time; else it is an orphan at the next start."""
        try:
            self.spoolers.submit(self.opened.spool.remove, name)
        except (RuntimeError, QueueUnavailable):  # closing
            return

    # what goes on by itself

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            try:
                while (await self.sweep()).more:
                    continue
            except QueueUnavailable:
                continue  # the disk is full or failed, which `health` tells

    async def sweep(self) -> Swept:
        """Forget what is old, up to a number. Raises: QueueUnavailable."""
        swept = await self.change(sweep(self.settings, now=self.clock.now()))
        self.events.removed(swept.floors)
        for name in swept.bodies:
            self.remove_body(name)
        return swept

    def statistics(self) -> JournalStatistics:
        """What is counted."""
        counts = self._writer.counts
        return JournalStatistics(
            condition=self.health.condition,
            reason=self.health.reason,
            failures=self.health.failures,
            queued=len(self.live),
            queued_bytes=self.live.bytes,
            durable=self.live.durable,
            dead_letters=0 if self._opened is None else self._opened.database.dead_letters,
            recovering=self.recovering,
            transactions=counts.transactions,
            jobs=counts.jobs,
            batch_sizes=tuple(counts.batch_sizes),
            commit_times=tuple(counts.commit_times),
            commit_seconds=counts.commit_seconds,
            events=self.events.count,
            followers=self.events.followers,
        )
