"""Slices: a large response fetched, stored and put together in aligned parts (RFC 9111 §3.3, §3.4).

Pure: what to ask for, what came, and whether two slices are of one representation. A slice is stored as the
206 that it came as, under a key of its own, so it is never found by who asks for the whole; what policy
decides of it is decided of the 200 that it is part of. Slices are put together only under one strong
validator, one complete length and one content coding: anything less could make a body that no origin
ever sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from proxy.http.fields import Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.conditional import entity_tag
from proxy.policy.freshness import single_date
from proxy.policy.keys import CacheKey
from proxy.policy.ranges import Span, parse_range, resolve

_CONTENT_RANGE = re.compile(rb"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)

HEADS = 512
"""Heads of slices of which is remembered what they tell: each hit on a stored slice asks it twice."""

_LABEL = b"slice, "
"""Begins the label of a representation: with a comma and a space, which no surrogate key has both."""


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Which octets, both ends included, of how many in all (None: not told)."""

    first: int
    last: int
    length: int | None


def parse_content_range(value: bytes) -> ContentRange | None:
    """The Content-Range of a 206; None if it is of another unit, unsatisfied, or wrong (RFC 9110 §14.4)."""
    match = _CONTENT_RANGE.fullmatch(value.strip(b" \t"))
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    length = None if match[3] == b"*" else int(match[3])
    if last < first or (length is not None and last >= length):
        return None
    return ContentRange(first, last, length)


@dataclass(frozen=True, slots=True)
class Representation:
    """What all slices of one answer have in common; slices whose representations are equal fit together.

    `validator` is a strong one as If-Range takes it: an entity tag, else a date.
    """

    validator: bytes
    length: int
    coding: bytes = b""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part to ask for. `expected` is what the slices before it are of; None for the first."""

    number: int
    slice_bytes: int
    expected: Representation | None = None

    @property
    def first(self) -> int:
        """Its first octet."""
        return self.number * self.slice_bytes

    @property
    def last(self) -> int:
        """Its last octet, unless the representation ends before."""
        return self.first + self.slice_bytes - 1

    def conditions(self) -> tuple[Pair, ...]:
        """What asks for it; a representation that has changed comes as a whole then (RFC 9110 §13.1.5)."""
        asked = (b"Range", b"bytes=%d-%d" % (self.first, self.last))
        if self.expected is None:
            return (asked,)
        return asked, (b"If-Range", self.expected.validator)


def slice_in(conditions: Iterable[Pair], *, slice_bytes: int) -> Slice | None:
    """The slice of this size that these conditions ask for; None if they ask for none."""
    wanted = next((value for name, value in conditions if name.lower() == b"range"), b"")
    specs = parse_range(wanted)
    if specs is None or len(specs) != 1 or specs[0].first is None:
        return None
    found = Slice(specs[0].first // slice_bytes, slice_bytes)
    return found if (found.first, found.last) == (specs[0].first, specs[0].last) else None


class NotASlice(StrEnum):
    """Why a 206 cannot be used as the slice that was asked for."""

    RANGE = "range"
    """No single Content-Range of octets, not the octets asked for, or no complete length."""
    LENGTH = "length"
    """Its body is not declared to be as long as its range."""
    VALIDATOR = "validator"
    """No strong validator, so nothing can be put together with it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How an answer to a request for a slice is to be taken.

    `head` is given out and stored, `judged` what policy decides on. With a `refusal` it is for nobody but who
    asked. `changed` says that it is another representation than that of the slices before.
    """

    head: ResponseHead
    judged: ResponseHead
    refusal: NotASlice | None = None
    changed: bool = False


def seen(wanted: Slice | None, head: ResponseHead, *, body_bytes: int | None) -> Seen:
    """How to take this head; without a slice wanted, as it is. `body_bytes` is the declared length.

    A slice that turns out to be all there is, is the 200 itself: so small objects on a route with slices are
    stored as they are everywhere, and need no validator.

    Source: RFC 9110 §14.4, §15.3.7.
    """
    if wanted is None:
        return Seen(head, head)
    if head.status != 206:
        return Seen(head, head, changed=wanted.expected is not None and head.status == 200)
    whole = as_whole(head)
    span = _span_of(head)
    if span is None or not _was_asked_for(wanted, span):
        return Seen(head, whole, NotASlice.RANGE)
    if body_bytes != span.last - span.first + 1:
        return Seen(head, whole, NotASlice.LENGTH)
    if span.first == 0 and span.length == body_bytes and wanted.expected is None:
        return Seen(whole, whole)
    if representation_of(head) is None:
        return Seen(head, whole, NotASlice.VALIDATOR)
    return Seen(head, whole)


def _span_of(head: ResponseHead) -> ContentRange | None:
    values = head.fields.get_all(b"content-range")
    return parse_content_range(values[0]) if len(values) == 1 else None


def _was_asked_for(wanted: Slice, span: ContentRange) -> bool:
    """A server may send other ranges than it was asked for; these octets could not be found again."""
    if span.length is None:
        return False
    return span.first == wanted.first and span.last == min(wanted.last, span.length - 1)


@lru_cache(maxsize=HEADS)
def as_whole(head: ResponseHead) -> ResponseHead:
    """The head of the 200 that a 206 is part of."""
    fields = head.fields.without((b"content-range", b"content-length"))
    return replace(head, status=200, fields=fields, reason=b"OK")


@lru_cache(maxsize=HEADS)
def representation_of(head: ResponseHead) -> Representation | None:
    """What a 206 is part of; None where nothing tells it strongly.

    A Last-Modified counts if the origin generated the response at least a second after it: by then nothing
    that it sends under this date can be what it sent before (RFC 9110 §8.8.2.2).
    """
    span, validator = _span_of(head), _strong_validator(head)
    if span is None or span.length is None or validator is None:
        return None
    return Representation(validator, span.length, head.fields.get(b"content-encoding") or b"")


def _strong_validator(head: ResponseHead) -> bytes | None:
    if b"etag" in head.fields:
        tag = entity_tag(head.fields)
        return None if tag is None or tag.startswith(b"W/") else tag
    generated_at = single_date(head.fields, b"date", now=0.0)
    modified_at = single_date(head.fields, b"last-modified", now=generated_at or 0.0)
    if generated_at is None or modified_at is None or generated_at - modified_at < 1:
        return None
    return head.fields.get_all(b"last-modified")[0]


def slice_label(key: CacheKey, representation: Representation) -> bytes:
    """A label of every slice of this representation under the key of the whole: by it they are dropped."""
    parts = (representation.validator, b"%d" % representation.length, representation.coding, key)
    return _LABEL + b" ".join(parts)


def first_number(request: RequestHead, *, slice_bytes: int, length: int | None) -> int:
    """The slice to ask for first: that with the first octet that the request wants, as far as it can be told.

    Without the length a range that counts from the end, or a request for the whole, begins with the first.
    With it, a request that cannot be satisfied does, too: the head of any slice answers that.
    """
    values = request.fields.get_all(b"range")
    specs = parse_range(values[0]) if len(values) == 1 and request.method == "GET" else None
    if specs is None:
        return 0
    if length is not None:
        spans = resolve(specs, length)
        return spans[0][0] // slice_bytes if spans else 0
    firsts = [spec.first for spec in specs]
    return 0 if None in firsts else min(first for first in firsts if first is not None) // slice_bytes


def numbers_of(spans: Iterable[Span], *, slice_bytes: int) -> Iterable[int]:
    """The slices with the octets of these spans, in their order."""
    for first, last in spans:
        yield from range(first // slice_bytes, last // slice_bytes + 1)
