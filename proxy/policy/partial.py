"""Partial content: what of a 206 may be kept, and when two parts are of one whole (RFC 9111 §3.3, §3.4).

Pure arithmetic on spans; the octets are a store's. Parts are put together only under a strong validator
that both have, and only within one complete length that both name: anything less could make a body that
no origin ever sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.conditional import entity_tag, freshen, strongly_equal
from proxy.policy.ranges import Span, parse_range

_CONTENT_RANGE = re.compile(rb"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)

MAX_SPANS = 64
"""Pieces of one body that are kept apart; with more it is not kept at all."""


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Which octets, both ends included, of how many in all (None: not told)."""

    first: int
    last: int
    length: int | None

    @property
    def span(self) -> Span:
        """Without the length."""
        return self.first, self.last


def parse_content_range(value: bytes) -> ContentRange | None:
    """The Content-Range of a 206; None if it is of another unit, unsatisfied, or wrong (RFC 9110 §14.4)."""
    match = _CONTENT_RANGE.fullmatch(value.strip(b" \t"))
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    length = None if match[3] == b"*" else int(match[3])
    return (
        None if last < first or (length is not None and last >= length) else ContentRange(first, last, length)
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """Some of the octets of one representation.

    `spans` are sorted and apart; `head` is that of a 200: without Content-Range, of the latest response.
    """

    head: ResponseHead
    spans: tuple[Span, ...]
    length: int

    @property
    def complete(self) -> bool:
        """Whether that is all."""
        return self.spans == ((0, self.length - 1),) or self.length == 0


class NotKept(StrEnum):
    """Why a partial response is not kept, or not put together with what is."""

    STATUS = "status"
    METHOD = "method"
    RANGE = "range"
    """No single Content-Range of octets that can be read, or not what was asked for."""
    LENGTH = "length"
    """The complete length is not told, or told differently."""
    VALIDATOR = "validator"
    """No strong validator, or another one."""
    ENCODING = "encoding"
    """Other content codings: other octets."""
    PIECES = "pieces"
    """Too many apart."""


def parts_of(request: RequestHead, response: ResponseHead) -> Parts | NotKept:
    """What a 206 brings. Whether it may be stored at all is `sharing`'s to say, as of the 200 it is part of.

    Source: RFC 9111 §3.3, RFC 9110 §15.3.7.1.
    """
    if response.status != 206:
        return NotKept.STATUS
    if request.method != "GET":
        return NotKept.METHOD
    if _strong_tag(response) is None:
        return NotKept.VALIDATOR
    values = response.fields.get_all(b"content-range")
    found = parse_content_range(values[0]) if len(values) == 1 else None
    if found is None or not _was_asked_for(request, found):
        return NotKept.RANGE
    if found.length is None:
        return NotKept.LENGTH
    return Parts(_as_whole(response), (found.span,), found.length)


def _was_asked_for(request: RequestHead, found: ContentRange) -> bool:
    """A server may send more than was asked for, as long as it begins no later."""
    specs = parse_range(request.fields.get(b"range") or b"")
    if specs is None or len(specs) != 1:
        return False
    first = specs[0].first
    return first is None or found.first <= first


def _as_whole(response: ResponseHead) -> ResponseHead:
    fields = response.fields.without((b"content-range", b"content-length"))
    return replace(response, status=200, fields=fields, reason=b"OK")


def _strong_tag(head: ResponseHead) -> bytes | None:
    tag = entity_tag(head.fields)
    return None if tag is None or tag.startswith(b"W/") else tag


def combined(stored: Parts, new: Parts) -> Parts | NotKept:
    """Both together, under the later head; why not, if they cannot be.

    Only entity tags are taken as strong validators: a date is one only by the clock of an origin that
    may have changed the octets twice in a second.

    Source: RFC 9111 §3.4, RFC 9110 §8.8.2.2.
    """
    old_tag, new_tag = _strong_tag(stored.head), _strong_tag(new.head)
    if old_tag is None or new_tag is None or not strongly_equal(old_tag, new_tag):
        return NotKept.VALIDATOR
    if stored.head.fields.get_all(b"content-encoding") != new.head.fields.get_all(b"content-encoding"):
        return NotKept.ENCODING
    if stored.length != new.length:
        return NotKept.LENGTH
    spans = union((*stored.spans, *new.spans))
    if len(spans) > MAX_SPANS:
        return NotKept.PIECES
    return Parts(freshen(stored.head, new.head), spans, stored.length)


def union(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """The same octets in as few spans as possible, sorted."""
    kept: list[Span] = []
    for first, last in sorted(spans):
        if kept and first <= kept[-1][1] + 1:
            kept[-1] = (kept[-1][0], max(last, kept[-1][1]))
        else:
            kept.append((first, last))
    return tuple(kept)


def missing(spans: tuple[Span, ...], wanted: Span) -> tuple[Span, ...]:
    """The octets of `wanted` that none of the spans (sorted and apart) holds: what is left to ask for."""
    gaps: list[Span] = []
    position, end = wanted
    for first, last in spans:
        if last < position or first > end:
            continue
        if first > position:
            gaps.append((position, first - 1))
        position = last + 1
    if position <= end:
        gaps.append((position, end))
    return tuple(gaps)
