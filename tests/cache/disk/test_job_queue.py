from __future__ import annotations

import threading
from functools import partial

from proxy.cache.disk.job_queue import BATCH_JOBS, Job, JobQueue


async def test_jobs_run_in_order_in_one_thread_and_are_told_in_order() -> None:
    queue = JobQueue(max_bytes=100)
    run: list[int] = []
    told: list[int] = []
    for number in range(3 * BATCH_JOBS):
        queue.put(Job(partial(run.append, number), lambda _error, number=number: told.append(number)))
    await queue.barrier()
    assert run == told == list(range(3 * BATCH_JOBS))
    await queue.close()


async def test_a_job_that_fails_is_told_and_those_behind_it_run() -> None:
    queue = JobQueue(max_bytes=100)
    told: list[object] = []
    error = OSError("broken")

    def fail(error: Exception) -> None:
        raise error

    def tell(error: OSError | None) -> None:
        told.append(error)

    queue.put(Job(partial(fail, error), tell))
    queue.put(Job(partial(fail, ValueError("a bug")), tell))
    queue.put(Job(lambda: None, lambda _error: fail(ValueError("a bug"))))
    queue.put(Job(lambda: None, tell))
    await queue.barrier()
    assert told[0] is error
    assert isinstance(told[1], OSError)
    assert told[2] is None
    await queue.close()


async def test_octets_that_wait_are_bounded_but_one_job_is_always_taken() -> None:
    queue = JobQueue(max_bytes=100)
    release = threading.Event()
    assert queue.has_room(1000)

    def wait() -> None:
        assert release.wait(5)

    queue.put(Job(wait, lambda _error: None, held_bytes=60))
    assert queue.has_room(40)
    assert not queue.has_room(41)
    release.set()
    await queue.barrier()
    assert queue.held_bytes == 0
    assert len(queue) == 0
    await queue.close()
