"""What the disk tier counts, as its statistics tell it."""

from __future__ import annotations

from pathlib import Path

from proxy.cache.disk.statistics import Counters
from proxy.cache.disk.store import DiskStore
from tests.cache.disk.entries import KEY, an_entry, stored


def test_files_of_no_use_are_counted_by_reason() -> None:
    counters = Counters()
    for reason in ("torn", "torn", "foreign"):
        counters.drop(reason)
    assert counters.dropped == {"torn": 2, "foreign": 1}


async def test_an_empty_tier_is_at_rest(store: DiskStore, directory: Path) -> None:
    await store.wait_complete()
    now = store.statistics()
    assert (now.entries, now.allocated_bytes, now.stores, now.hits, now.misses) == (0, 0, 0, 0, 0)
    assert (now.index_complete, now.alarm, now.dropped) == (True, None, {})


async def test_stores_hits_and_misses_are_told_apart(store: DiskStore) -> None:
    await store.wait_complete()
    await stored(store, an_entry())
    assert await store.load(KEY, ()) is not None
    assert await store.load(b"nothing", ()) is None
    now = store.statistics()
    assert (now.entries, now.stores, now.hits, now.misses) == (1, 1, 1, 1)
    assert 0 < now.allocated_bytes <= now.max_bytes
