"""Purges of many: at once for those who look, in slices for the loop."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from proxy.cache import purging as module
from proxy.cache.cache import ResponseCache
from proxy.cache.purging import MAX_PENDING, SLICE
from proxy.config.settings import CacheSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.keys import CacheKey, cache_key
from proxy.policy.purges import Coverage, Everything, Matching, PurgeKind, Tagged
from tests.cache.stored import entry
from tests.origin.manual_clock import ManualClock
from tests.policy.heads import route

TAG = frozenset({b"t"})
MANY = 4 * SLICE
ROUTE = route()

COVERAGES: dict[str, Coverage] = {
    "tag": Tagged(TAG),
    "pattern": Matching(re.compile(b"^https://a/")),
    "everything": Everything(),
}


def _key(number: int) -> CacheKey:
    head = RequestHead("GET", b"/%d" % number, Fields(), authority=b"a")
    return cache_key("r", head, route=ROUTE)


def _filled(count: int, *, clock: ManualClock | None = None) -> ResponseCache:
    cache = ResponseCache(CacheSettings(max_bytes=2**30), clock=clock or ManualClock())
    one = entry(size=1, tags=TAG)
    for number in range(count):
        assert cache.store(replace(one, key=_key(number)), began=cache.fences.epoch, max_variants=1)
    return cache


def _entries(cache: ResponseCache) -> int:
    return cache.statistics().entries


@pytest.fixture(params=COVERAGES)
def coverage(request: pytest.FixtureRequest) -> Coverage:
    return COVERAGES[request.param]


async def test_a_purge_holds_before_any_of_it_is_removed(coverage: Coverage) -> None:
    cache = _filled(MANY)
    receipt = cache.begin_purge(coverage)
    assert (receipt.done, _entries(cache)) == (False, MANY)
    assert cache.get(_key(0), ()) is None
    assert cache.get(_key(MANY - 1), ()) is None
    assert cache.glance().get(_key(5), ()) is None
    assert await receipt.swept() == MANY
    assert _entries(cache) == 0
    assert cache.purge_statistics().entries == MANY


async def test_a_soft_purge_makes_stale_before_the_sweep_comes_by(coverage: Coverage) -> None:
    clock = ManualClock()
    cache = _filled(MANY, clock=clock)
    receipt = cache.begin_purge(coverage, soft=True)
    found = cache.get(_key(0), ())
    assert found is not None
    assert found.purged_softly
    clock.advance(7)
    assert found.ttl_s(clock.mono()) == -7
    assert await receipt.swept() == MANY
    assert _entries(cache) == MANY
    untouched = cache.get(_key(9), ())
    assert untouched is not None
    assert untouched.purged_softly


async def test_what_is_stored_after_a_purge_is_kept(coverage: Coverage) -> None:
    cache = _filled(MANY)
    receipt = cache.begin_purge(coverage)
    new = entry(_key(3), tags=TAG, requested_mono=2_000.0)
    assert cache.store(new, began=cache.fences.enter(), max_variants=1)
    assert cache.get(_key(3), ()) is new
    assert await receipt.swept() == MANY - 1
    assert cache.get(_key(3), ()) is new
    assert _entries(cache) == 1


async def test_several_purges_are_swept_together_and_each_entry_counts_once() -> None:
    cache = _filled(MANY)
    receipts = [cache.begin_purge(coverage) for coverage in COVERAGES.values()]
    assert cache.purge_statistics().pending == len(COVERAGES)
    assert sum([await receipt.swept() for receipt in receipts]) == MANY
    statistics = cache.purge_statistics()
    assert (statistics.entries, statistics.pending) == (MANY, 0)
    assert [statistics.purges[kind] for kind in (PurgeKind.TAG, PurgeKind.PATTERN)] == [1, 1]


async def test_a_hard_purge_after_a_soft_one_removes_what_that_left() -> None:
    cache = _filled(MANY)
    soft = cache.begin_purge(Everything(), soft=True)
    hard = cache.begin_purge(Tagged(TAG))
    assert cache.get(_key(0), ()) is None
    await soft.swept()
    assert await hard.swept() == MANY
    assert _entries(cache) == 0


async def test_an_entry_is_compared_with_a_pending_purge_once() -> None:
    cache = _filled(MANY)
    asked = 0

    def covers(_key: CacheKey, _labels: frozenset[bytes]) -> bool:
        nonlocal asked
        asked += 1
        return False

    cache.purge_where(covers)
    receipt = cache.begin_purge(Tagged(frozenset({b"none"})), soft=True)
    assert receipt.done
    for _ in range(10):
        assert cache.get(_key(1), ()) is not None
    assert asked == 1
    last = cache.begin_purge(Everything(), soft=True)
    await last.swept()
    assert asked == MANY
    assert _entries(cache) == MANY


async def test_a_few_are_removed_in_the_step_itself(coverage: Coverage) -> None:
    cache = _filled(SLICE)
    receipt = cache.begin_purge(coverage)
    assert (receipt.done, receipt.entries, _entries(cache)) == (True, SLICE, 0)


async def test_too_many_purges_at_a_time_hold_the_loop_up_and_hold(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SLICE", 1)
    cache = _filled(3)
    receipts = [cache.begin_purge(Everything(), soft=True) for _ in range(MAX_PENDING)]
    last = cache.begin_purge(Everything())
    assert (last.done, _entries(cache)) == (True, 0)
    assert "purge_swept_at_once entries=3" in caplog.text
    for receipt in receipts:
        await receipt.swept()


async def test_at_the_end_nobody_waits_for_a_sweep_for_ever() -> None:
    cache = _filled(MANY)
    receipt = cache.begin_purge(Everything())
    waiting = asyncio.get_running_loop().create_task(receipt.swept())
    await asyncio.sleep(0)
    cache.close()
    assert await waiting < MANY


async def _longest_gap_s(cache: ResponseCache, purge: Callable[[], module.PurgeReceipt]) -> float:
    """The longest that the loop's other work had to wait, the step of the purge itself included."""
    longest_s, last = 0.0, time.perf_counter()
    receipt = purge()
    while not receipt.done:
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest_s, last = max(longest_s, now - last), now
    return longest_s


@pytest.mark.slow
@pytest.mark.parametrize("coverage", [COVERAGES["tag"], COVERAGES["pattern"]], ids=["tag", "pattern"])
async def test_100_000_entries_are_purged_without_stopping_the_loop(coverage: Coverage) -> None:
    cache = _filled(100_000)
    longest_s = await _longest_gap_s(cache, lambda: cache.begin_purge(coverage))
    assert _entries(cache) == 0
    assert longest_s < 0.1  # 10 ms on a quiet machine, as `loadtest.bench.purge` measures; this one is not
