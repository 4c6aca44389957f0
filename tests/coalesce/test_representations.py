"""Of two representations that meet the older one is dropped, once."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.cache.cache import ResponseCache
from proxy.coalesce.representations import Representations
from proxy.coalesce.slice_memory import Known, SliceMemory
from proxy.config.settings import CacheSettings
from proxy.policy.partial import Representation
from proxy.policy.purges import PurgeKind
from tests.origin.manual_clock import ManualClock


def known(validator: bytes, asked_mono: float, **rest: Any) -> Known:
    representation = Representation(validator, 10)
    return Known(b"key", (), representation, b"slice, " + validator, asked_mono, rest.get("number", 0))


@pytest.fixture
def cache() -> ResponseCache:
    return ResponseCache(CacheSettings(), clock=ManualClock())


@pytest.fixture
def newest(cache: ResponseCache) -> Representations:
    return Representations(cache, SliceMemory(clock=cache.clock, max_keys=10))


def dropped(cache: ResponseCache) -> int:
    return cache.purge_statistics().purges[PurgeKind.INVALIDATION]


def test_slices_of_one_representation_drop_nothing(cache: ResponseCache, newest: Representations) -> None:
    assert newest.notice(known(b'"1"', 1.0)) == known(b'"1"', 1.0)
    assert newest.notice(known(b'"1"', 3.0)) == known(b'"1"', 3.0)
    assert newest.notice(known(b'"1"', 2.0)) == known(b'"1"', 3.0), "the newest word on it counts"
    assert dropped(cache) == 0


def test_what_was_asked_for_later_takes_the_place_of_the_older(
    cache: ResponseCache, newest: Representations
) -> None:
    newest.notice(known(b'"1"', 1.0))
    assert newest.notice(known(b'"2"', 2.0)) == known(b'"2"', 2.0)
    assert newest.current(b"key", ()) == known(b'"2"', 2.0)
    assert dropped(cache) == 1


def test_what_was_asked_for_earlier_is_dropped_when_it_is_met(
    cache: ResponseCache, newest: Representations
) -> None:
    newest.notice(known(b'"2"', 2.0))
    assert newest.notice(known(b'"1"', 1.0)) is None
    assert newest.current(b"key", ()) == known(b'"2"', 2.0)
    assert dropped(cache) == 1


def test_what_is_superseded_is_dropped_once_however_many_answers_find_it_out(
    cache: ResponseCache, newest: Representations
) -> None:
    newest.notice(known(b'"1"', 1.0))
    newest.superseded(known(b'"1"', 1.0))
    newest.notice(known(b'"2"', 2.0))
    for _ in range(3):
        newest.superseded(known(b'"1"', 1.0))
    assert newest.current(b"key", ()) == known(b'"2"', 2.0)
    assert dropped(cache) == 1


def test_dropping_fences_what_is_on_its_way(cache: ResponseCache, newest: Representations) -> None:
    began = cache.fences.enter()
    newest.drop(known(b'"1"', 1.0))
    assert cache.fences.crossed(began, b"other key", frozenset({b'slice, "1"'}))
    assert not cache.fences.crossed(began, b"other key", frozenset({b'slice, "2"'}))
