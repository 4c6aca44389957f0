from __future__ import annotations

import errno
import os
import re
import threading
from pathlib import Path

import pytest

from proxy.cache.disk.bans import Purge
from proxy.cache.disk.directory import Directory
from proxy.cache.disk.store import DiskStore
from proxy.policy.purges import Matching
from tests.cache.disk.entries import KEY, a_store, an_entry, body_of, object_files, stored
from tests.origin.manual_clock import ManualClock


async def test_an_entry_that_was_put_is_found(store: DiskStore) -> None:
    await stored(store, an_entry(b"a", b"one"), an_entry(b"b", b"two"))
    assert await body_of(await store.load(b"a", ())) == b"one"
    assert await body_of(await store.load(b"b", ())) == b"two"
    assert await store.load(b"c", ()) is None
    assert store.statistics().stores == 2


async def test_a_younger_answer_replaces_an_older_one_and_not_the_other_way(store: DiskStore) -> None:
    await stored(store, an_entry(body=b"first", requested_mono=10.0))
    await stored(store, an_entry(body=b"second", requested_mono=20.0))
    assert not store.put(an_entry(body=b"late", requested_mono=15.0), max_variants=8)
    assert await body_of(await store.load(KEY, ())) == b"second"
    assert store.put(an_entry(body=b"third", requested_mono=30.0), max_variants=8)
    assert not store.put(an_entry(body=b"late", requested_mono=25.0), max_variants=8)
    await store.wait_written()
    assert await body_of(await store.load(KEY, ())) == b"third"
    counted = store.statistics()
    assert (counted.entries, counted.replaced, counted.superseded) == (1, 2, 2)


async def test_variants_lie_side_by_side_up_to_a_number(store: DiskStore, directory: Path) -> None:
    for value in (b"1", b"2", b"3"):
        await stored(store, an_entry(body=value, varies_on=(b"a",), variant=(value,)), max_variants=2)
    assert store.varies_on(KEY) == (b"a",)
    assert await store.load(KEY, (b"1",)) is None
    assert await body_of(await store.load(KEY, (b"3",))) == b"3"
    await store.wait_written()
    assert len(object_files(directory)) == 2


async def test_variants_chosen_by_other_names_go(store: DiskStore, directory: Path) -> None:
    await stored(store, an_entry(varies_on=(b"a",), variant=(b"1",)))
    await stored(store, an_entry(varies_on=(b"b",), variant=(b"1",)))
    await store.wait_written()
    assert store.varies_on(KEY) == (b"b",)
    assert len(object_files(directory)) == 1


async def test_what_is_too_large_is_not_stored(directory: Path) -> None:
    store = a_store(directory, max_entry_bytes=10)
    await store.open()
    assert not store.put(an_entry(body=b"x" * 11), max_variants=8)
    assert store.statistics().too_large == 1
    await store.close()


class Gate:
    """Holds the writer's thread before each object, until opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived, self._open = threading.Event(), threading.Event()
        write = Directory.write_object

        def held(*arguments: object, **keywords: object) -> None:
            self.arrived.set()
            assert self._open.wait(5)
            write(*arguments, **keywords)  # type: ignore[arg-type]

        monkeypatch.setattr(Directory, "write_object", held)

    def open(self) -> None:
        self._open.set()


async def test_a_full_queue_drops_what_comes_and_never_waits(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_store(directory, max_queue_bytes=100)
    await store.open()
    gate = Gate(monkeypatch)
    assert store.put(an_entry(b"a", b"x" * 90), max_variants=8)
    assert not store.put(an_entry(b"b", b"x" * 90), max_variants=8)
    assert store.put(an_entry(b"c", b"x" * 10), max_variants=8)
    assert store.statistics().queue_full == 1
    gate.open()
    await store.wait_written()
    assert store.statistics().stores == 2
    await store.close()


@pytest.mark.parametrize(
    "purge",
    [Purge.key(KEY), Purge.tag(b"t"), Purge.searched(Matching(re.compile(b"k"))), Purge.all()],
    ids=lambda p: p.kind.name,
)
async def test_an_entry_purged_on_its_way_is_not_kept(
    store: DiskStore, directory: Path, monkeypatch: pytest.MonkeyPatch, purge: Purge
) -> None:
    gate = Gate(monkeypatch)
    assert store.put(an_entry(tags={b"t"}), max_variants=8)
    receipt = store.purge(purge)
    await receipt.durable()
    gate.open()
    await receipt.removed()
    await store.wait_written()
    assert await store.load(KEY, ()) is None
    assert object_files(directory) == []
    await stored(store, an_entry(tags={b"t"}))
    assert await store.load(KEY, ()) is not None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE])
async def test_a_disk_that_fails_rests_and_is_tried_again(
    store: DiskStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_arguments: object, **_keywords: object) -> None:
        raise OSError(number, os.strerror(number))

    await stored(store, an_entry(b"before"))
    monkeypatch.setattr(Directory, "write_object", fail)
    await stored(store, an_entry(b"a"))
    assert not store.put(an_entry(b"b"), max_variants=8)
    counted = store.statistics()
    assert counted.alarm == str(OSError(number, os.strerror(number)))
    assert (counted.write_failures, counted.unavailable, counted.spoiled) == (1, 1, 1)
    assert counted.reserved_bytes == 0
    monkeypatch.undo()
    clock.advance(31)
    await stored(store, an_entry(b"c"))
    assert await store.load(b"c", ()) is not None
    assert store.statistics().alarm is None


async def test_a_body_that_lies_in_a_file_is_copied_under_its_new_head(store: DiskStore) -> None:
    body = os.urandom(600_000)
    await stored(store, an_entry(body=body, requested_mono=10.0))
    old = await store.load(KEY, ())
    assert old is not None
    fresh = an_entry(shared=old.body, requested_mono=20.0, received_mono=2_000.0, lifetime_s=99.0)
    await stored(store, fresh)
    assert await body_of(old) == body
    new = await store.load(KEY, ())
    assert new is not None
    assert new is not old
    assert new.terms.lifetime_s == 99.0
    assert await body_of(new) == body


async def test_entries_go_when_there_is_no_more_room(directory: Path) -> None:
    store = a_store(directory, max_bytes=20 * 4096, max_entry_bytes=4096)
    await store.open()
    for number in range(50):
        await stored(store, an_entry(b"%d" % number))
        assert len(object_files(directory)) <= 20
    counted = store.statistics()
    assert counted.allocated_bytes <= 20 * 4096
    assert counted.entries + counted.evictions == 50
    assert counted.entries >= 15
    await store.wait_written()
    assert len(object_files(directory)) == counted.entries
    assert await store.load(b"49", ()) is not None
    assert await store.load(b"0", ()) is None
    await store.close()


@pytest.mark.slow
async def test_entries_go_when_others_fill_the_file_system(store: DiskStore, directory: Path) -> None:
    await stored(store, *(an_entry(b"%d" % number) for number in range(400)))
    store._shelf.settings = store.settings.model_copy(update={"min_free_bytes": 300 * 4096})
    store._shelf.measured(0)
    assert store._shelf._clearing is not None  # the rest goes in turns of the loop
    await store._shelf._clearing
    assert store.statistics().allocated_bytes <= 100 * 4096
    await store.wait_written()
    assert len(object_files(directory)) == store.statistics().entries
