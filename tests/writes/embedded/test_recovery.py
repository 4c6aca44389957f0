"""What was left is handed over page by page."""

from __future__ import annotations

import asyncio
import os

import pytest

from proxy.errors import QueueUnavailable
from proxy.writes.embedded import recovery
from proxy.writes.states import State
from tests.writes.backends import EmbeddedBackend, finish
from tests.writes.making import make_write


async def fill(backend: EmbeddedBackend, count: int, *, size: int = 4) -> list[str]:
    writes = [make_write(f"/{n}", shard=n % 4, body=b"b" * size) for n in range(count)]
    await asyncio.gather(*(backend.queue.put(write) for write in writes))
    return [write.id for write in writes]


async def test_the_first_write_is_at_its_lane_before_the_last_one_is_read(backend: EmbeddedBackend) -> None:
    ids = await fill(backend, 1000)
    owner = await backend.restart(clean=False)
    await owner.until(1)
    assert len(owner.deliveries) < 1000
    assert backend.journal.statistics().recovering
    status = await backend.store.status(ids[-1])
    assert status is not None, "a write that is left and not delivered yet is known"
    assert status.state is State.QUEUED
    assert await backend.store.status("unknown") is None
    await owner.until(1000)
    assert owner.ids == ids
    await backend.queue.wait_recovered()
    assert not backend.journal.statistics().recovering


async def test_large_bodies_come_in_smaller_pages(
    backend: EmbeddedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_PAGE_BYTES", 4000)
    ids = await fill(backend, 40, size=3000)
    owner = await backend.restart(clean=False)
    await owner.until(40)
    assert owner.ids == ids


async def test_a_queue_can_be_closed_while_it_recovers(backend: EmbeddedBackend) -> None:
    ids = await fill(backend, 1000)
    owner = await backend.restart(clean=False)
    await owner.until(1)
    owner = await backend.restart(clean=False)
    await owner.until(1000)
    assert owner.ids == ids


async def test_nothing_is_delivered_behind_a_write_that_cannot_be_read(
    backend: EmbeddedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    ids = await fill(backend, 60, size=2000)
    await backend.queue.close(clean=True)
    bodies = backend.settings.directory / "bodies"
    names = sorted(os.listdir(bodies))
    (bodies / names[40]).unlink()
    owner = await backend.start()
    await backend.queue.wait_recovered()
    assert "journal_recovery_stopped" in caplog.text
    assert owner.ids == ids[:16], "a page is delivered whole or not"
    assert names[40] in caplog.text
    with pytest.raises(QueueUnavailable):
        await backend.queue.put(make_write())
    assert len(os.listdir(bodies)) == 59, "what can be repaired was not thrown away"


async def test_what_was_recovered_can_be_finished_while_the_rest_is_read(backend: EmbeddedBackend) -> None:
    ids = await fill(backend, 600)
    owner = await backend.restart(clean=True)
    await owner.until(1)
    first = owner.deliveries[0].write
    await finish(backend, first)
    await owner.until(600)
    assert owner.ids == ids
    assert (await backend.store.status(first.id)) is not None
