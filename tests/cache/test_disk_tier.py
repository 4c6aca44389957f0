"""The disk tier behind the response cache: one reading for all who ask, and no purge is crossed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.cache.disk.store import DiskStore
from proxy.cache.disk_tier import DiskTier
from proxy.cache.entry import Entry
from proxy.cache.fences import Fences
from proxy.cache.purge_count import PurgeCount
from proxy.config.settings import DiskSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from tests.cache.stored import entry as an_entry
from tests.origin.manual_clock import ManualClock
from tests.origin.waiting import until

REQUEST = RequestHead("GET", b"/a", Fields())


class Shelf:
    """A tier over a directory, and what it took in."""

    def __init__(self, store: DiskStore) -> None:
        self.store = store
        self.fences = Fences()
        self.taken: list[Entry] = []
        self.tier = DiskTier(store, fences=self.fences, take_in=self.taken.append)

    async def put(self, entry: Entry) -> None:
        assert self.tier.put(entry, max_variants=4)
        await self.store.wait_written()


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    settings = DiskSettings(directory=tmp_path, max_bytes=2**20, max_entry_bytes=2**18, min_free_bytes=0)
    store = DiskStore(settings, clock=ManualClock())
    await store.open()
    await store.wait_complete()
    yield Shelf(store)
    await store.close()


async def test_what_was_put_is_recalled(shelf: Shelf) -> None:
    entry = an_entry()
    await shelf.put(entry)
    assert shelf.tier.may_have(entry.key, entry.variant)
    await shelf.tier.recall(entry.key, entry.variant, REQUEST)
    assert [b"".join(found.body.pieces) for found in shelf.taken] == [b"".join(entry.body.pieces)]


async def test_what_was_never_put_is_not_worth_the_wait(shelf: Shelf) -> None:
    assert not shelf.tier.may_have(b"nothing", ())


async def test_all_who_ask_at_a_time_share_one_recall(shelf: Shelf) -> None:
    entry = an_entry()
    await shelf.put(entry)
    await asyncio.gather(*(shelf.tier.recall(entry.key, entry.variant, REQUEST) for _ in range(20)))
    assert len({id(entry) for entry in shelf.taken}) == 1


async def test_who_leaves_does_not_end_the_recall_for_others(shelf: Shelf) -> None:
    entry = an_entry()
    await shelf.put(entry)
    leaving = asyncio.ensure_future(shelf.tier.recall(entry.key, entry.variant, REQUEST))
    staying = asyncio.ensure_future(shelf.tier.recall(entry.key, entry.variant, REQUEST))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert len({id(entry) for entry in shelf.taken}) == 1


async def test_a_purge_while_it_is_read_keeps_it_out(shelf: Shelf) -> None:
    entry = an_entry()
    await shelf.put(entry)
    recalling = asyncio.ensure_future(shelf.tier.recall(entry.key, entry.variant, REQUEST))
    await until(lambda: shelf.fences._running)
    shelf.fences.raise_fence(lambda key, _labels: key == entry.key)
    await recalling
    assert shelf.taken == []


async def test_what_was_discarded_is_gone_for_good(shelf: Shelf) -> None:
    entry = an_entry()
    await shelf.put(entry)
    shelf.tier.discard(entry)
    await shelf.tier.durable()
    await shelf.tier.recall(entry.key, entry.variant, REQUEST)
    assert shelf.taken == []


async def test_a_purge_by_key_holds_at_once(shelf: Shelf) -> None:
    entry = an_entry()
    await shelf.put(entry)
    shelf.tier.purge_key(entry.key, soft=False, count=PurgeCount(both=True))
    await shelf.tier.recall(entry.key, entry.variant, REQUEST)
    assert shelf.taken == []


async def test_a_purge_by_a_function_holds_at_once(shelf: Shelf) -> None:
    entry = an_entry()
    await shelf.put(entry)
    shelf.tier.purge_where(lambda key, _labels: key == entry.key, soft=False, count=PurgeCount(both=True))
    await shelf.tier.recall(entry.key, entry.variant, REQUEST)
    assert shelf.taken == []


async def test_who_waited_for_a_recall_finds_it_however_small_memory_is(shelf: Shelf) -> None:
    entry = an_entry()
    await shelf.put(entry)
    waiting = [shelf.tier.recall(entry.key, entry.variant, REQUEST) for _ in range(2)]
    for recalling in [asyncio.ensure_future(one) for one in waiting]:
        await recalling
        assert shelf.taken.pop().key == entry.key  # taken in, and driven out by others


async def test_what_the_kernel_has_at_hand_is_recalled_in_one_step(shelf: Shelf) -> None:
    entry = an_entry()
    await shelf.put(entry)
    await shelf.tier.recall(entry.key, entry.variant, REQUEST)
    shelf.taken.clear()
    shelf.tier.recall_nowait(entry.key, entry.variant)
    shelf.tier.recall_nowait(b"nothing", ())
    if not shelf.taken:
        pytest.skip("kernel or file system cannot read without waiting")
    (found,) = shelf.taken
    assert b"".join(found.body.pieces) == b"".join(entry.body.pieces)
