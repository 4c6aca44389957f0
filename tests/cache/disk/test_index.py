from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.cache.disk.index import MAX_LOOKS, Index, Indexed
from proxy.cache.disk.place import Place

KEYS = st.integers(0, 5).map(lambda number: bytes([number]) * 16)
VARIANTS = st.integers(0, 3)


def item(place: Place, size: int = 1) -> Indexed:
    varies_on = (b"accept",) if place.variant_digest else ()
    return Indexed(place, size, epoch=7, fingerprint=9, varies_on=varies_on, requested_mono=3.0)


class IndexAgainstADict(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.model: dict[Place, int] = {}

    @rule(key=KEYS, variant=VARIANTS, size=st.integers(0, 100))
    def insert(self, key: bytes, variant: int, size: int) -> None:
        place = Place(key, variant)
        self.index.insert(item(place, size))
        self.model[place] = size

    @rule(key=KEYS, variant=VARIANTS)
    def remove(self, key: bytes, variant: int) -> None:
        place = Place(key, variant)
        assert (self.index.remove(place) is not None) == (self.model.pop(place, None) is not None)

    @rule(key=KEYS, variant=VARIANTS)
    def touch(self, key: bytes, variant: int) -> None:
        found = self.index.get(Place(key, variant), touch=True)
        assert (found is None) == (Place(key, variant) not in self.model)

    @rule()
    def evict(self) -> None:
        evicted = self.index.evict()
        assert (evicted is None) == (not self.model)
        if evicted is not None:
            assert self.model.pop(evicted.place) == evicted.allocated_bytes

    @invariant()
    def they_agree(self) -> None:
        assert len(self.index) == len(self.model)
        assert self.index.allocated_bytes == sum(self.model.values())
        walked = {found.place: found.allocated_bytes for found in self.index.between(0, self.index.slots)}
        assert walked == self.model
        for key in {place.key_digest for place in self.model}:
            of_key = {found.place for found in self.index.of_key(key)}
            assert of_key == {place for place in self.model if place.key_digest == key}


IndexAgainstADict.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestIndex = pytest.mark.slow(IndexAgainstADict.TestCase)


def place(number: int, variant: int = 0) -> Place:
    return Place(number.to_bytes(16, "big"), variant)


def test_what_was_not_used_goes_first() -> None:
    index = Index()
    for number in range(10):
        index.insert(item(place(number)))
    index.get(place(0), touch=True)
    index.get(place(1), touch=True)
    evicted = [index.evict() for _ in range(8)]
    assert [found.place for found in evicted if found] == [place(number) for number in range(2, 10)]


def test_one_eviction_looks_at_a_bounded_number_of_slots() -> None:
    index = Index()
    for number in range(2 * MAX_LOOKS):
        index.insert(item(place(number)))
        index.get(place(number), touch=True)
    evicted = index.evict()
    assert evicted is not None
    assert evicted.place == place(MAX_LOOKS)


def test_variants_of_a_key_come_newest_first_and_share_their_names() -> None:
    index = Index()
    for variant in (1, 2, 3):
        index.insert(item(place(1, variant)))
    assert [found.place.variant_digest for found in index.of_key(place(1).key_digest)] == [3, 2, 1]
    assert index.varies_on(place(1).key_digest) == (b"accept",)
    for variant in (2, 1, 3):
        index.remove(place(1, variant))
    assert index.varies_on(place(1).key_digest) == ()


def test_everything_known_of_an_object_comes_back() -> None:
    index = Index()
    index.insert(item(place(1, 5), 4096))
    index.soften(place(1, 5))
    found = index.get(place(1, 5))
    assert found == Indexed(place(1, 5), 4096, 7, 9, (b"accept",), 3.0, soft=True)
    assert found.of_this_process
