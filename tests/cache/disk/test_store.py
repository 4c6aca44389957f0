from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.cache.disk.layout import Unusable
from proxy.cache.disk.statistics import DiskStatistics
from proxy.cache.disk.store import DiskStore
from proxy.errors import ConfigError
from tests.cache.disk.entries import KEY, a_store, an_entry, body_of, stored
from tests.origin.manual_clock import ManualClock


async def test_a_second_store_on_one_directory_is_refused(store: DiskStore, directory: Path) -> None:
    second = a_store(directory)
    with pytest.raises(ConfigError, match="another Lockgate uses"):
        await second.open()
    await stored(store, an_entry())
    assert await store.load(KEY, ()) is not None


async def test_a_closed_store_stores_and_finds_nothing(directory: Path) -> None:
    store = a_store(directory)
    await store.open()
    await stored(store, an_entry())
    await store.close()
    await store.close()
    assert await store.load(KEY, ()) is None
    assert not store.put(an_entry(), max_variants=8)
    assert store.begin() is None


async def test_what_is_queued_is_written_before_it_closes(directory: Path) -> None:
    store = a_store(directory)
    await store.open()
    for number in range(200):
        assert store.put(an_entry(b"%d" % number), max_variants=8)
    await store.close()
    again = a_store(directory)
    await again.open()
    await again.wait_complete()
    assert again.statistics().entries == 200
    await again.close()


async def test_ages_go_on_over_a_restart(directory: Path, clock: ManualClock) -> None:
    store = a_store(directory, clock=clock)
    await store.open()
    entry = an_entry(received_mono=clock.mono(), received_at=clock.now())
    await stored(store, entry)
    await store.close()
    clock.advance(30)
    again = a_store(directory, clock=clock)
    await again.open()
    read = await again.load(KEY, ())
    assert read is not None
    assert read.current_age_s(clock.mono()) == entry.initial_age_s + 30
    await again.close()
    rebooted = a_store(directory, clock=ManualClock(now=clock.now() + 20, mono=5.0), boot=b"another.")
    await rebooted.open()
    read = await rebooted.load(KEY, ())
    assert read is not None
    assert read.current_age_s(5.0) == entry.initial_age_s + 50
    assert not read.purged_softly
    await rebooted.close()


async def test_counters_add_up(store: DiskStore) -> None:
    entries = [an_entry(b"%d" % number, b"x" * 100 * number) for number in range(30)]
    await stored(store, *entries)
    for number in range(40):
        assert (await store.load(b"%d" % number, ()) is not None) == (number < 30)
    counted = store.statistics()
    assert isinstance(counted, DiskStatistics)
    assert (counted.hits, counted.misses, counted.stores, counted.entries) == (30, 10, 30, 30)
    assert counted.open_files == sum(entry.body.received_bytes > 1000 for entry in entries)
    assert (counted.queued_jobs, counted.queued_bytes, counted.reserved_bytes) == (0, 0, 0)


@pytest.mark.slow
async def test_readers_and_writers_of_one_place_never_see_a_mixture(store: DiskStore) -> None:
    """Every body is one octet repeated: a mixture would show."""
    seen: set[bytes] = set()

    async def write() -> None:
        for number in range(100):
            body = bytes([number]) * (300_000 if number % 2 else 500)
            assert store.put(an_entry(body=body, requested_mono=float(number)), max_variants=8)
            await store.wait_written()

    async def read() -> None:
        while not writing.done():
            await asyncio.sleep(0)  # where nothing is found, nothing waits
            body = await body_of(await store.load(KEY, ()))
            if body:
                assert len(body) in (500, 300_000)
                assert body == body[:1] * len(body)
                seen.add(body[:1])

    writing = asyncio.ensure_future(write())
    await asyncio.gather(writing, read(), read())
    assert len(seen) > 10


async def test_what_was_being_written_when_a_process_was_killed_is_removed_and_counted(
    directory: Path,
) -> None:
    store = a_store(directory)
    await store.open()
    await store.close()
    (directory / "parts" / "7.part").write_bytes(b"half of a body")
    again = a_store(directory)
    await again.open()
    assert again.statistics().dropped == {Unusable.UNFINISHED: 1}
    assert list((directory / "parts").iterdir()) == []
    await again.close()
