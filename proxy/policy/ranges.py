"""Range requests for octets (RFC 9110 §14).

One range is served from a response of known length. Several are answered with the whole, which
RFC 9110 §14.2 allows: the server may ignore Range.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.conditional import if_range_matches

MAX_RANGES = 16
"""More make the field ignored: many small ranges are an attack, not a download (RFC 9110 §17.15)."""

_RANGE = re.compile(rb"([0-9]{0,18})-([0-9]{0,18})")

_END = 10**18  # beyond every position that the grammar above takes

Span = tuple[int, int]
"""First and last octet, both included."""


@dataclass(frozen=True, slots=True)
class RangeSpec:
    """One range as asked for, both ends included.

    `last` None is up to the end; `first` None is the last `last` octets.
    """

    first: int | None
    last: int | None


def parse_range(value: bytes) -> tuple[RangeSpec, ...] | None:
    """The ranges of a Range field; None where the field is to be ignored.

    Ignored are other units than bytes, what breaks the grammar, more than `MAX_RANGES` ranges, and those
    that overlap as far as can be seen without the length.

    Source: RFC 9110 §14.1, §14.2.
    """
    unit, equals, ranges = value.partition(b"=")
    if unit.lower() != b"bytes" or not equals:
        return None
    members = [member for part in ranges.split(b",") if (member := part.strip(b" \t"))]
    if not 1 <= len(members) <= MAX_RANGES:
        return None
    specs = []
    for member in members:
        spec = _spec(member)
        if spec is None:
            return None
        specs.append(spec)
    return None if _overlap(specs) else tuple(specs)


def _spec(member: bytes) -> RangeSpec | None:
    match = _RANGE.fullmatch(member)
    if match is None or member == b"-":
        return None
    first = int(match[1]) if match[1] else None
    last = int(match[2]) if match[2] else None
    if first is not None and last is not None and last < first:
        return None
    return RangeSpec(first, last)


def _overlap(specs: list[RangeSpec]) -> bool:
    if sum(spec.first is None for spec in specs) > 1:
        return True
    reached = -1
    spans = [
        (spec.first, _END if spec.last is None else spec.last) for spec in specs if spec.first is not None
    ]
    for first, last in sorted(spans):
        if first <= reached:
            return True
        reached = last
    return False


def resolve(specs: tuple[RangeSpec, ...], length: int) -> tuple[Span, ...]:
    """The ranges that a representation of `length` octets can satisfy, in the order asked for.

    Empty if there is none: then the request is unsatisfiable (RFC 9110 §14.1.2, §15.5.17).
    """
    spans = (_span(spec, length) for spec in specs)
    return tuple(span for span in spans if span is not None)


def _span(spec: RangeSpec, length: int) -> Span | None:
    if spec.first is None:
        wanted = min(spec.last or 0, length)
        return (length - wanted, length - 1) if wanted else None
    if spec.first >= length:
        return None
    return spec.first, length - 1 if spec.last is None else min(spec.last, length - 1)


def content_range(first: int, last: int, length: int | None) -> bytes:
    """Content-Range of a 206; `length` None where the whole is not known (RFC 9110 §14.4)."""
    return b"bytes %d-%d/%b" % (first, last, b"*" if length is None else b"%d" % length)


def unsatisfied_range(length: int) -> bytes:
    """Content-Range of a 416 (RFC 9110 §14.4)."""
    return b"bytes */%d" % length


@dataclass(frozen=True, slots=True)
class Full:
    """The whole representation, with its own status."""


@dataclass(frozen=True, slots=True)
class Partial:
    """206 with the octets from `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """416 with `unsatisfied_range(length)`."""


RangeAnswer = Full | Partial | Unsatisfiable


def single_range(request: RequestHead, head: ResponseHead, *, length: int) -> RangeAnswer:
    """What a request gets from a response whose whole body has `length` octets.

    Other conditions are evaluated before (RFC 9110 §13.2.2); If-Range is evaluated here. An empty
    representation has no range to give and is sent whole.

    Source: RFC 9110 §14.2.
    """
    specs = wanted_ranges(request, head)
    if specs is None or len(specs) != 1 or length == 0:
        return Full()
    spans = resolve(specs, length)
    return Partial(*spans[0]) if spans else Unsatisfiable()


def wanted_ranges(request: RequestHead, head: ResponseHead) -> tuple[RangeSpec, ...] | None:
    """The ranges that apply to this response, None for the whole; its length need not be known."""
    values = request.fields.get_all(b"range")
    if request.method != "GET" or head.status != 200 or len(values) != 1:
        return None
    return parse_range(values[0]) if if_range_matches(request, head) else None
