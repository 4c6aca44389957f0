"""The queue's bounds, files and faults, beyond what every backend promises."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from proxy.errors import QueueFull, QueueUnavailable
from proxy.http.fields import Fields
from proxy.writes.embedded import queue as queue_module
from proxy.writes.embedded.health import Condition
from proxy.writes.embedded.spool import Spool
from proxy.writes.events import LoggedEvent
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.write import Mode
from tests.writes.backends import EmbeddedBackend, event_of, finish, result_of, take
from tests.writes.embedded.faults import failing_connection, io_error
from tests.writes.making import make_write


async def test_a_write_is_delivered_within_the_call(backend: EmbeddedBackend) -> None:
    putting = backend.queue.put(make_write())
    putting.send(None)
    assert len(backend.owner.deliveries) == 1
    putting.close()


async def test_the_queue_is_full_at_its_number_and_frees_with_each_end(tmp_path: Path) -> None:
    backend = EmbeddedBackend(tmp_path / "journal", max_writes=3)
    await backend.start()
    writes = [make_write(mode=mode) for mode in (Mode.ASYNC, Mode.SYNC, Mode.ASYNC)]
    for write in writes:
        await backend.queue.put(write)
    with pytest.raises(QueueFull, match="max_queued"):
        await backend.queue.put(make_write())
    for write in writes[:2]:
        await finish(backend, write)
        await backend.queue.put(make_write())
    await backend.stop(clean=True)


async def test_the_queue_is_full_at_its_octets(tmp_path: Path) -> None:
    backend = EmbeddedBackend(tmp_path / "journal", max_bytes=10_000)
    await backend.start()
    write = make_write(body=b"x" * 9000)
    await backend.queue.put(write)
    with pytest.raises(QueueFull, match="max_bytes"):
        await backend.queue.put(make_write(body=b"x" * 1001))
    await backend.queue.put(make_write(body=b"x" * 1000))
    await finish(backend, write)
    await backend.queue.put(make_write(body=b"x" * 9000))
    await backend.stop(clean=True)


async def test_too_little_room_refuses_what_is_durable_and_nothing_else(tmp_path: Path) -> None:
    backend = EmbeddedBackend(tmp_path / "journal", min_free_bytes=1 << 60)
    await backend.start()
    with pytest.raises(QueueUnavailable, match="min_free_bytes"):
        await backend.queue.put(make_write())
    assert len(backend.owner.withdrawn) == 1
    plain = make_write(mode=Mode.SYNC)
    await backend.queue.put(plain)
    await finish(backend, plain)
    await backend.stop(clean=True)


def bodies(backend: EmbeddedBackend) -> list[str]:
    return os.listdir(backend.settings.directory / "bodies")


async def test_the_file_of_a_large_body_goes_with_its_write(backend: EmbeddedBackend) -> None:
    write = make_write(body=b"l" * 2000)
    await backend.queue.put(write)
    assert len(bodies(backend)) == 1
    await finish(backend, write)
    await backend.restart(clean=True)
    assert bodies(backend) == []


@pytest.mark.parametrize(
    ("number", "condition"), [(errno.ENOSPC, Condition.NO_ROOM), (errno.EIO, Condition.FAILED)]
)
async def test_a_body_that_cannot_be_written_refuses_its_write_and_what_waits_for_it(
    backend: EmbeddedBackend, monkeypatch: pytest.MonkeyPatch, number: int, condition: Condition
) -> None:
    def fails(self: Spool, name: str, body: bytes) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Spool, "write", fails)
    write = make_write(body=b"l" * 2000)
    putting = asyncio.ensure_future(backend.queue.put(write))
    await backend.owner.until(1)
    marked = backend.queue.started(backend.owner.of(write), attempt=1)
    assert marked is not None
    for waiting in (putting, marked):
        with pytest.raises(QueueUnavailable, match="body could not be written"):
            await waiting
    assert len(backend.owner.withdrawn) == 1
    assert backend.journal.statistics().condition is condition
    assert backend.journal.statistics().queued == 0


async def test_a_small_write_does_not_wait_for_a_large_one(
    backend: EmbeddedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    real = Spool.write

    def slow(self: Spool, name: str, body: bytes) -> None:
        assert release.wait(10)
        real(self, name, body)

    monkeypatch.setattr(Spool, "write", slow)
    large, small = make_write(body=b"l" * 2000), make_write()
    putting = asyncio.ensure_future(backend.queue.put(large))
    await backend.owner.until(1)
    await backend.queue.put(small)
    assert not putting.done()
    assert backend.owner.ids == [large.id, small.id], "the order is that of the calls"
    release.set()
    await putting
    owner = await backend.restart(clean=False)
    await owner.until(2)
    assert owner.ids == [large.id, small.id]


async def test_events_of_plain_writes_are_gathered_and_cost_few_commits(backend: EmbeddedBackend) -> None:
    follower = backend.events.follow({})
    writes = [make_write(mode=Mode.SYNC) for _ in range(100)]
    before = backend.journal.statistics().transactions
    for write in writes:
        await backend.queue.put(write)
        await finish(backend, write)
    found = await take(follower, 100)
    assert [one.event.write_id for one in found if isinstance(one, LoggedEvent)] == [one.id for one in writes]
    assert backend.journal.statistics().transactions - before < 20


async def test_lanes_wait_when_too_many_events_are_not_written_down(
    backend: EmbeddedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "MAX_UNKEPT_EVENTS", 3)
    waits = []
    for _ in range(5):
        write = make_write(mode=Mode.SYNC)
        await backend.queue.put(write)
        waits.append(backend.queue.done(backend.owner.of(write), result_of(), event_of(write)))
    assert [wait is None for wait in waits] == [True, True, True, False, False]
    for wait in waits:
        if wait is not None:
            await wait


async def test_events_that_wait_are_kept_when_the_queue_is_closed(backend: EmbeddedBackend) -> None:
    write = make_write(mode=Mode.SYNC)
    await backend.queue.put(write)
    await finish(backend, write)
    await backend.restart(clean=True)
    (found,) = await take(backend.events.follow({}), 1)
    assert isinstance(found, LoggedEvent)
    assert found.event == event_of(write)


PROBLEM = Problem(ProblemType.UNKNOWN_OUTCOME, "the origin did not answer")


async def test_a_plain_write_that_is_buried_leaves_its_letter(backend: EmbeddedBackend) -> None:
    write = make_write(mode=Mode.SYNC)
    await backend.queue.put(write)
    kept = backend.queue.bury(
        backend.owner.of(write), PROBLEM, result_of(State.UNKNOWN), event_of(write, State.UNKNOWN)
    )
    assert kept is not None
    await kept
    letter = await backend.store.dead_letter(write.id)
    assert letter is not None
    assert letter.write == write


async def test_a_plain_write_is_answered_even_if_its_letter_is_lost(
    backend: EmbeddedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    failing = await failing_connection(backend)
    failing.failing = io_error
    write = make_write(mode=Mode.SYNC)
    await backend.queue.put(write)
    kept = backend.queue.bury(
        backend.owner.of(write), PROBLEM, result_of(State.UNKNOWN), event_of(write, State.UNKNOWN)
    )
    assert kept is not None
    await kept
    assert f"dead_letter_lost write={write.id}" in caplog.text


async def test_credentials_and_bodies_are_nowhere_in_the_files(backend: EmbeddedBackend) -> None:
    fields = Fields([(b"Authorization", b"Bearer tell-tale"), (b"Cookie", b"session=tell-tale")])
    small, large, dead = (make_write(fields=fields, body=b"tell-tale" * n) for n in (1, 500, 1))
    for write in (small, large, dead):
        await backend.queue.put(write)
    await finish(backend, small, result=result_of(body=b"tell-tale"))
    kept = backend.queue.bury(
        backend.owner.of(dead), PROBLEM, result_of(State.DEAD), event_of(dead, State.DEAD)
    )
    assert kept is not None
    await kept
    await backend.queue.close(clean=True)
    for path in backend.settings.directory.rglob("*"):
        if path.is_file():
            assert b"tell-tale" not in path.read_bytes(), path
            assert path.stat().st_mode & 0o077 == 0, path
