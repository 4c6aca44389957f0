"""The journal as a whole: opening, closing, counting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.errors import ConfigError, QueueUnavailable
from proxy.writes.write import Mode
from tests.writes.backends import EmbeddedBackend, finish
from tests.writes.making import make_write


async def test_two_processes_on_one_journal(backend: EmbeddedBackend) -> None:
    second = EmbeddedBackend(backend.settings.directory)
    with pytest.raises(ConfigError, match="another Lockgate uses"):
        await second.start()
    write = make_write()
    await backend.queue.put(write)
    await finish(backend, write)


async def test_a_journal_that_is_not_open_answers_so(tmp_path: Path) -> None:
    backend = EmbeddedBackend(tmp_path / "journal")
    await backend.start()
    await backend.stop(clean=True)
    await backend.stop(clean=True)
    with pytest.raises(QueueUnavailable):
        await backend.store.status("w")
    with pytest.raises(QueueUnavailable):
        await backend.store.pause("k", None)  # type: ignore[arg-type]


async def test_what_was_submitted_is_written_before_it_closes(backend: EmbeddedBackend) -> None:
    writes = [make_write(body=b"b" * size) for size in (10, 5000)]
    puts = [asyncio.ensure_future(backend.queue.put(write)) for write in writes]
    await backend.owner.until(2)
    owner = await backend.restart(clean=False)
    assert all(put.done() for put in puts)
    await owner.until(2)


async def test_the_counts(backend: EmbeddedBackend) -> None:
    writes = [make_write(body=b"12345"), make_write(body=b"123", mode=Mode.SYNC)]
    for write in writes:
        await backend.queue.put(write)
    found = backend.journal.statistics()
    assert (found.queued, found.queued_bytes, found.durable) == (2, 8, 1)
    assert found.transactions == sum(found.batch_sizes) == sum(found.commit_times) > 0
    assert found.jobs >= 1
    assert found.commit_seconds > 0
    for write in writes:
        await finish(backend, write)
    found = backend.journal.statistics()
    assert (found.queued, found.queued_bytes, found.durable) == (0, 0, 0)
