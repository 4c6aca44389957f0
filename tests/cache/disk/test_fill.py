from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from proxy.cache.disk import fill as fill_module
from proxy.cache.disk.bans import Purge
from proxy.cache.disk.store import DiskStore
from proxy.coalesce.body import SharedBody
from tests.cache.disk.entries import KEY, a_store, an_entry, body_of, object_files

PIECES = [os.urandom(size) for size in (1, 70_000, 300_000, 1000, 262_144, 65_536)]
BODY = b"".join(PIECES)


def parts(directory: Path) -> list[str]:
    return os.listdir(directory / "parts")


@pytest.mark.parametrize("expected_bytes", [None, len(BODY)])
async def test_a_body_is_spooled_and_gets_its_head_last(
    store: DiskStore, directory: Path, expected_bytes: int | None
) -> None:
    fill = store.begin(expected_bytes)
    assert fill is not None
    for piece in PIECES:
        assert fill.write(piece)
    assert await store.load(KEY, ()) is None
    assert await fill.commit(an_entry(body=BODY), max_variants=8)
    assert await body_of(await store.load(KEY, ())) == BODY
    assert parts(directory) == []
    assert store.statistics().reserved_bytes == 0
    assert not fill.write(b"more")
    assert not await fill.commit(an_entry(body=BODY), max_variants=8)


async def test_an_empty_body_is_a_body(store: DiskStore) -> None:
    fill = store.begin()
    assert fill is not None
    assert await fill.commit(an_entry(shared=SharedBody.complete([])), max_variants=8)
    assert await body_of(await store.load(KEY, ())) == b""


async def test_an_aborted_fill_leaves_nothing(store: DiskStore, directory: Path) -> None:
    fill = store.begin()
    assert fill is not None
    for piece in PIECES:
        fill.write(piece)
    await fill.abort()
    await fill.abort()
    assert parts(directory) == object_files(directory) == []
    assert store.statistics().reserved_bytes == 0


async def test_a_head_that_tells_another_length_is_not_believed(store: DiskStore, directory: Path) -> None:
    fill = store.begin()
    assert fill is not None
    fill.write(BODY)
    assert not await fill.commit(an_entry(body=BODY + b"x"), max_variants=8)
    assert parts(directory) == object_files(directory) == []


async def test_a_fill_that_grows_too_large_is_over(directory: Path) -> None:
    store = a_store(directory, max_entry_bytes=1000)
    await store.open()
    assert store.begin(1001) is None
    fill = store.begin()
    assert fill is not None
    assert fill.write(b"x" * 1000)
    assert not fill.write(b"x")
    assert fill.over
    await fill.abort()
    assert parts(directory) == []
    assert store.statistics().too_large == 2
    await store.close()


async def test_a_purge_while_it_is_committed_wins(store: DiskStore, directory: Path) -> None:
    fill = store.begin()
    assert fill is not None
    fill.write(BODY)
    committing = asyncio.ensure_future(fill.commit(an_entry(body=BODY), max_variants=8))
    await asyncio.sleep(0)
    receipt = store.purge(Purge.key(KEY))
    assert not await committing
    await receipt.removed()
    assert await store.load(KEY, ()) is None
    await store.wait_written()
    assert object_files(directory) == []


async def test_whoever_commits_may_leave(store: DiskStore, directory: Path) -> None:
    fill = store.begin()
    assert fill is not None
    fill.write(BODY)
    committing = asyncio.ensure_future(fill.commit(an_entry(body=BODY), max_variants=8))
    await asyncio.sleep(0)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    await fill.abort()
    await store.wait_written()
    assert fill.over
    assert parts(directory) == []
    assert store.statistics().reserved_bytes == 0
    assert not store._shelf.bans._running  # no commit is thought to be on its way


async def test_a_disk_that_fails_ends_the_fill(
    store: DiskStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    fill = store.begin()
    assert fill is not None
    monkeypatch.setattr(fill_module, "write_all", fail)
    assert fill.write(BODY)
    assert not await fill.commit(an_entry(body=BODY), max_variants=8)
    assert fill.over
    await fill.abort()
    assert parts(directory) == []
    assert store.statistics().alarm == "[Errno 28] No space left on device"
    assert store.begin() is None


async def test_a_fill_that_runs_when_the_tier_closes_is_over(directory: Path) -> None:
    store = a_store(directory)
    await store.open()
    fill = store.begin()
    assert fill is not None
    fill.write(BODY)
    await store.close()
    assert fill.over
    assert not fill.write(BODY)
    assert parts(directory) == []
