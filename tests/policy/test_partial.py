"""Parts become a whole only if they are of one: no body is made that no origin sent."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.partial import (
    MAX_SPANS,
    ContentRange,
    NotKept,
    Parts,
    combined,
    missing,
    parse_content_range,
    parts_of,
    union,
)
from proxy.policy.ranges import Span
from tests.policy.heads import request, response


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"bytes 0-4/10", ContentRange(0, 4, 10), id="known"),
        pytest.param(b"BYTES 0-4/*", ContentRange(0, 4, None), id="unknown-length"),
        pytest.param(b" bytes 9-9/10 ", ContentRange(9, 9, 10), id="last-octet"),
        pytest.param(b"bytes */10", None, id="unsatisfied"),
        pytest.param(b"bytes 4-0/10", None, id="backwards"),
        pytest.param(b"bytes 0-10/10", None, id="beyond-the-end"),
        pytest.param(b"items 0-4/10", None, id="another-unit"),
        pytest.param(b"bytes=0-4/10", None, id="as-in-a-request"),
        pytest.param(b"bytes 0-4", None, id="no-length"),
        pytest.param(b"bytes 0-" + b"9" * 30 + b"/*", None, id="overflow"),
    ],
)
def test_a_content_range_is_read(value: bytes, expected: ContentRange | None) -> None:
    assert parse_content_range(value) == expected


def parts(fields: str, *, asked: str = "Range: bytes=0-4", status: int = 206, method: str = "GET") -> object:
    return parts_of(request(asked, method=method), response(fields, status=status))


WHOLE = 'ETag: "a"|Content-Range: bytes 0-4/10'


def test_a_part_is_kept_under_the_head_of_the_whole() -> None:
    found = parts(WHOLE + "|Content-Length: 5|Content-Type: text/html")
    assert isinstance(found, Parts)
    assert (found.spans, found.length, found.complete) == (((0, 4),), 10, False)
    assert found.head.status == 200
    assert set(found.head.fields.names()) == {b"etag", b"content-type"}


@pytest.mark.parametrize(
    ("fields", "asked", "why"),
    [
        pytest.param("Content-Range: bytes 0-4/10", "Range: bytes=0-4", NotKept.VALIDATOR, id="no-tag"),
        pytest.param(
            'ETag: W/"a"|Content-Range: bytes 0-4/10', "Range: bytes=0-4", NotKept.VALIDATOR, id="weak"
        ),
        pytest.param('ETag: "a"', "Range: bytes=0-4", NotKept.RANGE, id="no-content-range"),
        pytest.param('ETag: "a"|Content-Range: bytes 0-4/*', "Range: bytes=0-4", NotKept.LENGTH, id="length"),
        pytest.param(WHOLE, "", NotKept.RANGE, id="nobody-asked"),
        pytest.param(WHOLE, "Range: bytes=0-4,6-7", NotKept.RANGE, id="several-asked-for"),
        pytest.param(
            'ETag: "a"|Content-Range: bytes 5-9/10',
            "Range: bytes=0-4",
            NotKept.RANGE,
            id="not-what-was-asked-for",
        ),
        pytest.param(WHOLE + "|Content-Range: bytes 0-4/11", "Range: bytes=0-4", NotKept.RANGE, id="twice"),
    ],
)
def test_a_part_of_which_something_is_not_known_is_not_kept(fields: str, asked: str, why: NotKept) -> None:
    assert parts(fields, asked=asked) is why


def test_only_a_206_to_get_is_a_part() -> None:
    assert parts(WHOLE, status=200) is NotKept.STATUS
    assert parts(WHOLE, method="POST") is NotKept.METHOD


def some(spans: tuple[Span, ...], fields: str = 'ETag: "a"', length: int = 10) -> Parts:
    return Parts(response(fields), spans, length)


def test_parts_of_one_whole_are_put_together_under_the_later_head() -> None:
    found = combined(some(((0, 4),), 'ETag: "a"|X: old|Age: 9'), some(((5, 9),), 'ETag: "a"|X: new'))
    assert isinstance(found, Parts)
    assert found.complete
    assert found.head.fields.get(b"x") == b"new"
    assert b"age" not in found.head.fields


@pytest.mark.parametrize(
    ("new", "why"),
    [
        pytest.param(some(((5, 9),), 'ETag: "b"'), NotKept.VALIDATOR, id="another-tag"),
        pytest.param(some(((5, 9),), 'ETag: W/"a"'), NotKept.VALIDATOR, id="a-weak-tag"),
        pytest.param(some(((5, 9),), ""), NotKept.VALIDATOR, id="no-tag"),
        pytest.param(some(((5, 9),), length=11), NotKept.LENGTH, id="another-length"),
        pytest.param(
            some(((5, 9),), 'ETag: "a"|Content-Encoding: gzip'), NotKept.ENCODING, id="another-coding"
        ),
    ],
)
def test_parts_of_different_wholes_are_not(new: Parts, why: NotKept) -> None:
    assert combined(some(((0, 4),)), new) is why


def test_the_number_of_pieces_is_bounded() -> None:
    many = tuple((place, place) for place in range(0, 2 * MAX_SPANS, 2))
    assert combined(some(many, length=1000), some(((500, 501),), length=1000)) is NotKept.PIECES
    assert isinstance(combined(some(many, length=1000), some(((0, 200),), length=1000)), Parts)


SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda found: (found[0], found[0] + found[1])),
    max_size=6,
).map(tuple)


def octets(spans: tuple[Span, ...]) -> set[int]:
    return {place for first, last in spans for place in range(first, last + 1)}


@given(SPANS)
def test_a_union_has_the_same_octets_sorted_and_apart(spans: tuple[Span, ...]) -> None:
    found = union(spans)
    assert octets(found) == octets(spans)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(found))


@pytest.mark.slow
@given(SPANS, st.integers(0, 60), st.integers(0, 20))
def test_what_is_missing_is_what_is_not_there(spans: tuple[Span, ...], first: int, more: int) -> None:
    wanted = (first, first + more)
    assert octets(missing(union(spans), wanted)) == octets((wanted,)) - octets(spans)


@pytest.mark.slow
@given(SPANS, SPANS)
def test_combining_neither_loses_nor_invents_octets(one: tuple[Span, ...], other: tuple[Span, ...]) -> None:
    found = combined(some(union(one), length=100), some(union(other), length=100))
    assert isinstance(found, Parts)
    assert octets(found.spans) == octets(one) | octets(other)
