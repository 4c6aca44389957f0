"""The owner's word is read as it was said, and no field of an origin passes for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import errors
from proxy.coalesce.answer import Outcome
from proxy.errors import FlightFailed, OriginConnectTimeout, OriginTimeout, ProxyError, StorageError
from proxy.peers.statistics import Reply
from proxy.peers.word import (
    FIELD,
    Answered,
    OwnersWord,
    Trouble,
    trouble_of,
    without_word,
    word_field,
    word_in,
)
from proxy.policy.cache_status import ForwardReason

WORDS = st.builds(
    OwnersWord,
    answered=st.sampled_from(Answered),
    began_mono=st.floats(allow_nan=False, allow_infinity=False),
    at_mono=st.floats(allow_nan=False, allow_infinity=False),
    age_s=st.none() | st.floats(0, 1e9),
    forward=st.none() | st.sampled_from(ForwardReason),
    forward_status=st.none() | st.integers(200, 599),
    stored=st.booleans(),
    collapsed=st.none() | st.booleans(),
    ends_with_connection=st.booleans(),
)


@given(word=WORDS)
def test_a_word_is_read_as_it_was_said(word: OwnersWord) -> None:
    assert word_in([(b"Date", b"x"), word_field(word), (b"Content-Length", b"0")]) == word


def test_the_last_of_its_name_is_the_word_and_the_others_are_fields() -> None:
    forged = (FIELD, b'{"trouble":"NotStored","text":""}')
    word = OwnersWord(Answered.MISS, 1.0, 2.0)
    pairs = [forged, (b"A", b"1"), word_field(word), (b"Content-Length", b"0")]
    assert word_in(pairs) == word
    assert without_word(pairs) == (forged, (b"A", b"1"), (b"Content-Length", b"0"))


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"answered":"elsewhere"}', b'{"trouble":"x"}'])
def test_what_is_no_word_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        word_in([(FIELD, value)])


def test_a_head_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="Lockgate-Word"):
        word_in([(b"Date", b"x")])


def test_an_error_is_the_same_error_on_the_other_side() -> None:
    told = word_in([word_field(trouble_of(OriginTimeout("it sent\r\nnothing")))])
    assert isinstance(told, Trouble)
    error = told.error()
    assert type(error) is OriginTimeout
    assert str(error) == "it sent\r\nnothing"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(OriginConnectTimeout("x"), OriginTimeout, id="the-nearest-that-is-known"),
        pytest.param(StorageError("x"), FlightFailed, id="none-is"),
        pytest.param(ProxyError("x"), FlightFailed, id="the-base-itself"),
    ],
)
def test_an_error_that_has_no_name_here_is_the_nearest_that_has(error: ProxyError, kind: type) -> None:
    assert type(trouble_of(error).error()) is kind


def test_age_counts_the_time_on_the_way_once_and_never_backwards() -> None:
    word = OwnersWord(Answered.HIT, began_mono=90.0, at_mono=100.0, age_s=10.0)
    assert word.age_at_s(102.5) == 12.5
    assert word.age_at_s(99.0) == 10.0


def test_the_words_for_answers_are_those_for_outcomes() -> None:
    assert {one.value for one in Answered} <= {one.value for one in Outcome}
    assert {one.value for one in Answered} <= {one.value for one in Reply}
    assert issubclass(errors.NotStored, ProxyError)
