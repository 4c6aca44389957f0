from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import proxy.cache.disk.rebuild as module
from proxy.cache.disk.bans import Purge
from proxy.cache.disk.layout import Unusable
from proxy.cache.disk.rebuild import Rebuild
from proxy.cache.disk.store import DiskStore
from tests.cache.disk.entries import KEY, a_store, an_entry, body_of, object_files, stored
from tests.policy.heads import request


class Held:
    """A rebuild whose thread waits before its first file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._go = threading.Event()
        scan = Rebuild._scan

        def held(rebuild: Rebuild, *arguments: object) -> None:
            assert self._go.wait(5)
            scan(rebuild, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Rebuild, "_scan", held)

    def release(self) -> None:
        self._go.set()


async def filled(directory: Path, count: int = 20, **settings: object) -> None:
    store = a_store(directory, **settings)
    await store.open()
    await store.wait_complete()
    await stored(store, *(an_entry(b"%d" % number, b"body %d" % number) for number in range(count)))
    await store.close()


async def test_everything_is_found_again_after_a_restart(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_FILES", 3)
    await filled(directory)
    store = a_store(directory)
    await store.open()
    await store.wait_complete()
    counted = store.statistics()
    assert (counted.entries, counted.index_complete, counted.dropped) == (20, True, {})
    for number in range(20):
        assert await body_of(await store.load(b"%d" % number, ())) == b"body %d" % number
    await store.close()


async def test_it_serves_and_stores_at_once_while_the_index_is_rebuilt(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(directory)
    held = Held(monkeypatch)
    store = a_store(directory)
    await store.open()
    assert not store.index_complete
    assert await body_of(await store.find(b"7", request())) == b"body 7"
    assert await store.find(b"unknown", request()) is None
    await stored(store, an_entry(b"8", b"new"), an_entry(b"20", b"body 20"))
    await store.purge(Purge.key(b"9")).durable()
    assert await store.find(b"9", request()) is None
    held.release()
    await store.wait_complete()
    assert await body_of(await store.load(b"8", ())) == b"new"
    assert await store.find(b"9", request()) is None
    await store.wait_written()
    assert store.statistics().entries == len(object_files(directory)) == 20
    await store.close()


async def test_variants_are_found_while_the_index_is_rebuilt(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_store(directory)
    await store.open()
    for value in (b"de", b"en"):
        await stored(store, an_entry(body=value, varies_on=(b"accept-language",), variant=(value,)))
    await store.close()
    held = Held(monkeypatch)
    store = a_store(directory)
    await store.open()
    assert await body_of(await store.find(KEY, request("Accept-Language: en"))) == b"en"
    held.release()
    await store.close()


async def test_files_of_no_use_are_dropped_and_names_of_others_left_alone(directory: Path) -> None:
    await filled(directory, 3)
    torn, foreign, good = object_files(directory)
    os.truncate(torn, 10)
    foreign.write_bytes(good.read_bytes())
    (directory / "objects" / "readme").write_text("mine")
    (good.parent / "notes").write_text("mine")
    (torn.parent / good.name).write_bytes(good.read_bytes())  # in the wrong shard
    store = a_store(directory)
    await store.open()
    await store.wait_complete()
    await store.wait_written()
    counted = store.statistics()
    assert counted.entries == 1
    assert counted.dropped == {Unusable.TORN: 1, Unusable.FOREIGN: 1}
    assert counted.left_alone == 3
    assert good in object_files(directory)
    assert torn not in object_files(directory)
    assert (good.parent / "notes").read_text() == "mine"
    await store.close()


async def test_nothing_is_believed_without_the_log_of_purges(directory: Path) -> None:
    await filled(directory)
    (directory / "purges.log").unlink()
    store = a_store(directory)
    await store.open()
    assert await store.load(b"1", ()) is None
    await store.wait_complete()
    await store.wait_written()
    dropped = store.statistics().dropped.keys() - {Unusable.MISSING}  # by the scan, just before the load
    assert dropped == {Unusable.GENERATION}
    assert object_files(directory) == []
    await store.close()


async def test_two_sets_of_variants_left_by_a_kill_are_both_dropped(directory: Path) -> None:
    await filled(directory, 1)
    (path,) = object_files(directory)
    left = path.read_bytes()
    store = a_store(directory)
    await store.open()
    await store.wait_complete()
    await stored(store, an_entry(b"0", b"de", varies_on=(b"accept-language",), variant=(b"de",)))
    await store.close()
    path.write_bytes(left)
    store = a_store(directory)
    await store.open()
    assert await store.find(b"0", request("Accept-Language: de")) is None
    await store.wait_complete()
    await store.wait_written()
    assert Unusable.REPLACED in store.statistics().dropped
    assert object_files(directory) == []
    await store.close()


async def test_it_ends_early_when_the_tier_is_closed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(directory)
    monkeypatch.setattr(module, "BATCH_FILES", 1)
    held = Held(monkeypatch)
    store = a_store(directory)
    await store.open()
    store._rebuild.stop()
    held.release()
    await store.close()
    assert not store.index_complete
    assert len(object_files(directory)) == 20


async def test_a_file_that_cannot_be_read_now_is_left_and_the_purges_are_remembered(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_keywords: object) -> object:
        raise OSError(24, "Too many open files")

    await filled(directory)
    monkeypatch.setattr("proxy.cache.disk.loads.examine", fail)
    store = a_store(directory)
    await store.open()
    await store.wait_complete()
    assert len(object_files(directory)) == 20
    assert store._shelf.remains
    await store.close()


async def test_what_is_too_much_for_a_smaller_bound_goes(directory: Path) -> None:
    await filled(directory, 30)
    store: DiskStore = a_store(directory, max_bytes=10 * 4096, max_entry_bytes=4096)
    await store.open()
    await store.wait_complete()
    await store.wait_written()
    assert store.statistics().entries == len(object_files(directory)) == 10
    await store.close()
