"""Who owns a key: the same everywhere, evenly spread, and moved by a death only where it must."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.peers.order import order_of


def test_the_order_is_the_same_in_every_process_and_release() -> None:
    """Workers of one generation run the same code; who changes it turns all caches cold."""
    assert [order_of(b"key%d" % n, 4) for n in range(4)] == [
        (2, 1, 3, 0),
        (2, 1, 3, 0),
        (3, 2, 0, 1),
        (0, 3, 1, 2),
    ]


@given(key=st.binary(max_size=40), slots=st.integers(1, 16))
def test_every_slot_is_in_it_once(key: bytes, slots: int) -> None:
    assert sorted(order_of(key, slots)) == list(range(slots))


@given(key=st.binary(max_size=40), slots=st.integers(2, 16))
def test_one_slot_more_changes_the_order_of_the_others_nowhere(key: bytes, slots: int) -> None:
    assert tuple(slot for slot in order_of(key, slots) if slot != slots - 1) == order_of(key, slots - 1)


def test_keys_and_what_a_death_leaves_are_spread_evenly() -> None:
    orders = [order_of(b"/segment%d" % n, 4) for n in range(8000)]
    owned = Counter(order[0] for order in orders)
    assert all(1800 < owned[slot] < 2200 for slot in range(4))
    heirs = Counter(order[1] for order in orders if order[0] == 0)
    assert all(500 < heirs[slot] < 840 for slot in (1, 2, 3))
