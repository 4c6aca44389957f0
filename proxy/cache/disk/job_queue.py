"""The queue of work on the directory: one thread, strictly in order.

Order is what makes it simple: the unlink of a purge that was queued before a write of the same place is
done before it, and a barrier is passed when everything before it has been done. Work is taken in batches,
since handing one job to a thread and back costs about what writing a small file does.

Octets that wait to be written are bounded; unlinks are not, since they hold nothing and free room.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from proxy.tasks import spawn

logger = logging.getLogger(__name__)

BATCH_JOBS: Final = 64
"""About 3 ms of small files: what a barrier may have to wait beyond its turn."""


@dataclass(frozen=True, slots=True)
class Job:
    """`run` blocks, in the thread; `done` is called on the loop with None, or what it failed with."""

    run: Callable[[], None]
    done: Callable[[OSError | None], None]
    held_bytes: int = 0


class JobQueue:
    """Runs jobs in order. `close` when the last one was put in."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._jobs: deque[Job] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk-writer")
        self._worker: asyncio.Task[None] | None = None
        self.held_bytes = 0

    def __repr__(self) -> str:
        return f"<JobQueue {len(self._jobs)} jobs, {self.held_bytes}/{self._max_bytes} bytes>"

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def last(self) -> Job | None:
        """The job at the end, if it is not being done yet."""
        return self._jobs[-1] if self._jobs else None

    def has_room(self, octets: int) -> bool:
        """Whether a job that holds so many octets may be put in. One is taken whatever its size."""
        return not self.held_bytes or self.held_bytes + octets <= self._max_bytes

    def put(self, job: Job) -> None:
        """Put it at the end."""
        self._jobs.append(job)
        self.held_bytes += job.held_bytes
        if self._worker is None:
            self._worker = spawn(self._work(), name="disk jobs")

    async def barrier(self) -> None:
        """Wait until everything that was put in before has been done."""
        passed = asyncio.get_running_loop().create_future()
        self.put(Job(_nothing, lambda _error: None if passed.done() else passed.set_result(None)))
        await passed

    async def close(self) -> None:
        """Do what is left and stop the thread."""
        await self.barrier()
        self._thread.shutdown()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._jobs:
                batch = [self._jobs.popleft() for _ in range(min(BATCH_JOBS, len(self._jobs)))]
                results = await loop.run_in_executor(self._thread, _run, batch)
                for job, result in zip(batch, results, strict=True):
                    self.held_bytes -= job.held_bytes
                    self._tell(job, result)
        finally:
            self._worker = None

    def _tell(self, job: Job, result: OSError | None) -> None:
        try:
            job.done(result)
        except Exception:  # the top of this task: those behind it are not to be lost with it
            logger.exception("disk_job_failed")


def _run(batch: list[Job]) -> list[OSError | None]:
    return [_result(job) for job in batch]


def _result(job: Job) -> OSError | None:
    try:
        job.run()
    except OSError as error:
        return error
    except Exception as error:  # a bug in one job must not lose those behind it
        logger.exception("disk_job_failed")
        return OSError(f"{type(error).__name__}: {error}")
    return None


def _nothing() -> None:
    return None
