"""A batch that fails is taken apart until it is clear what can be kept."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from proxy.errors import QueueUnavailable
from proxy.writes.embedded.health import Condition
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.write import Mode
from tests.writes.backends import EmbeddedBackend, event_of, finish, result_of
from tests.writes.embedded.faults import failing_connection, fill_disk, free_disk, io_error
from tests.writes.making import make_write


async def put_many(backend: EmbeddedBackend, count: int) -> None:
    for _ in range(count):
        await backend.queue.put(make_write(body=b"n" * 900))


async def test_a_full_disk_stops_acceptance_and_nothing_else(backend: EmbeddedBackend) -> None:
    running = [make_write(body=b"r" * 900) for _ in range(40)]
    await asyncio.gather(*(backend.queue.put(write) for write in running))
    await fill_disk(backend)
    with pytest.raises(QueueUnavailable, match="disk is full"):
        await put_many(backend, 50)
    assert backend.journal.statistics().condition is Condition.NO_ROOM
    for write in running:  # what was promised is worked off all the same
        await finish(backend, write)
    for write in running:
        assert await backend.store.result(write.id) == result_of()
    plain = make_write(mode=Mode.SYNC)
    await backend.queue.put(plain)
    await finish(backend, plain)


async def test_after_a_full_disk_one_write_tries_again_later(backend: EmbeddedBackend) -> None:
    await fill_disk(backend)
    with pytest.raises(QueueUnavailable):
        await put_many(backend, 50)
    await free_disk(backend)
    with pytest.raises(QueueUnavailable, match="No write is taken in"):
        await backend.queue.put(make_write())
    backend.clock.advance(backend.settings.retry_after_s)
    await backend.queue.put(make_write())
    assert backend.journal.statistics().condition is Condition.WORKING
    await backend.queue.put(make_write())


async def test_a_write_that_found_no_room_is_withdrawn_and_leaves_nothing(backend: EmbeddedBackend) -> None:
    failing = await failing_connection(backend)
    failing.failing = lambda: io_error(sqlite3.SQLITE_FULL)
    write = make_write()
    with pytest.raises(QueueUnavailable):
        await backend.queue.put(write)
    assert [one.write.id for one in backend.owner.withdrawn] == [write.id]
    assert await backend.store.status(write.id) is None
    failing.failing = None
    owner = await backend.restart(clean=True)
    assert owner.deliveries == []
    assert backend.journal.statistics().queued == 0


async def test_a_mark_behind_a_write_that_was_not_kept_is_not_made(backend: EmbeddedBackend) -> None:
    failing = await failing_connection(backend)
    failing.failing = io_error
    write = make_write()
    putting = asyncio.ensure_future(backend.queue.put(write))
    await backend.owner.until(1)
    marked = backend.queue.started(backend.owner.of(write), attempt=1)
    assert marked is not None
    for waiting in (putting, marked):
        with pytest.raises(QueueUnavailable):
            await waiting


async def test_a_failed_sync_stops_acceptance_until_a_restart(
    backend: EmbeddedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    promised, running = make_write(), make_write()
    await backend.queue.put(promised)
    await backend.queue.put(running)
    failing = await failing_connection(backend)
    failing.failing = io_error
    with pytest.raises(QueueUnavailable, match="needs a restart"):
        await backend.queue.put(make_write())
    failing.failing = None
    backend.clock.advance(1e6)
    with pytest.raises(QueueUnavailable, match="needs a restart"):
        await backend.queue.put(make_write())
    assert "journal_failed" in caplog.text
    # An end cannot be kept any more, and says so; it is asked again, or the next process does it.
    with pytest.raises(QueueUnavailable):
        await finish(backend, running)
    # What can be read is read, and what promised nothing goes on.
    assert (await backend.store.status(promised.id)) is not None
    assert await backend.store.listing() != []
    plain = make_write(mode=Mode.SYNC)
    await backend.queue.put(plain)
    await finish(backend, plain)
    owner = await backend.restart(clean=True)
    await owner.until(2)
    assert owner.ids == [promised.id, running.id]
    assert set(owner.gains.values()) == {False}, "a journal that failed did not end cleanly"


async def test_a_body_is_kept_where_a_failed_sync_may_have_kept_its_row(backend: EmbeddedBackend) -> None:
    failing = await failing_connection(backend)
    failing.failing, failing.after = io_error, True
    write = make_write(body=b"l" * 2000)
    with pytest.raises(QueueUnavailable):
        await backend.queue.put(write)
    owner = await backend.restart(clean=False)
    await owner.until(1)
    assert owner.deliveries[0].write == write


async def test_what_is_wrong_with_one_job_is_that_jobs_alone(backend: EmbeddedBackend) -> None:
    def wrong(_: object) -> None:
        raise ValueError("mine")

    writes = [make_write() for _ in range(5)]
    results = await asyncio.gather(
        *(backend.queue.put(write) for write in writes[:3]),
        backend.journal.change(wrong),
        backend.journal.read(wrong),
        *(backend.queue.put(write) for write in writes[3:]),
        return_exceptions=True,
    )
    assert [type(one) for one in results] == [int, int, int, ValueError, ValueError, int, int]
    owner = await backend.restart(clean=False)
    await owner.until(5)
    assert owner.ids == [write.id for write in writes]


async def test_an_end_that_cannot_be_written_down_harms_no_other(backend: EmbeddedBackend) -> None:
    bad, good = make_write(), make_write()
    await backend.queue.put(bad)
    await backend.queue.put(good)
    broken = result_of(body="no octets")  # type: ignore[arg-type]
    ends = [
        backend.queue.done(backend.owner.of(bad), broken, event_of(bad)),
        backend.queue.done(backend.owner.of(good), result_of(), event_of(good)),
    ]
    results = await asyncio.gather(*(end for end in ends if end is not None), return_exceptions=True)
    assert isinstance(results[0], TypeError)
    assert results[1] is None
    status = await backend.store.status(bad.id)
    assert status is not None
    assert status.state is State.QUEUED


async def test_dead_letters_are_counted_over_restarts(backend: EmbeddedBackend) -> None:
    def count() -> int:
        return backend.journal.statistics().dead_letters

    writes = [make_write() for _ in range(3)]
    problem = Problem(ProblemType.CREDENTIALS_REFUSED, "401", 401)
    for write in writes:
        await backend.queue.put(write)
        end = (result_of(State.DEAD), event_of(write, State.DEAD))
        buried = backend.queue.bury(backend.owner.of(write), problem, *end)
        assert buried is not None
        await buried
    assert count() == 3
    await backend.store.discard(writes[0].id)
    assert count() == 2
    failing = await failing_connection(backend)
    failing.failing = lambda: io_error(sqlite3.SQLITE_FULL)
    with pytest.raises(QueueUnavailable):
        await backend.store.discard(writes[1].id)
    assert count() == 2
    await backend.restart(clean=False)
    assert count() == 2
