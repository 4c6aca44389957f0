"""One range is served; what is broken, excessive or overlapping is answered with the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.ranges import (
    MAX_RANGES,
    Full,
    Partial,
    RangeAnswer,
    RangeSpec,
    Unsatisfiable,
    content_range,
    parse_range,
    resolve,
    single_range,
    unsatisfied_range,
)
from tests.policy.heads import request, response


@pytest.mark.parametrize(
    ("value", "specs"),
    [
        pytest.param(b"bytes=0-4", (RangeSpec(0, 4),), id="first-to-last"),
        pytest.param(b"bytes=5-", (RangeSpec(5, None),), id="to-the-end"),
        pytest.param(b"bytes=-5", (RangeSpec(None, 5),), id="suffix"),
        pytest.param(b"BYTES=0-0", (RangeSpec(0, 0),), id="unit-in-any-case"),
        pytest.param(b"bytes= 0-1 ,, 5-6", (RangeSpec(0, 1), RangeSpec(5, 6)), id="list"),
        pytest.param(b"bytes=5-6,0-1", (RangeSpec(5, 6), RangeSpec(0, 1)), id="order-is-kept"),
        pytest.param(b"items=0-1", None, id="other-unit"),
        pytest.param(b"bytes 0-1", None, id="no-equals"),
        pytest.param(b"bytes=", None, id="no-range"),
        pytest.param(b"bytes=-", None, id="no-numbers"),
        pytest.param(b"bytes=4-0", None, id="backwards"),
        pytest.param(b"bytes=a-b", None, id="no-digits"),
        pytest.param(b"bytes=0 -1", None, id="inner-space"),
        pytest.param(b"bytes=--1", None, id="negative"),
        pytest.param(b"bytes=0-" + b"9" * 19, None, id="too-many-digits"),
        pytest.param(b"bytes=0-4,4-5", None, id="overlap"),
        pytest.param(b"bytes=0-,7-8", None, id="overlap-with-open-end"),
        pytest.param(b"bytes=0-0,0-", None, id="overlap-at-one-start"),
        pytest.param(b"bytes=-1,-2", None, id="two-suffixes"),
        pytest.param(b"bytes=0-1,x", None, id="one-broken"),
        pytest.param(
            b"bytes=" + b",".join(b"%d-%d" % (i, i) for i in range(0, 2 * MAX_RANGES + 2, 2)),
            None,
            id="too-many",
        ),
    ],
)
def test_ranges_are_read(value: bytes, specs: tuple[RangeSpec, ...] | None) -> None:
    assert parse_range(value) == specs


@pytest.mark.parametrize(
    ("spec", "length", "span"),
    [
        pytest.param(RangeSpec(0, 4), 10, (0, 4), id="inside"),
        pytest.param(RangeSpec(0, 99), 10, (0, 9), id="beyond-the-end"),
        pytest.param(RangeSpec(9, None), 10, (9, 9), id="last-octet"),
        pytest.param(RangeSpec(10, None), 10, None, id="starts-at-the-end"),
        pytest.param(RangeSpec(None, 3), 10, (7, 9), id="suffix"),
        pytest.param(RangeSpec(None, 99), 10, (0, 9), id="long-suffix"),
        pytest.param(RangeSpec(None, 0), 10, None, id="empty-suffix"),
        pytest.param(RangeSpec(None, 3), 0, None, id="nothing-there"),
    ],
)
def test_a_range_is_resolved_against_the_length(
    spec: RangeSpec, length: int, span: tuple[int, int] | None
) -> None:
    assert resolve((spec,), length) == (() if span is None else (span,))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        pytest.param("", Full(), id="no-range"),
        pytest.param("Range: bytes=2-3", Partial(2, 3), id="single"),
        pytest.param("Range: bytes=0-", Partial(0, 9), id="whole-as-a-range"),
        pytest.param("Range: bytes=10-", Unsatisfiable(), id="unsatisfiable"),
        pytest.param("Range: bytes=0-1,3-4", Full(), id="several"),
        pytest.param("Range: bytes=x", Full(), id="broken"),
        pytest.param("Range: bytes=0-1|Range: bytes=3-4", Full(), id="two-lines"),
        pytest.param('Range: bytes=2-3|If-Range: "a"', Partial(2, 3), id="if-range-matches"),
        pytest.param('Range: bytes=2-3|If-Range: "b"', Full(), id="if-range-does-not"),
    ],
)
def test_a_request_gets_whole_part_or_416(asked: str, answer: RangeAnswer) -> None:
    assert single_range(request(asked), response('ETag: "a"'), length=10) == answer


def test_only_a_get_of_a_200_has_ranges() -> None:
    asked = "Range: bytes=2-3"
    assert single_range(request(asked, method="HEAD"), response(), length=10) == Full()
    assert single_range(request(asked), response(status=404), length=10) == Full()


def test_an_empty_representation_is_sent_whole() -> None:
    assert single_range(request("Range: bytes=0-"), response(), length=0) == Full()


def test_content_range_tells_what_is_sent() -> None:
    assert content_range(0, 4, 10) == b"bytes 0-4/10"
    assert content_range(0, 4, None) == b"bytes 0-4/*"
    assert unsatisfied_range(10) == b"bytes */10"


@given(st.binary(max_size=60))
def test_no_octets_make_the_parser_raise(value: bytes) -> None:
    parse_range(value)


@pytest.mark.slow
@given(
    st.from_regex(rb"bytes=([0-9]{0,3}-[0-9]{0,3},){0,4}[0-9]{0,3}-[0-9]{0,3}", fullmatch=True),
    st.integers(0, 600),
)
def test_a_part_lies_within_the_whole(value: bytes, length: int) -> None:
    specs = parse_range(value)
    for first, last in resolve(specs or (), length):
        assert 0 <= first <= last < length
    answer = single_range(RequestHead("GET", b"/", Fields([(b"Range", value)])), response(), length=length)
    if isinstance(answer, Partial):
        assert 0 <= answer.first <= answer.last < length
