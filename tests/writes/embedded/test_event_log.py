"""Following events through memory, journal, gaps and removals."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.writes.embedded import event_log
from proxy.writes.events import Gap, LoggedEvent
from proxy.writes.write import Mode
from tests.writes.backends import EmbeddedBackend, all_after, finish, take
from tests.writes.embedded.faults import failing_connection, io_error
from tests.writes.making import make_write


async def commit(
    backend: EmbeddedBackend, count: int, *, shard: int = 0, mode: Mode = Mode.ASYNC
) -> list[str]:
    writes = [make_write(shard=shard, mode=mode) for _ in range(count)]
    await asyncio.gather(*(backend.queue.put(write) for write in writes))
    for write in writes:
        await finish(backend, write)
    return [write.id for write in writes]


def ids(found: list[LoggedEvent | Gap]) -> list[str]:
    return [one.event.write_id for one in found if isinstance(one, LoggedEvent)]


@pytest.fixture
async def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedBackend]:
    """A log of which memory holds four events."""
    monkeypatch.setattr(event_log.EmbeddedLog.__init__, "__kwdefaults__", {"ring_events": 4})
    one = EmbeddedBackend(tmp_path / "journal")
    await one.start()
    yield one
    await one.stop(clean=True)


async def test_a_reader_that_falls_behind_what_memory_holds_reads_the_journal(small: EmbeddedBackend) -> None:
    follower = small.events.follow(None)
    first = asyncio.ensure_future(take(follower, 1))
    await asyncio.sleep(0)
    written = await commit(small, 1)
    found = await first
    written += await commit(small, 30)
    found += await take(follower, 30)
    written += await commit(small, 3)
    found += await take(follower, 3)
    assert ids(found) == written
    assert not any(isinstance(one, Gap) for one in found)


async def test_many_readers_cost_nothing_while_they_do_not_read(small: EmbeddedBackend) -> None:
    followers = [small.events.follow({}) for _ in range(50)]
    written = await commit(small, 5)
    for follower in followers:
        assert ids(await take(follower, 5)) == written
        await follower.aclose()  # type: ignore[attr-defined]
    assert small.journal.statistics().followers == 0


async def test_a_reader_is_told_of_what_was_removed(tmp_path: Path) -> None:
    backend = EmbeddedBackend(tmp_path / "journal", max_events=10)
    await backend.start()
    await commit(backend, 3, shard=1)
    position = backend.events.ends()[1]
    for _ in range(15):
        await commit(backend, 1)
    assert (await backend.journal.sweep()).floors[0] == 8
    for _ in range(2):
        found = await all_after(backend.events, {0: 5, 1: position}, until=10)
        assert found[0] == Gap(0, 9)
        assert [one.position for one in found[1:] if isinstance(one, LoggedEvent)] == list(range(9, 19))
        await backend.restart(clean=True)
    assert len(await all_after(backend.events, {}, until=10)) == 10, (
        "who asks for what is kept misses nothing"
    )
    await backend.stop(clean=True)


async def test_events_that_the_disk_could_not_keep_are_told_and_leave_a_gap(backend: EmbeddedBackend) -> None:
    failing = await failing_connection(backend)
    await commit(backend, 1)
    follower = backend.events.follow({})
    await take(follower, 1)
    failing.failing = lambda: io_error(sqlite3.SQLITE_FULL)
    lost = await commit(backend, 2, mode=Mode.SYNC)
    assert ids(await take(follower, 2)) == lost
    failing.failing = None
    backend.clock.advance(10)
    written = await commit(backend, 1)
    found = await all_after(backend.events, {0: 1}, until=1)
    assert isinstance(found[0], Gap)
    assert ids(found) == written


async def test_a_gap_is_told_at_once_after_a_crash_even_if_nothing_follows(backend: EmbeddedBackend) -> None:
    await commit(backend, 1, shard=2)
    end = backend.events.ends()[2]
    await backend.restart(clean=False)
    assert await take(backend.events.follow({0: end, 1: end, 2: end, 3: end}), 4) == [
        Gap(shard, backend.events.ends()[shard] + 1) for shard in range(4)
    ]


async def test_no_gap_is_told_after_a_clean_restart(backend: EmbeddedBackend) -> None:
    await commit(backend, 2)
    end = backend.events.ends()[0]
    await backend.restart(clean=True)
    written = await commit(backend, 1)
    found = await all_after(backend.events, dict.fromkeys(range(4), end), until=1)
    assert ids(list(found)) == written
    assert len(found) == 1
