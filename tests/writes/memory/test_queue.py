"""Without a journal a write is in the lanes as long as its client waits, and costs nothing beside."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from proxy.errors import QueueFull, QueueUnavailable
from proxy.http.fields import Fields
from proxy.writes.events import LoggedEvent
from proxy.writes.memory.queue import MemoryQueue
from proxy.writes.memory.state import MemoryState
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.write import Idempotency, Mode
from tests.writes.backends import MemoryBackend, RecordingOwner, TestClock, event_of, result_of, take
from tests.writes.making import make_write


@pytest.fixture
async def backend(tmp_path: Path) -> MemoryBackend:
    one = MemoryBackend(tmp_path)
    await one.start()
    return one


@pytest.mark.parametrize(
    ("mode", "idempotency", "what"),
    [
        (Mode.ASYNC, None, "202"),
        (Mode.SYNC, Idempotency("s", "k", b"f"), "Idempotency-Key"),
        (Mode.ASYNC, Idempotency("s", "k", b"f"), "202"),
    ],
)
async def test_what_must_outlive_the_process_is_refused(
    backend: MemoryBackend, mode: Mode, idempotency: Idempotency | None, what: str
) -> None:
    with pytest.raises(QueueUnavailable, match=rf"{what} must outlive .*set writes\.journal\.directory"):
        await backend.queue.put(make_write(mode=mode, idempotency=idempotency))
    assert backend.owner.deliveries == []
    assert len(backend.state.live) == 0


async def test_a_write_is_delivered_as_it_is_before_put_returns(backend: MemoryBackend) -> None:
    write = make_write("/a", "/b", mode=Mode.SYNC, body=b"\0", shard=3, fields=Fields([(b"X", b"\xe9")]))
    putting = backend.queue.put(write)
    with pytest.raises(StopIteration) as returned:  # it never waits
        putting.send(None)
    (delivery,) = backend.owner.deliveries
    assert delivery.write is write
    assert (delivery.position, delivery.redelivered, delivery.attempts) == (returned.value.value, False, 0)


async def test_nothing_is_waited_for_and_nothing_left(backend: MemoryBackend) -> None:
    write = make_write(mode=Mode.SYNC)
    await backend.queue.put(write)
    delivery = backend.owner.of(write)
    assert backend.queue.started(delivery, attempt=1) is None
    status = await backend.store.status(write.id)
    assert status is not None
    assert status.started_at == backend.clock.now()
    assert backend.queue.done(delivery, result_of(), event_of(write)) is None
    assert len(backend.state.live) == backend.state.live.bytes == 0
    assert await backend.store.status(write.id) is None


async def test_a_write_that_ended_badly_is_told_and_not_parked(backend: MemoryBackend) -> None:
    write = make_write(mode=Mode.SYNC)
    await backend.queue.put(write)
    problem = Problem(ProblemType.ORIGIN_FAILED, "the origin answered 500", 500)
    ended = dataclasses.replace(result_of(State.DEAD), problem=problem)
    follower = backend.events.follow({})
    delivery = backend.owner.of(write)
    assert backend.queue.bury(delivery, problem, ended, event_of(write, State.DEAD)) is None
    (found,) = await take(follower, 1)
    assert isinstance(found, LoggedEvent)
    assert found.event.state is State.DEAD
    assert await backend.store.dead_letters() == ()


async def test_its_bounds_are_kept() -> None:
    state = MemoryState(clock=TestClock(), max_writes=2, max_bytes=10)
    queue, owner = MemoryQueue(state), RecordingOwner()
    with pytest.raises(QueueUnavailable, match="not open"):
        await queue.put(make_write(mode=Mode.SYNC))
    await queue.start(owner)
    await queue.put(make_write(mode=Mode.SYNC, body=b"x" * 8))
    with pytest.raises(QueueFull, match="8 octets"):
        await queue.put(make_write(mode=Mode.SYNC, body=b"xyz"))
    await queue.put(make_write(mode=Mode.SYNC, body=b"xy"))
    with pytest.raises(QueueFull, match="2 writes are queued"):
        await queue.put(make_write(mode=Mode.SYNC, body=b""))
    queue.done(owner.deliveries[0], result_of(), event_of(owner.deliveries[0].write))
    await queue.put(make_write(mode=Mode.SYNC, body=b"x" * 8))
