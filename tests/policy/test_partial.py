"""What comes to a request for a slice, and which slices are of one whole: no body that no origin sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.partial import (
    ContentRange,
    NotASlice,
    Representation,
    Slice,
    as_whole,
    first_number,
    numbers_of,
    parse_content_range,
    representation_of,
    seen,
    slice_in,
    slice_label,
)
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


@given(st.binary(max_size=40))
def test_no_octets_make_a_content_range_raise(value: bytes) -> None:
    found = parse_content_range(value)
    assert found is None or found.first <= found.last < (found.length or 10**19)


def test_a_slice_is_asked_for_by_its_octets_and_if_range_by_what_came_before() -> None:
    assert Slice(2, 1024).conditions() == ((b"Range", b"bytes=2048-3071"),)
    expected = Representation(b'"a"', 5000)
    assert Slice(0, 10, expected).conditions() == ((b"Range", b"bytes=0-9"), (b"If-Range", b'"a"'))


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        pytest.param(b"bytes=0-9", 0, id="first"),
        pytest.param(b"bytes=70-79", 7, id="a-later-one"),
        pytest.param(b"bytes=70-78", None, id="shorter"),
        pytest.param(b"bytes=71-79", None, id="not-from-its-beginning"),
        pytest.param(b"bytes=70-89", None, id="two-of-them"),
        pytest.param(b"bytes=70-", None, id="open"),
        pytest.param(b"bytes=-10", None, id="from-the-end"),
        pytest.param(b"bytes=0-9,20-29", None, id="several"),
        pytest.param(b"lines=0-9", None, id="another-unit"),
    ],
)
def test_a_slice_is_known_by_its_range(wanted: bytes, number: int | None) -> None:
    found = slice_in([(b"If-None-Match", b'"a"'), (b"Range", wanted)], slice_bytes=10)
    assert found == (None if number is None else Slice(number, 10))
    assert slice_in([(b"If-None-Match", b'"a"')], slice_bytes=10) is None


def test_a_part_is_kept_under_the_head_of_the_whole() -> None:
    head = response('ETag: "a"|Content-Range: bytes 5-9/20|Content-Type: text/html', status=206)
    found = seen(Slice(1, 5), head, body_bytes=5)
    assert found.head is head
    assert found.refusal is None
    assert not found.changed
    assert found.judged == as_whole(head)
    assert found.judged.status == 200
    assert set(found.judged.fields.names()) == {b"etag", b"content-type"}


WHOLE = "Content-Range: bytes 5-9/20"
LAST = "Sun, 06 Nov 1994 08:49:30 GMT"
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("fields", "body_bytes", "why"),
    [
        pytest.param(WHOLE, 5, NotASlice.VALIDATOR, id="no-validator"),
        pytest.param(f'{WHOLE}|ETag: W/"a"', 5, NotASlice.VALIDATOR, id="weak"),
        pytest.param(
            f'{WHOLE}|ETag: W/"a"|Last-Modified: {LAST}|Date: {DATE}', 5, NotASlice.VALIDATOR, id="weak-tag"
        ),
        pytest.param(f"{WHOLE}|Last-Modified: {DATE}|Date: {DATE}", 5, NotASlice.VALIDATOR, id="weak-date"),
        pytest.param(f"{WHOLE}|Last-Modified: {LAST}", 5, NotASlice.VALIDATOR, id="no-date-to-compare"),
        pytest.param('ETag: "a"', 5, NotASlice.RANGE, id="no-content-range"),
        pytest.param('ETag: "a"|Content-Range: bytes 5-9/*', 5, NotASlice.RANGE, id="no-length"),
        pytest.param('ETag: "a"|Content-Range: bytes 0-4/20', 5, NotASlice.RANGE, id="other-octets"),
        pytest.param('ETag: "a"|Content-Range: bytes 5-7/20', 3, NotASlice.RANGE, id="fewer"),
        pytest.param('ETag: "a"|Content-Range: bytes 5-19/20', 15, NotASlice.RANGE, id="more"),
        pytest.param(f'{WHOLE}|ETag: "a"|{WHOLE}', 5, NotASlice.RANGE, id="twice"),
        pytest.param(f'{WHOLE}|ETag: "a"', 4, NotASlice.LENGTH, id="a-body-of-another-length"),
        pytest.param(f'{WHOLE}|ETag: "a"', None, NotASlice.LENGTH, id="a-body-of-no-length"),
    ],
)
def test_a_part_of_which_something_is_not_known_is_not_kept(
    fields: str, body_bytes: int | None, why: NotASlice
) -> None:
    assert seen(Slice(1, 5), response(fields, status=206), body_bytes=body_bytes).refusal is why


def test_a_part_that_is_all_there_is_is_the_whole() -> None:
    found = seen(Slice(0, 5), response("Content-Range: bytes 0-3/4", status=206), body_bytes=4)
    assert found.refusal is None
    assert found.head is found.judged
    assert found.head.status == 200
    assert b"content-range" not in found.head.fields


def test_an_answer_that_is_no_part_is_what_it_is() -> None:
    for status in (200, 301, 404, 416, 503):
        head = response('ETag: "a"', status=status)
        assert seen(Slice(1, 5), head, body_bytes=9) == seen(None, head, body_bytes=9)
    assert seen(None, response(WHOLE, status=206), body_bytes=5).refusal is None


def test_the_whole_in_the_place_of_a_later_slice_is_another_representation() -> None:
    later = Slice(1, 5, Representation(b'"a"', 20))
    assert seen(later, response('ETag: "b"'), body_bytes=20).changed
    assert not seen(later, response(status=404), body_bytes=20).changed
    assert not seen(Slice(1, 5), response('ETag: "b"'), body_bytes=20).changed


def of(fields: str, length: int = 20) -> Representation | None:
    return representation_of(response(f"{fields}|Content-Range: bytes 5-9/{length}", status=206))


def test_parts_are_of_one_whole_by_validator_length_and_coding() -> None:
    one = of('ETag: "a"|X: 1')
    assert one == of('ETag: "a"|X: 2')
    assert one not in (of('ETag: "b"'), of('ETag: "a"', 21), of('ETag: "a"|Content-Encoding: gzip'))
    dated = of(f"Last-Modified: {LAST}|Date: {DATE}")
    assert dated is not None
    assert dated.validator == LAST.encode()
    assert dated == of(f"Last-Modified: {LAST}|Date: Sun, 06 Nov 1994 09:00:00 GMT")
    assert dated != of(f"Last-Modified: {LAST}|Date: {DATE}", 21)


def test_the_label_of_a_representation_is_its_own() -> None:
    one, other = of('ETag: "a"'), of('ETag: "b"')
    assert one is not None
    assert other is not None
    labels = {slice_label(b"k", one), slice_label(b"k", other), slice_label(b"l", one)}
    assert len(labels) == 3
    assert all(b", " in label for label in labels)


@pytest.mark.parametrize(
    ("fields", "length", "number"),
    [
        pytest.param("", None, 0, id="the-whole"),
        pytest.param("Range: bytes=25-26", None, 2, id="one"),
        pytest.param("Range: bytes=25-26,11-12", None, 1, id="several"),
        pytest.param("Range: bytes=25-26,-2", None, 0, id="from-the-end"),
        pytest.param("Range: bytes=-2", 95, 9, id="from-the-end-with-the-length"),
        pytest.param("Range: bytes=25-26,11-12", 95, 2, id="several-with-the-length"),
        pytest.param("Range: bytes=99-", 95, 0, id="behind-the-end"),
        pytest.param("Range: lines=25-26", 95, 0, id="another-unit"),
        pytest.param("Range: bytes=25-26|Range: bytes=1-2", 95, 0, id="twice"),
    ],
)
def test_the_first_slice_is_that_of_the_first_octet_wanted(
    fields: str, length: int | None, number: int
) -> None:
    assert first_number(request(fields), slice_bytes=10, length=length) == number


def test_a_head_wants_no_octets() -> None:
    head = request("Range: bytes=25-26", method="HEAD")
    assert first_number(head, slice_bytes=10, length=95) == 0


@given(st.integers(0, 500), st.integers(0, 200), st.integers(1, 50))
def test_the_slices_of_a_span_hold_all_of_its_octets(first: int, more: int, size: int) -> None:
    numbers = list(numbers_of([(first, first + more)], slice_bytes=size))
    assert numbers == sorted({octet // size for octet in range(first, first + more + 1)})
