from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

import proxy.cache.disk.loads as module
from proxy.cache.disk.bans import Purge
from proxy.cache.disk.file_body import FileBody
from proxy.cache.disk.layout import Unusable
from proxy.cache.disk.purges import Purges
from proxy.cache.disk.store import DiskStore
from proxy.errors import StoredBodyDamaged
from tests.cache.disk.entries import KEY, a_store, an_entry, body_of, object_files, stored
from tests.origin.manual_clock import ManualClock
from tests.policy.heads import request

LARGE = os.urandom(5000)


async def test_a_small_body_comes_into_memory_and_a_large_one_stays_in_its_file(store: DiskStore) -> None:
    await stored(store, an_entry(b"small", b"x" * 1000), an_entry(b"large", LARGE))
    small, large = await store.load(b"small", ()), await store.load(b"large", ())
    assert small is not None
    assert small.body.whole
    assert large is not None
    assert isinstance(large.body, FileBody)
    assert store.opened(b"small", ()) is None
    assert store.opened(b"large", ()) is large
    assert await store.load(b"large", ()) is large
    assert await body_of(large, 10, 19) == LARGE[10:20]


async def test_a_request_selects_its_variant_by_what_the_disk_knows(store: DiskStore) -> None:
    await stored(store, an_entry(body=b"de", varies_on=(b"accept-language",), variant=(b"de",)))
    assert await body_of(await store.find(KEY, request("Accept-Language: de"))) == b"de"
    assert await store.find(KEY, request("Accept-Language: en")) is None
    assert await store.find(b"other", request()) is None


async def test_those_who_ask_at_once_share_one_load(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(store, an_entry())
    reads: list[object] = []
    read = module.load_object

    def counted(*arguments: object, **keywords: object) -> object:
        reads.append(arguments)
        return read(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "load_object", counted)
    entries = await asyncio.gather(*(store.load(KEY, ()) for _ in range(50)))
    assert len(reads) == 1
    assert all(entry is entries[0] is not None for entry in entries)


async def test_one_who_leaves_stops_nobody_elses_load(store: DiskStore) -> None:
    await stored(store, an_entry())
    one, other = (asyncio.ensure_future(store.load(KEY, ())) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert await body_of(await other) == b"body"


async def test_a_torn_file_is_dropped_and_counted(store: DiskStore, directory: Path) -> None:
    await stored(store, an_entry())
    (path,) = object_files(directory)
    os.truncate(path, 20)
    assert await store.load(KEY, ()) is None
    assert store.get(KEY, ()) is None
    await store.wait_written()
    assert object_files(directory) == []
    assert store.statistics().dropped == {Unusable.TORN: 1}


async def test_a_file_that_is_gone_is_a_miss(store: DiskStore, directory: Path) -> None:
    await stored(store, an_entry())
    object_files(directory)[0].unlink()
    assert await store.load(KEY, ()) is None
    assert store.get(KEY, ()) is None
    assert store.statistics().allocated_bytes == 0


async def test_the_key_itself_is_compared_not_only_its_digest(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(store, an_entry(KEY))
    place = module.place_of(KEY, ())
    monkeypatch.setattr(module, "place_of", lambda _key, _variant: place)
    assert await store._loads.load(b"other", ()) is None
    assert store.statistics().dropped == {Unusable.COLLISION: 1}
    assert await store._loads.load(KEY, ()) is not None


async def test_a_damaged_block_cuts_the_answer_and_drops_the_file(store: DiskStore, directory: Path) -> None:
    await stored(store, an_entry(body=LARGE))
    entry = await store.load(KEY, ())
    (path,) = object_files(directory)
    octets = bytearray(path.read_bytes())
    octets[100] ^= 1
    path.write_bytes(octets)
    with pytest.raises(StoredBodyDamaged):
        await body_of(entry)
    assert store.opened(KEY, ()) is None
    assert await store.load(KEY, ()) is None
    await store.wait_written()
    assert object_files(directory) == []


async def test_open_files_are_bounded_and_those_that_are_read_stay(directory: Path) -> None:
    store = a_store(directory, promote_max_bytes=0, max_open_files=2)
    await store.open()
    await stored(store, *(an_entry(b"%d" % number, LARGE) for number in range(5)))
    for number in range(5):
        assert await body_of(await store.load(b"%d" % number, ())) == LARGE
        assert store.statistics().open_files <= 2
    held = [await store.load(b"%d" % number, ()) for number in range(2)]
    assert all(held)
    assert await store.load(b"2", ()) is None
    assert store.statistics().dropped == {Unusable.BUSY: 1}
    assert await body_of(held[0]) == LARGE
    held.clear()
    assert await store.load(b"2", ()) is not None
    await store.close()


async def test_a_purge_while_a_file_is_read_wins(store: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await stored(store, an_entry(tags={b"t"}))
    loop = asyncio.get_running_loop()
    read = module.load_object

    def purged_meanwhile(*arguments: object, **keywords: object) -> object:
        loaded = read(*arguments, **keywords)  # type: ignore[arg-type]

        async def purge() -> None:
            await store.purge(Purge.tag(b"t")).removed()

        asyncio.run_coroutine_threadsafe(purge(), loop).result(5)
        return loaded

    monkeypatch.setattr(module, "load_object", purged_meanwhile)
    assert await store.load(KEY, ()) is None


@pytest.mark.parametrize("soft", [False, True])
async def test_a_purge_whose_sweep_ends_while_a_file_is_read_wins(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch, soft: bool
) -> None:
    """The load begins after the purge, reads the file before the sweep does, and ends after it."""
    await stored(store, an_entry(tags={b"t"}))
    loop = asyncio.get_running_loop()
    has_read = threading.Event()
    read, sweep_read = module.load_object, Purges._read

    def slow(*arguments: object, **keywords: object) -> object:
        loaded = read(*arguments, **keywords)  # type: ignore[arg-type]
        has_read.set()
        asyncio.run_coroutine_threadsafe(receipt.removed(), loop).result(5)
        return loaded

    def late(*arguments: object) -> object:
        assert has_read.wait(5)
        return sweep_read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "load_object", slow)
    monkeypatch.setattr(Purges, "_read", late)
    receipt = store.purge(Purge.tag(b"t", soft=soft))
    entry = await store.load(KEY, ())
    assert entry is not None if soft else entry is None
    assert entry is None or entry.purged_softly
    assert store.statistics().bans == 0


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
async def test_a_disk_that_cannot_be_read_rests(
    store: DiskStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_arguments: object, **_keywords: object) -> object:
        raise OSError(number, os.strerror(number))

    await stored(store, an_entry(b"a"), an_entry(b"b"))
    monkeypatch.setattr(module, "load_object", fail)
    assert await store.load(b"a", ()) is None
    monkeypatch.undo()
    assert await store.load(b"b", ()) is None
    counted = store.statistics()
    assert (counted.read_failures, counted.unavailable) == (1, 1)
    assert counted.alarm is not None
    clock.advance(31)
    assert await store.load(b"b", ()) is not None
    assert (await store.load(b"a", ()) is None) == (number == errno.EIO)
    assert store.statistics().alarm is None
