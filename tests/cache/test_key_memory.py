from __future__ import annotations

import pytest

from proxy.cache.key_memory import KeyMemory
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.keys import cache_key
from proxy.policy.no_vary_search import DEFAULT, SearchVariance
from proxy.policy.sharing import Reason
from tests.origin.manual_clock import ManualClock
from tests.policy.heads import route


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys(clock: ManualClock) -> KeyMemory:
    return KeyMemory(clock=clock, max_keys=3)


def test_what_a_key_varies_on_is_as_last_seen(keys: KeyMemory) -> None:
    assert keys.varies_on(b"k") == ()
    keys.learn_varies_on(b"k", (b"x-lang",))
    keys.learn_varies_on(b"k", (b"accept-encoding",))
    assert keys.varies_on(b"k") == (b"accept-encoding",)
    keys.learn_varies_on(b"k", ())
    assert keys.varies_on(b"k") == ()


def test_a_mark_holds_for_its_time_for_its_variant(keys: KeyMemory, clock: ManualClock) -> None:
    keys.mark_not_shareable(b"k", (b"de",), Reason.PRIVATE, for_s=10.0)
    assert keys.not_shareable(b"k", (b"nl",)) is None
    clock.advance(9.99)
    assert keys.not_shareable(b"k", (b"de",)) is Reason.PRIVATE
    clock.advance(0.01)
    assert keys.not_shareable(b"k", (b"de",)) is None


def test_a_shareable_answer_clears_the_mark(keys: KeyMemory) -> None:
    keys.mark_not_shareable(b"k", (), Reason.NO_STORE, for_s=10.0)
    keys.clear_mark(b"k", ())
    keys.clear_mark(b"k", ())
    assert keys.not_shareable(b"k", ()) is None


def test_a_failed_connection_is_remembered_for_its_time(keys: KeyMemory, clock: ManualClock) -> None:
    keys.mark_unreachable(b"k", "refused", for_s=1.0)
    assert keys.unreachable(b"k") == "refused"
    clock.advance(1.0)
    assert keys.unreachable(b"k") is None


def test_a_purge_forgets_that_the_origin_could_not_be_reached(keys: KeyMemory) -> None:
    keys.mark_unreachable(b"k", "refused", for_s=1.0)
    keys.forget(b"k")
    assert keys.unreachable(b"k") is None


def test_no_time_means_no_mark(keys: KeyMemory) -> None:
    keys.mark_not_shareable(b"k", (), Reason.PRIVATE, for_s=0.0)
    keys.mark_unreachable(b"k", "refused", for_s=0.0)
    assert keys.not_shareable(b"k", ()) is None
    assert keys.unreachable(b"k") is None


def test_each_table_drops_its_least_recently_used_key_when_full(keys: KeyMemory) -> None:
    for number in range(3):
        keys.learn_varies_on(b"%d" % number, (b"x-lang",))
        keys.mark_not_shareable(b"%d" % number, (), Reason.PRIVATE, for_s=10.0)
        keys.mark_unreachable(b"%d" % number, "refused", for_s=10.0)
    keys.varies_on(b"0"), keys.not_shareable(b"0", ()), keys.unreachable(b"0")
    keys.learn_varies_on(b"new", (b"x-lang",))
    keys.mark_not_shareable(b"new", (), Reason.PRIVATE, for_s=10.0)
    keys.mark_unreachable(b"new", "refused", for_s=10.0)
    for key, kept in ((b"0", True), (b"1", False), (b"2", True), (b"new", True)):
        assert bool(keys.varies_on(key)) is kept
        assert (keys.not_shareable(key, ()) is not None) is kept
        assert (keys.unreachable(key) is not None) is kept


NO_UTM = SearchVariance(frozenset({"utm"}))


def key_of(target: bytes) -> bytes:
    return cache_key("r", RequestHead("GET", target, Fields(), authority=b"a"), route=route())


def test_targets_that_a_page_declares_equivalent_share_a_key(keys: KeyMemory) -> None:
    one, other, else_where = key_of(b"/a?x=1"), key_of(b"/a?x=1&utm=2"), key_of(b"/b?x=1")
    assert keys.under_search(other) == other
    keys.learn_search(one, NO_UTM)
    assert keys.under_search(one) == keys.under_search(other) == keys.glance_under_search(other) != other
    assert keys.under_search(else_where) == else_where
    keys.learn_search(other, DEFAULT)
    assert keys.under_search(other) == keys.glance_under_search(other) == other


def test_the_pages_of_which_a_variance_is_known_are_bounded(keys: KeyMemory) -> None:
    pages = [key_of(b"/%d?utm" % number) for number in range(4)]
    for key in pages:
        keys.learn_search(key, NO_UTM)
    assert keys.under_search(pages[0]) == pages[0]
    assert keys.under_search(pages[3]) != pages[3]


def test_a_mark_that_was_just_made_is_as_good_as_a_new_one(keys: KeyMemory, clock: ManualClock) -> None:
    for reason, later_s, ends_s in [
        (Reason.PRIVATE, 0.0, 10.0),
        (Reason.PRIVATE, 0.05, 9.95),  # within a hundredth of its time: left as it is
        (Reason.PRIVATE, 1.0, 10.0),
        (Reason.NO_STORE, 0.05, 10.0),
    ]:
        clock.advance(later_s)
        keys.mark_not_shareable(b"k", (), reason, for_s=10.0)
        assert keys.not_shareable(b"k", ()) is reason
        assert keys._not_shareable[b"k", ()][0] == pytest.approx(clock.mono() + ends_s)
