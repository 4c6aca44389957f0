"""Objects on disk stay within their room, and what is taken out is unlinked in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.cache.disk.index import Indexed
from proxy.cache.disk.place import Place
from proxy.cache.disk.shelf import Shelf
from tests.cache.disk.entries import BOOT, disk_settings
from tests.origin.manual_clock import ManualClock
from tests.origin.waiting import until


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    settings = disk_settings(tmp_path, max_bytes=1000, max_entry_bytes=500)
    shelf = Shelf(settings, clock=ManualClock(), boot=BOOT)
    shelf.directory.acquire()
    yield shelf
    await shelf.jobs.close()
    shelf.directory.release()


def item(number: int, size: int = 100, *, variant: int = 0, varies_on: tuple[bytes, ...] = ()) -> Indexed:
    place = Place(bytes([number]) * 16, variant)
    return Indexed(place, size, epoch=0, fingerprint=0, varies_on=varies_on, requested_mono=1.0)


async def test_room_that_is_reserved_is_made(shelf: Shelf) -> None:
    for number in range(10):
        shelf.admit(item(number), max_variants=8)
    assert shelf.reserve(250)
    assert shelf.index.allocated_bytes + shelf.reserved_bytes <= 1000
    assert shelf.counters.evictions == 3
    shelf.release(250)
    assert shelf.reserved_bytes == 0


async def test_more_than_there_is_cannot_be_reserved(shelf: Shelf) -> None:
    shelf.admit(item(1), max_variants=8)
    assert not shelf.reserve(1001)
    assert (len(shelf.index), shelf.reserved_bytes) == (1, 0)


async def test_where_others_fill_the_file_system_there_is_less_room(shelf: Shelf) -> None:
    for number in range(10):
        shelf.admit(item(number), max_variants=8)
    shelf.settings = shelf.settings.model_copy(update={"min_free_bytes": 700})
    shelf.measured(free_bytes=200)  # of 1,000 octets that are ours 500 have to go
    assert (shelf.limit_bytes, shelf.index.allocated_bytes) == (500, 500)
    shelf.measured(free_bytes=10_000)
    assert shelf.limit_bytes == 1000


async def test_of_too_many_variants_the_oldest_go(shelf: Shelf) -> None:
    for variant in range(1, 5):
        shelf.admit(item(1, 10, variant=variant, varies_on=(b"accept",)), max_variants=2)
    left = {found.place.variant_digest for found in shelf.index.of_key(bytes([1]) * 16)}
    assert left == {3, 4}


async def test_variants_chosen_by_other_fields_go(shelf: Shelf) -> None:
    shelf.admit(item(1, variant=1, varies_on=(b"accept",)), max_variants=8)
    shelf.admit(item(1, variant=2, varies_on=(b"cookie",)), max_variants=8)
    assert [found.varies_on for found in shelf.index.of_key(bytes([1]) * 16)] == [(b"cookie",)]


async def test_what_waits_to_be_unlinked_is_known_until_it_is(shelf: Shelf) -> None:
    found = item(1)
    shelf.admit(found, max_variants=8)
    assert shelf.remove(found.place)
    assert not shelf.remove(item(2).place)
    assert shelf.is_doomed(found.place)
    await until(lambda: not shelf.is_doomed(found.place))


async def test_a_disk_that_is_full_is_made_emptier(shelf: Shelf) -> None:
    for number in range(10):
        shelf.admit(item(number), max_variants=8)
    shelf.write_failed(OSError(28, "No space left on device"))
    await until(lambda: shelf.counters.evictions > 0)
    assert not shelf.writes.usable
