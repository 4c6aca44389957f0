"""What is remembered of sliced URLs: for a time, and no more than the bound."""

from __future__ import annotations

from proxy.coalesce.slice_memory import Known, SliceMemory
from proxy.policy.partial import Representation
from tests.origin.manual_clock import ManualClock


def known(key: bytes, number: int = 0) -> Known:
    return Known(key, (), Representation(b'"1"', 10), b"label of " + key, 1.0, number)


def test_a_url_is_fetched_whole_for_some_time() -> None:
    clock = ManualClock()
    memory = SliceMemory(clock=clock, max_keys=10)
    assert not memory.is_whole(b"a")
    memory.mark_whole(b"a", for_s=60.0)
    assert memory.is_whole(b"a")
    assert not memory.is_whole(b"b")
    clock.advance(60)
    assert not memory.is_whole(b"a")


def test_the_newest_representation_is_remembered_for_each_variant() -> None:
    memory = SliceMemory(clock=ManualClock(), max_keys=10)
    memory.learn(known(b"a"))
    memory.learn(known(b"a", 3))
    assert memory.current(b"a", ()) == known(b"a", 3)
    assert memory.current(b"a", (b"gzip",)) is None
    memory.forget(b"a", ())
    memory.forget(b"a", ())
    assert memory.current(b"a", ()) is None


def test_every_table_is_bounded() -> None:
    memory = SliceMemory(clock=ManualClock(), max_keys=2)
    for key in (b"a", b"b", b"c"):
        memory.mark_whole(key, for_s=60.0)
        memory.learn(known(key))
        memory.begin(key, 1)
    assert [memory.is_whole(key) for key in (b"a", b"b", b"c")] == [False, True, True]
    assert [memory.begun(key) for key in (b"a", b"b", b"c")] == [None, 1, 1]
    assert memory.current(b"a", ()) is None
