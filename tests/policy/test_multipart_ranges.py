"""Several ranges come in one answer whose every octet is planned."""

from __future__ import annotations

import email.parser
import email.policy
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.multipart_ranges import PART_OVERHEAD_BYTES, Several, joined, multipart, ranges
from proxy.policy.ranges import Full, Partial, Span, Unsatisfiable
from tests.policy.heads import request, response

BOUNDARY = b"0123456789abcdef01234567"
HTML = response("Content-Type: text/html")


@pytest.mark.parametrize(
    ("asked", "length", "expected"),
    [
        pytest.param("bytes=0-4,500-504", 1000, Several(((0, 4), (500, 504))), id="two"),
        pytest.param("bytes=500-504,0-4", 1000, Several(((500, 504), (0, 4))), id="in-the-order-asked-for"),
        pytest.param("bytes=0-4,-5", 1000, Several(((0, 4), (995, 999))), id="with-a-suffix"),
        pytest.param("bytes=0-4", 1000, Partial(0, 4), id="one"),
        pytest.param("bytes=0-4,2000-", 1000, Partial(0, 4), id="one-that-can-be-satisfied"),
        pytest.param("bytes=0-4,10-14", 1000, Partial(0, 14), id="near-ones-are-joined"),
        pytest.param("bytes=2000-2001,3000-", 1000, Unsatisfiable(), id="none"),
        pytest.param("bytes=500-600,-999", 1000, Full(), id="overlapping-when-resolved"),
        pytest.param("bytes=0-449,531-", 1000, Full(), id="no-less-than-the-whole"),
        pytest.param("bytes=0-4,500-504", 0, Full(), id="empty"),
        pytest.param("items=0-4", 1000, Full(), id="another-unit"),
        pytest.param(
            "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 3400, 200)), 9000, Full(), id="too-many"
        ),
    ],
)
def test_ranges_are_answered(asked: str, length: int, expected: object) -> None:
    assert ranges(request(f"Range: {asked}"), HTML, length=length) == expected


def test_a_condition_that_fails_gives_the_whole() -> None:
    head = request('Range: bytes=0-4,500-504|If-Range: "b"')
    assert ranges(head, response('ETag: "a"'), length=1000) == Full()


def sent(spans: tuple[Span, ...], body: bytes) -> tuple[bytes, int, bytes]:
    plan = multipart(spans, head=HTML, length=len(body), boundary=BOUNDARY)
    octets = b"".join(part.head + body[part.first : part.last + 1] for part in plan.parts) + plan.ending
    return octets, plan.length, plan.content_type


def parsed(octets: bytes, content_type: bytes) -> list[Message]:
    whole = b"Content-Type: " + content_type + b"\r\n\r\n" + octets
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(whole)
    payload = message.get_payload()
    assert isinstance(payload, list)
    return payload


@pytest.mark.slow
@given(st.binary(min_size=300, max_size=2000), st.lists(st.integers(0, 299), min_size=2, max_size=6))
def test_the_length_is_known_beforehand(body: bytes, places: list[int]) -> None:
    spans = tuple((place, min(place + 10, len(body) - 1)) for place in places)
    octets, length, _ = sent(spans, body)
    assert len(octets) == length


def test_a_reader_of_mail_understands_the_answer() -> None:
    body = bytes(range(65, 91)) * 20
    parts = parsed(*(sent(((0, 4), (500, 509)), body)[index] for index in (0, 2)))
    assert [part.get_payload() for part in parts] == [body[:5].decode(), body[500:510].decode()]
    assert [part["Content-Range"] for part in parts] == ["bytes 0-4/520", "bytes 500-509/520"]
    assert {part["Content-Type"] for part in parts} == {"text/html"}


def test_a_part_of_unknown_type_has_none() -> None:
    plan = multipart(((0, 1), (5, 6)), head=response(), length=10, boundary=BOUNDARY)
    assert all(b"Content-Type" not in part.head for part in plan.parts)


@pytest.mark.parametrize(
    "boundary", [b"", b"short", b"0123456789abcdef0123456\r", b'0123456789abcdef0123456"']
)
def test_a_boundary_that_can_be_guessed_or_ends_its_line_is_refused(boundary: bytes) -> None:
    with pytest.raises(AssertionError, match="no boundary"):
        multipart(((0, 1), (5, 6)), head=HTML, length=10, boundary=boundary)


SPANS = st.lists(
    st.tuples(st.integers(0, 900), st.integers(0, 99)).map(lambda found: (found[0], found[0] + found[1])),
    min_size=1,
    max_size=6,
).map(tuple)


@pytest.mark.slow
@given(SPANS)
def test_joining_loses_no_octet_and_adds_few(spans: tuple[Span, ...]) -> None:
    found = joined(spans)
    asked = {place for first, last in spans for place in range(first, last + 1)}
    given_ = {place for first, last in found for place in range(first, last + 1)}
    assert asked <= given_
    assert len(given_) <= len(asked) + PART_OVERHEAD_BYTES * (len(spans) - 1)


@pytest.mark.slow
@given(
    st.from_regex(rb"bytes=([0-9]{0,3}-[0-9]{0,3},){1,6}[0-9]{0,3}-[0-9]{0,3}", fullmatch=True),
    st.integers(0, 999),
)
def test_no_answer_is_larger_than_the_whole(value: bytes, length: int) -> None:
    head = RequestHead("GET", b"/", Fields([(b"Range", value)]))
    found = ranges(head, HTML, length=length)
    if isinstance(found, Several):
        assert len(found.spans) > 1
        assert sum(last - first + 1 for first, last in found.spans) < length
        assert all(0 <= first <= last < length for first, last in found.spans)
