from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache import entry as stored_entry
from proxy.cache.entry import Entry
from proxy.cache.memory import MemoryStore
from proxy.config.settings import EvictionPolicy
from proxy.http.fields import PackedFields
from tests.cache.stored import entry

ONE = entry(b"k0", size=1_000).size_bytes()


def _store(
    *, room_for: int = 3, policy: EvictionPolicy = EvictionPolicy.LRU, max_entry_bytes: int = 10_000
) -> MemoryStore:
    return MemoryStore(max_bytes=room_for * ONE, max_entry_bytes=max_entry_bytes, policy=policy)


def _fill(store: MemoryStore, *names: bytes, size: int = 1_000) -> None:
    for name in names:
        assert store.put(entry(name, size=size), max_variants=4)


def _keys(store: MemoryStore) -> set[bytes]:
    return {one.key for one in store}


def test_what_was_put_is_found_under_its_key_and_variant() -> None:
    store = _store()
    german = entry(b"k0", (b"de",))
    store.put(german, max_variants=4)
    assert store.get(b"k0", (b"de",)) is german
    assert store.get(b"k0", (b"nl",)) is None
    assert store.get(b"k1", (b"de",)) is None


def _use_the_first(store: MemoryStore) -> None:
    store.get(b"k0", ())


@pytest.mark.parametrize(
    ("policy", "use", "gone"),
    [
        pytest.param(EvictionPolicy.LRU, _use_the_first, b"k1", id="lru-the-least-recently-used"),
        pytest.param(EvictionPolicy.LFU, _use_the_first, b"k1", id="lfu-the-least-often-used"),
        pytest.param(EvictionPolicy.FIFO, _use_the_first, b"k0", id="fifo-the-oldest-used-or-not"),
    ],
)
def test_when_full_it_lets_go_what_its_policy_says(
    policy: EvictionPolicy, use: Callable[[MemoryStore], None], gone: bytes
) -> None:
    store = _store(policy=policy)
    _fill(store, b"k0", b"k1", b"k2")
    use(store)
    if policy is EvictionPolicy.LFU:
        store.get(b"k2", ())
    _fill(store, b"k3")
    assert _keys(store) == {b"k0", b"k1", b"k2", b"k3"} - {gone}
    assert store.statistics().evictions == 1


def test_at_random_one_of_them_goes() -> None:
    store = _store(policy=EvictionPolicy.RANDOM)
    _fill(store, b"k0", b"k1", b"k2", b"k3")
    assert len(store) == 3


@pytest.mark.parametrize("look", [list, lambda store: store.variants(b"k0")], ids=["all", "variants"])
def test_looking_through_entries_counts_as_no_use(look: Callable[[MemoryStore], list[Entry]]) -> None:
    store = _store()
    _fill(store, b"k0", b"k1", b"k2")
    store.get(b"k1", ())
    look(store)
    _fill(store, b"k3")
    assert b"k0" not in _keys(store)
    assert b"k1" in _keys(store)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([(), (b"de",), (b"nl",)]), st.integers(0, 4_000)),
        max_size=40,
    ),
    st.sampled_from(EvictionPolicy),
)
def test_it_never_holds_more_than_it_may_and_its_index_is_in_step(
    puts: list[tuple[int, tuple[bytes, ...], int]], policy: EvictionPolicy
) -> None:
    store = _store(policy=policy, max_entry_bytes=3_000)
    for number, variant, size in puts:
        store.put(entry(b"k%d" % number, variant, size=size), max_variants=2)
        assert store.statistics().stored_bytes == sum(one.size_bytes() for one in store) <= 3 * ONE
    for number in range(6):
        found = store.variants(b"k%d" % number)
        assert found == [one for one in found if store.get(one.key, one.variant) is one]
        assert len(found) <= 2
    assert len(store) == sum(len(store.variants(b"k%d" % number)) for number in range(6))


def test_a_body_above_the_limit_is_not_stored_and_what_it_would_have_replaced_goes() -> None:
    store = _store(max_entry_bytes=2_000)
    _fill(store, b"k0")
    assert not store.put(entry(b"k0", size=2_001), max_variants=4)
    assert store.get(b"k0", ()) is None
    assert store.statistics().too_large == 1


def test_a_key_keeps_its_youngest_variants() -> None:
    store = _store(room_for=10)
    for lang in (b"de", b"nl", b"fr"):
        store.put(entry(b"k0", (lang,)), max_variants=2)
    assert [one.variant for one in store.variants(b"k0")] == [(b"nl",), (b"fr",)]


def test_a_variant_that_is_put_again_is_the_youngest() -> None:
    store = _store(room_for=10)
    for lang in (b"de", b"nl", b"de", b"fr"):
        store.put(entry(b"k0", (lang,)), max_variants=2)
    assert [one.variant for one in store.variants(b"k0")] == [(b"de",), (b"fr",)]


def test_variants_chosen_by_other_fields_go_with_a_changed_vary() -> None:
    store = _store(room_for=10)
    store.put(entry(b"k0", (b"de",), varies_on=(b"x-lang",)), max_variants=4)
    store.put(entry(b"k0", (b"gzip",), varies_on=(b"accept-encoding",)), max_variants=4)
    assert [one.variant for one in store.variants(b"k0")] == [(b"gzip",)]


@pytest.mark.parametrize(
    "older",
    [
        pytest.param(entry(b"k0", (b"de",), requested_mono=10.0), id="of-its-variant"),
        pytest.param(entry(b"k0", (), requested_mono=10.0), id="with-another-vary"),
    ],
)
def test_an_older_answer_never_replaces_a_newer_one(older: Entry) -> None:
    store = _store()
    newer = entry(b"k0", (b"de",), requested_mono=11.0)
    store.put(newer, max_variants=4)
    assert not store.put(older, max_variants=4)
    assert store.variants(b"k0") == [newer]


def test_a_key_is_removed_with_all_its_variants() -> None:
    store = _store(room_for=10)
    for lang in (b"de", b"nl"):
        store.put(entry(b"k0", (lang,)), max_variants=4)
    _fill(store, b"k1")
    assert store.remove_key(b"k0") == 2
    assert store.remove_key(b"k0") == 0
    assert _keys(store) == {b"k1"}


def test_clearing_takes_everything_and_is_no_eviction() -> None:
    store = _store()
    _fill(store, b"k0", b"k1")
    assert store.clear() == 2
    assert store.clear() == 0
    assert (len(store), store.statistics().stored_bytes, store.statistics().evictions) == (0, 0, 0)
    assert store.variants(b"k0") == []


@pytest.mark.slow
@pytest.mark.parametrize("policy", EvictionPolicy)
@pytest.mark.parametrize("lines", [0, 6, 12])
def test_what_entries_take_is_no_more_than_what_is_charged(
    policy: EvictionPolicy, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last few hundred heads are remembered, packed and as they came: a constant, charged to no entry.
    monkeypatch.setattr(stored_entry, "_packed", stored_entry._pack_head)
    count = 10_000 if policy is EvictionPolicy.LRU and lines == 12 else 2_000
    store = MemoryStore(max_bytes=1 << 30, max_entry_bytes=1 << 20, policy=policy)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        fields = tuple((b"X-Field-%d" % line, b"value %d of %d" % (line, number)) for line in range(lines))
        one = entry(
            b"key number %d" % number, fields=fields, size=100 + number % 50, lifetime_s=60.0 + number
        )
        assert (
            b"set-cookie" not in one.head.fields
        )  # a hit asks for it, and a head that is not packed keeps its index
        store.put(one, max_variants=4)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken <= store.statistics().stored_bytes


@pytest.mark.slow
@pytest.mark.parametrize("largest", [2_048, 300_000], ids=["small", "large"])
def test_the_bound_is_what_the_process_grows_by(largest: int) -> None:
    max_bytes = 32 * 2**20
    command = [sys.executable, "-m", "tests.cache.resident", str(max_bytes), str(largest)]
    counted, grown = map(int, subprocess.run(command, capture_output=True, check=True).stdout.split())
    assert 0.9 * max_bytes < counted <= max_bytes
    assert 0.8 * counted < grown < 1.2 * counted


def test_what_is_stored_is_packed_and_nothing_of_it_changes() -> None:
    store = _store(room_for=10)
    fields = ((b"ETag", b'"1"'), (b"X-A", b"1"), (b"x-a", b"2"))
    before = entry(b"k0", fields=fields)
    heads = []
    for number in range(3):
        one = entry(b"k%d" % number, fields=fields)
        store.put(one, max_variants=4)
        heads.append(one.head)
    assert heads == [before.head] * 3
    assert isinstance(heads[-1].fields, PackedFields)  # the second head of its kind, and all later ones
    assert heads[-1].fields.kept_bytes() < before.head.fields.kept_bytes()


def test_room_is_made_for_as_much_as_comes() -> None:
    store = _store(room_for=4)
    _fill(store, b"k0", b"k1", b"k2", b"k3")
    _fill(store, b"k4", size=4_000)
    assert _keys(store) == {b"k3", b"k4"}
    assert store.statistics().stored_bytes == sum(one.size_bytes() for one in store)


@pytest.mark.parametrize("take_out", ["evict", "remove", "clear", "replace"])
def test_the_memo_of_what_goes_goes_with_it(take_out: str) -> None:
    store = _store(room_for=20)
    _fill(store, b"k0")
    one = store.get(b"k0", ())
    assert one is not None
    memo = store.memo_of(one)
    assert store.memo_of(one) is memo
    match take_out:
        case "evict":
            _fill(store, *(b"l%d" % number for number in range(20)))
        case "remove":
            store.remove(b"k0", ())
        case "clear":
            store.clear()
        case _:
            _fill(store, b"k0")
    assert not one.in_memory
    other = store.memo_of(one)  # of one that was looked up before it went
    assert store.memo_of(one) is other
