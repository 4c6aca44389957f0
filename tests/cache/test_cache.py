from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.cache.cache import ResponseCache
from proxy.config.settings import CacheSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.sharing import Reason
from tests.cache.stored import entry
from tests.origin.manual_clock import ManualClock

GERMAN = RequestHead("GET", b"/", Fields([(b"X-Lang", b"de")]))
TAGGED = frozenset({b"t"})

Purge = Callable[[ResponseCache], int]
PURGES: dict[str, Purge] = {
    "by-key": lambda cache: cache.purge(b"key"),
    "by-tag": lambda cache: cache.purge_where(lambda _key, tags: b"t" in tags),
    "by-pattern": lambda cache: cache.purge_where(lambda key, _tags: key.startswith(b"k")),
    "all": lambda cache: cache.purge_all(),
}
SOFT_PURGES: dict[str, Purge] = {
    "by-key": lambda cache: cache.purge(b"key", soft=True),
    "by-tag": lambda cache: cache.purge_where(lambda _key, tags: b"t" in tags, soft=True),
    "all": lambda cache: cache.purge_all(soft=True),
}


@pytest.fixture
def cache() -> ResponseCache:
    return ResponseCache(CacheSettings(), clock=ManualClock())


def test_storing_teaches_what_the_key_varies_on_and_clears_its_mark(cache: ResponseCache) -> None:
    cache.keys.mark_not_shareable(b"key", (b"de",), Reason.PRIVATE, for_s=10.0)
    german = entry(variant=(b"de",))
    assert cache.store(german, began=cache.fences.enter(), max_variants=4)
    assert cache.variant_of(b"key", GERMAN) == (b"de",)
    assert cache.get(b"key", (b"de",)) is german
    assert cache.keys.not_shareable(b"key", (b"de",)) is None


def test_an_older_answer_teaches_nothing(cache: ResponseCache) -> None:
    began = cache.fences.enter()
    cache.store(entry(variant=(b"de",), requested_mono=11.0), began=began, max_variants=4)
    assert not cache.store(entry(requested_mono=10.0), began=began, max_variants=4)
    assert cache.variant_of(b"key", GERMAN) == (b"de",)


@pytest.mark.parametrize("name", PURGES)
def test_a_purge_removes_what_is_stored_and_bars_what_is_on_its_way(cache: ResponseCache, name: str) -> None:
    began = cache.fences.enter()
    cache.store(entry(tags=TAGGED), began=began, max_variants=4)
    assert PURGES[name](cache) == 1
    assert cache.get(b"key", ()) is None
    assert not cache.store(entry(tags=TAGGED), began=began, max_variants=4)
    assert cache.store(entry(tags=TAGGED), began=cache.fences.enter(), max_variants=4)


@pytest.mark.parametrize("name", SOFT_PURGES)
def test_a_soft_purge_makes_stale_what_is_stored_and_bars_what_is_on_its_way(
    cache: ResponseCache, name: str
) -> None:
    began = cache.fences.enter()
    one = entry(tags=TAGGED)
    cache.store(one, began=began, max_variants=4)
    assert SOFT_PURGES[name](cache) == 1
    assert cache.get(b"key", ()) is one
    assert one.ttl_s(1_000.0) < 0
    assert not cache.store(entry(tags=TAGGED), began=began, max_variants=4)


def test_a_purge_leaves_the_rest(cache: ResponseCache) -> None:
    began = cache.fences.enter()
    other = entry(b"other")
    cache.store(other, began=began, max_variants=4)
    assert cache.purge(b"key") == 0
    assert cache.purge_where(lambda _key, tags: b"t" in tags) == 0
    assert cache.get(b"other", ()) is other
    assert cache.store(entry(b"other"), began=began, max_variants=4)


def test_discarding_takes_that_entry_and_no_younger_one(cache: ResponseCache) -> None:
    began = cache.fences.enter()
    old, young = entry(requested_mono=1.0), entry(requested_mono=2.0)
    cache.store(old, began=began, max_variants=4)
    cache.store(young, began=began, max_variants=4)
    cache.discard(old)
    assert cache.get(b"key", ()) is young
    cache.discard(young)
    assert cache.get(b"key", ()) is None
