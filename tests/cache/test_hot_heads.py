from __future__ import annotations

from proxy.cache.entry import Entry
from proxy.cache.hot_heads import MEMO_BYTES, HotHeads
from tests.cache.stored import entry


def _stored(number: int) -> Entry:
    one = entry(b"k%d" % number)
    one.in_memory = True
    return one


def test_an_entry_that_is_asked_for_again_has_its_memo_still() -> None:
    hot = HotHeads(max_bytes=2 * MEMO_BYTES)
    one = _stored(0)
    assert hot.memo_of(one) is hot.memo_of(one)
    assert len(hot) == 1


def test_the_oldest_memo_goes_when_there_is_no_room() -> None:
    hot = HotHeads(max_bytes=2 * MEMO_BYTES)
    first, second, third = (_stored(number) for number in range(3))
    old = hot.memo_of(first)
    hot.memo_of(second)
    hot.memo_of(third)
    assert first.memo is None
    assert None not in (second.memo, third.memo)
    assert hot.memo_of(first) is not old
    assert len(hot) == 2


def test_a_memo_that_a_flight_made_counts_from_when_it_is_stored() -> None:
    hot = HotHeads(max_bytes=MEMO_BYTES)
    one, other = _stored(0), _stored(1)
    one.in_memory = False
    memo = hot.memo_of(one)
    assert len(hot) == 0
    one.in_memory = True
    hot.add(one)
    assert hot.memo_of(one) is memo
    hot.memo_of(other)
    assert one.memo is None


def test_a_memo_larger_than_all_room_is_used_once() -> None:
    hot = HotHeads(max_bytes=MEMO_BYTES - 1)
    one = _stored(0)
    assert hot.memo_of(one) is not None
    assert (one.memo, len(hot)) == (None, 0)


def test_nothing_is_left_of_what_is_gone() -> None:
    hot = HotHeads(max_bytes=10 * MEMO_BYTES)
    gone, cleared = _stored(0), _stored(1)
    hot.memo_of(gone)
    hot.memo_of(cleared)
    hot.discard(gone)
    hot.discard(gone)
    assert (gone.memo, len(hot)) == (None, 1)
    hot.clear()
    assert repr(hot) == "<HotHeads 0 heads, 0 bytes>"
