"""Several ranges in one answer: `multipart/byteranges` (RFC 9110 §14.6), planned before it is sent.

Of a body in memory all is known beforehand: the parts, what stands between them and the length of it
all, so that the answer has a Content-Length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.ranges import (
    Full,
    Partial,
    Span,
    Unsatisfiable,
    content_range,
    resolve,
    wanted_ranges,
)

_BOUNDARY = re.compile(rb"[0-9A-Za-z]{24,70}")
"""Of RFC 2046 §5.1.1 only what needs no quotes; long enough that no body holds it by chance."""

PART_OVERHEAD_BYTES = 80
"""What a part costs beside its octets. Ranges nearer to each other than this are sent as one
(RFC 9110 §15.3.7.2)."""


@dataclass(frozen=True, slots=True)
class Several:
    """206 with these parts, in the order asked for."""

    spans: tuple[Span, ...]


def ranges(
    request: RequestHead, head: ResponseHead, *, length: int
) -> Full | Partial | Several | Unsatisfiable:
    """What a request gets from a response whose whole body has `length` octets.

    As `ranges.single_range`, and several parts where several are asked for. The whole is sent where the
    parts would not be less: overlapping ranges and many small ones cost more to send than they save
    (RFC 9110 §17.15), and the number is bounded when the field is parsed.
    """
    specs = wanted_ranges(request, head)
    if specs is None or length == 0:
        return Full()
    found = resolve(specs, length)
    if not found:
        return Unsatisfiable()
    spans = joined(found)
    if len(spans) == 1:
        return Partial(*spans[0])
    cost = sum(last - first + 1 + PART_OVERHEAD_BYTES for first, last in spans)
    return Full() if _overlap(spans) or cost >= length else Several(spans)


def joined(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Neighbours that follow each other within a part's overhead, as one; the order stays."""
    kept: list[Span] = []
    for first, last in spans:
        if kept and kept[-1][0] <= first <= kept[-1][1] + PART_OVERHEAD_BYTES:
            kept[-1] = (kept[-1][0], max(last, kept[-1][1]))
        else:
            kept.append((first, last))
    return tuple(kept)


def _overlap(spans: tuple[Span, ...]) -> bool:
    return any(one[1] >= other[0] for one, other in pairwise(sorted(spans)))


@dataclass(frozen=True, slots=True)
class Part:
    """What is written before the octets of a span, and the span: both ends included."""

    head: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Multipart:
    """A planned answer: each part in turn, then `ending`; `length` octets in all."""

    content_type: bytes
    parts: tuple[Part, ...]
    ending: bytes
    length: int


def multipart(spans: tuple[Span, ...], *, head: ResponseHead, length: int, boundary: bytes) -> Multipart:
    """The plan for these spans of a body of `length` octets.

    The caller draws `boundary` at random, 24 to 70 letters and digits: one that can be foretold lets the
    body end its own part. The answer's Content-Type is `content_type`; the representation's own stands in
    each part, and its Content-Range only there (RFC 9110 §15.3.7.2).
    """
    assert _BOUNDARY.fullmatch(boundary), f"{boundary!r} is no boundary"
    media_type = head.fields.get_all(b"content-type")
    own = b"Content-Type: %b\r\n" % media_type[0] if len(media_type) == 1 else b""
    parts = tuple(
        Part(
            head=b"\r\n--%b\r\n%bContent-Range: %b\r\n\r\n" % (boundary, own, content_range(*span, length)),
            first=span[0],
            last=span[1],
        )
        for span in spans
    )
    ending = b"\r\n--%b--\r\n" % boundary
    octets = sum(len(part.head) + part.last - part.first + 1 for part in parts)
    return Multipart(
        content_type=b"multipart/byteranges; boundary=%b" % boundary,
        parts=parts,
        ending=ending,
        length=octets + len(ending),
    )
