from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

import proxy.cache.disk.purge_log as log_module
import proxy.cache.disk.purges as module
from proxy.cache.disk.bans import Purge
from proxy.cache.disk.directory import Directory
from proxy.cache.disk.store import DiskStore
from proxy.errors import PurgeNotDurable
from proxy.policy.purges import Matching
from tests.cache.disk.entries import a_key, a_store, an_entry, object_files, stored

LARGE = b"x" * 5000
A, B, C = a_key(b"/a"), a_key(b"/b"), a_key(b"/c")
LONGER = a_key(b"/a", b"f1:x,~")
KEYS = (A, B, C, LONGER)

PURGES = [
    pytest.param(Purge.all(), {*KEYS}, id="all"),
    pytest.param(Purge.key(A), {A}, id="key"),
    pytest.param(Purge.one(A, ()), {A}, id="place"),
    pytest.param(Purge.tag(b"t"), {A, B}, id="tag"),
    pytest.param(Purge.target(A), {A, LONGER}, id="target"),
    pytest.param(Purge.target(a_key(b"/b?utm=1")), {B}, id="target-answered-for"),
    pytest.param(Purge.searched(Matching(re.compile(b"/[bc]$"))), {B, C}, id="pattern"),
    pytest.param(Purge.matching(lambda key, _tags: key == C), {C}, id="where"),
]


async def four(store: DiskStore) -> None:
    answers = b'no-vary-search, params=("utm")'
    large = an_entry(B, LARGE, tags={b"t", b"u", answers})
    await stored(store, an_entry(A, tags={b"t"}), large, an_entry(C), an_entry(LONGER))


async def idle(store: DiskStore) -> None:
    """Wait until no sweep runs, its clearing up included."""
    sweep = store._purges._sweeping
    if sweep is not None:
        await sweep


async def found(store: DiskStore) -> set[bytes]:
    return {key for key in KEYS if await store.load(key, ()) is not None}


@pytest.mark.parametrize(("purge", "gone"), PURGES)
async def test_a_purge_holds_at_once_and_is_swept_up(
    store: DiskStore, directory: Path, purge: Purge, gone: set[bytes]
) -> None:
    await four(store)
    receipt = store.purge(purge)
    assert await found(store) == {*KEYS} - gone
    await receipt.durable()
    await receipt.removed()
    assert len(object_files(directory)) == 4 - len(gone)
    assert store.statistics().bans == 0


@pytest.mark.parametrize(("purge", "gone"), PURGES)
async def test_a_purge_tells_how_many_there_were(store: DiskStore, purge: Purge, gone: set[bytes]) -> None:
    await four(store)
    assert await store.purge(purge).removed() == len(gone)
    assert store.statistics().purged == len(gone)


@pytest.mark.parametrize(("purge", "gone"), PURGES)
async def test_what_was_purged_does_not_come_back_though_its_file_was_not_removed(
    directory: Path, monkeypatch: pytest.MonkeyPatch, purge: Purge, gone: set[bytes]
) -> None:
    """As after a kill between the acknowledgement and the sweep."""
    store = a_store(directory)
    await store.open()
    await store.wait_complete()
    await four(store)
    monkeypatch.setattr(Directory, "unlink_object", lambda _directory, _place: True)
    receipt = store.purge(purge)
    await receipt.durable()
    await store.close()
    assert len(object_files(directory)) == 4
    monkeypatch.undo()

    again = a_store(directory)
    await again.open()
    assert await found(again) == {*KEYS} - gone
    await again.wait_complete()
    await again.wait_written()
    assert again.statistics().entries == len(object_files(directory)) == 4 - len(gone)
    await again.close()


@pytest.mark.parametrize(("purge", "gone"), PURGES)
async def test_a_soft_purge_makes_stale_and_stays_so_after_a_restart(
    directory: Path, monkeypatch: pytest.MonkeyPatch, purge: Purge, gone: set[bytes]
) -> None:
    soft = Purge(purge.kind, purge.subject, soft=True, where=purge.where)

    async def stale(store: DiskStore) -> set[bytes]:
        entries = {key: await store.load(key, ()) for key in KEYS}
        return {key for key, entry in entries.items() if entry is not None and entry.purged_softly}

    store = a_store(directory, promote_max_bytes=1000)
    await store.open()
    await store.wait_complete()
    monkeypatch.setattr(module, "COMPACT_BYTES", 1)  # so that the files themselves must say it
    await four(store)
    await store.load(B, ())
    receipt = store.purge(soft)
    assert await stale(store) == gone
    assert await receipt.removed() == len(gone)
    assert await stale(store) == gone
    assert store.statistics().bans == 0
    await idle(store)
    await store.close()

    again = a_store(directory, promote_max_bytes=1000)
    await again.open()
    assert await stale(again) == gone
    await again.close()


async def test_what_is_held_open_is_purged_too(store: DiskStore) -> None:
    await four(store)
    assert await store.load(B, ()) is store.opened(B, ()) is not None
    store.purge(Purge.tag(b"u"))
    assert store.opened(B, ()) is None


async def test_an_entry_stored_after_a_purge_is_not_purged(store: DiskStore) -> None:
    receipt = store.purge(Purge.all())
    await stored(store, an_entry(A))
    assert await receipt.removed() == 0
    assert await store.load(A, ()) is not None


async def test_many_purges_at_once_share_their_writes_and_their_sweep(store: DiskStore) -> None:
    await four(store)
    receipts = [store.purge(Purge.tag(b"%d" % number)) for number in range(200)]
    receipts.append(store.purge(Purge.tag(b"t")))
    await asyncio.gather(*(receipt.durable() for receipt in receipts))
    counts = await asyncio.gather(*(receipt.removed() for receipt in receipts))
    assert counts == [0] * 200 + [2]


async def test_the_log_is_written_anew_when_it_has_grown(
    store: DiskStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await four(store)
    monkeypatch.setattr(module, "COMPACT_BYTES", 100)
    for purge in (Purge.searched(Matching(re.compile(b"a" * 200))), Purge.key(A)):
        await store.purge(purge).durable()
        await idle(store)
    await store.close()
    assert (directory / "purges.log").stat().st_size < 100
    again = a_store(directory)
    await again.open()
    assert again.statistics().purge_sequence == 2
    assert await found(again) == {B, C, LONGER}
    await again.close()


async def test_the_log_is_kept_while_a_purged_file_remains(
    store: DiskStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_directory: Directory, _place: object) -> bool:
        raise PermissionError(1, "Operation not permitted")

    await four(store)
    monkeypatch.setattr(module, "COMPACT_BYTES", 1)
    monkeypatch.setattr(Directory, "unlink_object", refuse)
    for key in (A, b"none"):
        await store.purge(Purge.key(key)).durable()
        await idle(store)
    await store.close()
    monkeypatch.undo()
    assert len(object_files(directory)) == 4
    again = a_store(directory)
    await again.open()
    assert await found(again) == {B, C, LONGER}
    await again.close()


async def test_a_purge_that_cannot_be_written_down_is_durable_by_giving_up_everything(
    store: DiskStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    await four(store)
    monkeypatch.setattr(log_module, "write_all", full)
    await store.purge(Purge.key(A)).durable()
    assert await found(store) == {B, C, LONGER}
    monkeypatch.undo()
    await store.close()
    again = a_store(directory)
    await again.open()
    assert await found(again) == set()
    await again.close()


async def test_a_purge_that_cannot_be_made_durable_says_so(store: DiskStore, directory: Path) -> None:
    await four(store)
    await asyncio.to_thread(store._purges._log.close)
    store._purges._log._fd = 10**6
    (directory / "purges.log").unlink()
    with pytest.raises(PurgeNotDurable, match="could not be written down"):
        await store.purge(Purge.key(A)).durable()
    assert await found(store) == {B, C, LONGER}
    store._purges._log._fd = None


async def test_a_purge_of_a_closed_tier_is_not_durable(directory: Path) -> None:
    store = a_store(directory)
    await store.open()
    await store.close()
    receipt = store.purge(Purge.all())
    assert await receipt.removed() == 0
    with pytest.raises(PurgeNotDurable):
        await receipt.durable()
