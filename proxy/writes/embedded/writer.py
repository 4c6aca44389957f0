"""The one thread that reads and writes the journal, and commits in groups.

    submit (loop) ──► SimpleQueue ──► up to 512 jobs ──► one transaction ──► one call back, in order (loop)

No delay is added to gather a batch: it forms by itself while the commit before it waits for the disk. With
256 writes in flight this gives some thirty times what a commit for each of them gives.

Nothing but this thread touches the connection, from opening to closing: one connection in one thread is what
makes SQLite's locking, its busy time-outs and its WAL-reset bug no concern of ours.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from proxy.writes.embedded.commits import Commits
from proxy.writes.embedded.health import Condition, Health
from proxy.writes.embedded.home import Home
from proxy.writes.embedded.jobs import Job
from proxy.writes.embedded.opening import Opened
from proxy.writes.embedded.statistics import CommitCounts
from proxy.writes.events import LoggedEvent

logger = logging.getLogger(__name__)

MAX_BATCH: Final = 512
"""Past some hundred jobs the sync's share is small, and the first one of a batch waits for the last."""
_LOOK_INTERVAL_S: Final = 1.0
"""How often the room left on the disk is measured while there is enough."""


@dataclass(frozen=True, slots=True)
class _Stop:
    clean: bool


class JournalWriter:
    """The thread, and the event loop's end of it."""

    def __init__(
        self,
        home: Home,
        *,
        health: Health,
        publish: Callable[[Sequence[LoggedEvent]], None],
        max_batch: int = MAX_BATCH,
    ) -> None:
        self.counts = CommitCounts()
        self._home = home
        self._health = health
        self._publish = publish
        self._max_batch = max_batch
        self._jobs: SimpleQueue[Job | _Stop] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._looked_mono = float("-inf")

    def __repr__(self) -> str:
        return f"<JournalWriter running={self.running} waiting={self._jobs.qsize()}>"

    @property
    def running(self) -> bool:
        """Whether jobs are taken."""
        return self._thread is not None and self._closing is None

    async def open(self, opening: Callable[[], Opened]) -> Opened:
        """Start the thread, which opens the journal first. Raises: what `opening` raises."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[Opened] = self._loop.create_future()
        thread = threading.Thread(target=self._main, args=(opening, opened), name="journal", daemon=True)
        thread.start()
        self._thread = thread  # from now on `close` ends it, also where the wait for it is cancelled
        try:
            return await asyncio.shield(opened)
        except Exception:
            self._thread = None
            raise

    def submit(self, job: Job) -> None:
        """Have a job done, after all that were submitted before."""
        assert self.running, "nothing is submitted to a journal that is closed"
        self._jobs.put(job)

    async def close(self, *, clean: bool) -> None:
        """Do what was submitted, close the file, let others have the directory. Idempotent."""
        if self._thread is None:
            return
        if self._closing is None:
            self._closing = self._loop.create_future()
            self._jobs.put(_Stop(clean))
        await asyncio.shield(self._closing)
        self._thread.join()

    # the event loop's end

    def _settle(self, jobs: Sequence[Job], events: Sequence[LoggedEvent]) -> None:
        if events:
            self._publish(events)
        for job in jobs:
            job.settle()

    # the thread

    def _main(self, opening: Callable[[], Opened], opened: asyncio.Future[Opened]) -> None:
        try:
            journal = opening()
        except BaseException as error:
            self._tell(_fail, opened, error)
            return
        self._tell(opened.set_result, journal)
        commits = Commits(journal.database, self._health, self.counts)
        while True:
            jobs, stop = self._next()
            if jobs:
                self._tell(self._settle, jobs, self._run(commits, jobs))
            if stop is not None:
                self._finish(journal, clean=stop.clean)
                return

    def _next(self) -> tuple[list[Job], _Stop | None]:
        jobs: list[Job] = []
        found = self._jobs.get()
        try:
            while not isinstance(found, _Stop):
                jobs.append(found)
                if len(jobs) == self._max_batch:
                    return jobs, None
                found = self._jobs.get_nowait()
        except Empty:
            return jobs, None
        return jobs, found

    def _run(self, commits: Commits, jobs: list[Job]) -> list[LoggedEvent]:
        try:
            return commits.run(jobs, may_insert=self._has_room())
        except Exception as error:  # a fault of ours: say so and promise nothing more
            logger.exception("journal_thread_failed")
            self._health.failed(error)
            for job in jobs:
                job.error = job.error or error
            return []

    def _has_room(self) -> bool:
        now = time.monotonic()
        if self._health.condition is Condition.WORKING and now - self._looked_mono < _LOOK_INTERVAL_S:
            return True
        self._looked_mono = now
        try:
            return self._health.measured(self._home.free_bytes())
        except OSError as error:
            self._health.failed(error)
            return False

    def _finish(self, journal: Opened, *, clean: bool) -> None:
        database = journal.database
        try:
            if clean and self._health.condition is not Condition.FAILED:
                database.begin()
                database.set_meta(clean=1)
                database.commit()
        except Exception as error:
            logger.error("journal_not_closed_cleanly error=%r", str(error))
        finally:
            try:
                database.connection.close()
            except Exception as error:
                logger.error("journal_not_closed error=%r", str(error))
            self._home.release()
            assert self._closing is not None, "only `close` stops the thread"
            self._tell(self._closing.set_result, None)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop was closed under us: nobody is left to tell
            logger.warning("journal_outlived_its_loop")


def _fail(future: asyncio.Future[Opened], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
