from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.disk.coverage import (
    covers_safely,
    decode_searched,
    encode_searched,
    marks_of,
    marks_of_target,
    target_of,
)
from proxy.policy.purges import Matching, Prefixed, Targets
from tests.cache.disk.entries import KEY, a_key

OCTETS = st.binary(max_size=6)
ANSWERS = frozenset({b'no-vary-search, params=("utm")'})


@given(
    st.frozensets(OCTETS, max_size=3),
    st.dictionaries(OCTETS, st.lists(OCTETS, max_size=2).map(tuple), max_size=3),
)
def test_prefixes_are_read_as_they_were_written(
    authorities: frozenset[bytes], by_route: dict[bytes, tuple[bytes, ...]]
) -> None:
    prefixed = Prefixed(authorities, by_route)
    assert decode_searched(encode_searched(prefixed)) == prefixed


@pytest.mark.parametrize("pattern", [re.compile(b"/a\\d+\xff"), re.compile(b"x", re.IGNORECASE | re.DOTALL)])
def test_a_pattern_is_read_as_it_was_written(pattern: re.Pattern[bytes]) -> None:
    assert decode_searched(encode_searched(Matching(pattern))) == Matching(pattern)


@pytest.mark.parametrize(
    ("key", "labels"),
    [(KEY, frozenset()), (a_key(b"/key", b"f1:a,~"), frozenset({b"t"})), (a_key(b"/key?utm=1"), ANSWERS)],
)
def test_what_a_target_covers_has_its_marks(key: bytes, labels: frozenset[bytes]) -> None:
    assert Targets(frozenset({KEY})).covers(key, labels)
    assert any(marks <= marks_of(key, labels) for marks in marks_of_target(KEY))


def test_other_targets_have_not() -> None:
    other = marks_of(a_key(b"/other"), frozenset())
    assert not any(marks <= other for marks in marks_of_target(KEY))


def test_a_key_that_cannot_be_read_has_no_target_and_is_covered_in_doubt() -> None:
    assert target_of(b"x") is None
    assert marks_of(b"x", frozenset({b"t"})) == {b"t"}
    assert covers_safely(Matching(re.compile(b"z$")).covers)(b"x", frozenset())
