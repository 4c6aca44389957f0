from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.cache.cache import ResponseCache
from proxy.cache.disk import fill as fill_module
from proxy.cache.disk.directory import write_all
from proxy.cache.disk.store import DiskStore
from proxy.coalesce import keeping as keeping_module
from proxy.coalesce.body import READ_AHEAD_BYTES, SharedBody
from proxy.coalesce.keeping import Keeping
from proxy.config.settings import CacheSettings
from tests.cache.disk.entries import KEY, a_store, an_entry, body_of
from tests.origin.manual_clock import ManualClock

PIECE = bytes(range(256)) * 256  # 64 KiB
IN_MEMORY = 4 * len(PIECE)
WINDOW_BYTES = 2 * READ_AHEAD_BYTES


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    store = a_store(tmp_path / "disk", max_entry_bytes=100 * len(PIECE), promote_max_bytes=0)
    await store.open()
    yield store
    await store.close()


def a_cache(disk: DiskStore | None = None, **settings: int) -> ResponseCache:
    tier = CacheSettings.model_validate({"max_entry_bytes": IN_MEMORY, **settings})
    return ResponseCache(tier, clock=ManualClock(), disk=disk)


def a_body(expected_bytes: int | None = None) -> SharedBody:
    return SharedBody(expected_bytes, window_bytes=WINDOW_BYTES)


def kept(keeping: Keeping, body: SharedBody, pieces: int) -> int:
    """How many of so many pieces came before it was not kept any more."""
    for number in range(pieces):
        body.append(PIECE)
        if not keeping.keeps(PIECE):
            return number
    return pieces


async def filled(keeping: Keeping, body: SharedBody, pieces: int) -> None:
    for _ in range(pieces):
        body.append(PIECE)
        assert keeping.keeps(PIECE)
        assert await keeping.wait_room()


async def test_without_a_disk_what_is_too_large_for_memory_is_not_kept() -> None:
    body = a_body()
    keeping = Keeping(a_cache(), body)
    assert keeping.begin()
    assert kept(keeping, body, 5) == 4
    assert not Keeping(a_cache(), a_body(IN_MEMORY + 1)).begin()


async def test_the_budget_of_all_fills_is_taken_and_given_back() -> None:
    cache, body = a_cache(max_fill_bytes=2 * len(PIECE)), a_body()
    keeping = Keeping(cache, body)
    assert keeping.begin()
    assert kept(keeping, body, 3) == 2
    assert cache.fill_budget.taken_bytes == 2 * len(PIECE)
    keeping.end()
    assert cache.fill_budget.taken_bytes == 0


@pytest.mark.parametrize("expected_bytes", [None, 80 * len(PIECE)], ids=["grows", "is-known-to-be-large"])
async def test_what_is_too_large_for_memory_is_spooled_and_stored(
    store: DiskStore, expected_bytes: int | None
) -> None:
    cache, body = a_cache(store), a_body(expected_bytes)
    keeping = Keeping(cache, body)
    assert keeping.begin()
    await filled(keeping, body, 80)
    assert body.keeping
    body.finish()
    assert await keeping.commit(an_entry(shared=body), began=cache.fences.epoch, max_variants=8)
    assert body.held_bytes == 0
    assert await body_of(await store.load(KEY, ())) == PIECE * 80
    assert await body_of(an_entry(shared=body)) == PIECE * 80  # those who had joined read the same
    keeping.end()
    assert cache.fill_budget.taken_bytes == 0


async def test_no_more_than_a_window_of_it_is_in_memory(store: DiskStore) -> None:
    cache, body = a_cache(store), a_body(80 * len(PIECE))
    keeping = Keeping(cache, body)
    assert keeping.begin()
    held = 0
    for _ in range(80):
        body.append(PIECE)
        assert keeping.keeps(PIECE)
        held = max(held, body.held_bytes)
        assert await keeping.wait_room()
    assert held <= WINDOW_BYTES + 4 * len(PIECE)
    keeping.end()


async def test_what_is_too_large_for_the_disk_is_given_up(store: DiskStore) -> None:
    cache, body = a_cache(store), a_body()
    keeping = Keeping(cache, body)
    assert keeping.begin()
    reader = body.reader()
    assert kept(keeping, body, 101) == 100
    body.stop_keeping()
    keeping.give_up()
    body.finish()
    pieces = []
    while piece := await reader.read():
        pieces.append(piece)
    assert b"".join(pieces) == PIECE * 101
    assert store.statistics().too_large == 1
    keeping.end()


async def test_a_disk_that_is_slower_than_a_client_is_given_up(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def write_when_told(fd: int, pieces: list[bytes]) -> None:
        go_on.wait(10)
        write_all(fd, pieces)

    monkeypatch.setattr(fill_module, "write_all", write_when_told)
    monkeypatch.setattr(keeping_module, "PATIENCE_S", 0.01)
    cache, body = a_cache(store), a_body(80 * len(PIECE))
    keeping = Keeping(cache, body)
    assert keeping.begin()
    reader, number = body.reader(), 0
    body.append(PIECE)
    while keeping.keeps(PIECE) and await keeping.wait_room():
        assert await reader.read() == PIECE
        body.append(PIECE)
        number += 1
    assert WINDOW_BYTES * 3 // 4 // len(PIECE) <= number < WINDOW_BYTES // len(PIECE)
    assert store.statistics().queue_full == 1
    go_on.set()
    keeping.end()


async def test_a_disk_is_waited_for_while_no_client_waits(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Semaphore(0)

    def write_when_told(fd: int, pieces: list[bytes]) -> None:
        waiting.acquire(timeout=10)
        write_all(fd, pieces)

    monkeypatch.setattr(fill_module, "write_all", write_when_told)
    cache, body = a_cache(store), a_body(80 * len(PIECE))
    keeping = Keeping(cache, body)
    assert keeping.begin()
    for _ in range(80):
        body.append(PIECE)
        assert keeping.keeps(PIECE)
        if body.lags:
            waiting.release()
            assert await keeping.wait_room()
    waiting.release(80)
    body.finish()
    assert await keeping.commit(an_entry(shared=body), began=cache.fences.epoch, max_variants=8)
    keeping.end()
