"""Compression at the edge: who gets which coding of what, and under which head.

A stored response without content coding can be sent compressed. It is another representation then: with
its own ETag, and without what the origin said about octets that are not sent any more. The tag of a
coding is the origin's with a suffix, so that it can be traced back: `"abc"` becomes `"abc--gzip"`.

Source: RFC 9110 §8.4, §8.8.3, §12.5.3; RFC 9530 for digests.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache

from proxy.config.settings import CompressionSettings, ContentCoding, RouteSettings
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.cache_control import RequestDirectives, ResponseDirectives
from proxy.policy.conditional import entity_tag, parse_entity_tags
from proxy.policy.keys import vary_names
from proxy.policy.targeted import response_directives

IDENTITY = b"identity"

_WEIGHT = re.compile(rb"[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_CODING = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FULL = 1000
_USUAL_BYTES = 256
"""Longer values of Accept-Encoding are read each time: clients must not choose what is remembered of them."""
_ALIASES = {b"x-gzip": b"gzip"}  # RFC 9110 §8.4.1.3

_OF_OTHER_OCTETS = frozenset(
    {
        b"accept-ranges",  # a coded answer is given whole
        b"content-digest",  # of the octets on the wire, RFC 9530 §2
        b"content-length",
        b"content-md5",
        b"digest",  # RFC 3230, which RFC 9530 replaced
        b"etag",
        b"repr-digest",  # of the representation with its coding, RFC 9530 §3
    }
)

Weights = dict[bytes, int]
"""Lower-case codings, or `*`, with their weights in thousandths."""


def accepted_codings(value: bytes) -> Weights:
    """The codings that an Accept-Encoding names; a member that cannot be read is not accepted.

    What is named twice has the lower of its weights.

    Source: RFC 9110 §12.4.2, §12.5.3.
    """
    weights: Weights = {}
    for member in value.split(b","):
        coding, semicolon, parameter = member.partition(b";")
        name = coding.strip(b" \t").lower()
        if not _CODING.fullmatch(name):
            continue
        name = _ALIASES.get(name, name)
        weight = _weight(parameter.strip(b" \t")) if semicolon else _FULL
        weights[name] = min(weight, weights.get(name, _FULL))
    return weights


def _weight(parameter: bytes) -> int:
    match = _WEIGHT.fullmatch(parameter)
    return round(float(match[1]) * _FULL) if match else 0


def _accepts(weights: Weights, coding: bytes) -> int:
    return weights.get(coding, weights.get(b"*", 0))


def _identity_weight(weights: Weights) -> int | None:
    """None where the client does not say: identity is acceptable then, and the last to be preferred."""
    return weights.get(IDENTITY, 0 if weights.get(b"*") == 0 else None)


def preferred_coding(request: RequestHead, codings: tuple[ContentCoding, ...]) -> ContentCoding | None:
    """The coding that the client likes best of these; among equals the first. None for identity.

    A client that sends no Accept-Encoding would have to take anything; it gets identity all the same.
    """
    value = request.fields.get(b"accept-encoding")
    if value is None or not codings:
        return None
    return (_preferred if len(value) <= _USUAL_BYTES else _preferred.__wrapped__)(value, codings)


@lru_cache(maxsize=256)  # 6 µs of each compressed hit; browsers send a dozen values between them
def _preferred(value: bytes, codings: tuple[ContentCoding, ...]) -> ContentCoding | None:
    weights = accepted_codings(value)
    best = max(codings, key=lambda coding: _accepts(weights, coding.value.encode()))  # the first of equals
    weight = _accepts(weights, best.value.encode())
    if weight == 0 or weight < (_identity_weight(weights) or 0):
        return None
    return best


def takes_coding_of(request: RequestHead, head: ResponseHead) -> bool:
    """Whether the client said that it takes a response in the codings that this one has, or has none of.

    Without Accept-Encoding it would have to take anything; it is asked to take identity only.
    """
    weights = accepted_codings(request.fields.get(b"accept-encoding") or b"")
    codings = [coding.lower() for coding in head.fields.members(b"content-encoding")]
    if not codings:
        return _identity_weight(weights) != 0
    return all(_accepts(weights, _ALIASES.get(coding, coding)) for coding in codings)


def reduced_accept_encoding(fields: Fields, codings: tuple[ContentCoding, ...]) -> bytes | None:
    """The Accept-Encoding that tells an origin no more than which of these codings the client takes.

    None where the field must stay as it is: a client that refuses identity is not to be sent it.
    """
    weights = accepted_codings(fields.get(b"accept-encoding") or b"")
    if _identity_weight(weights) == 0:
        return None
    taken = (coding.value.encode() for coding in codings)
    return b", ".join(coding for coding in taken if _accepts(weights, coding)) or IDENTITY


class Uncompressed(StrEnum):
    """Why a response is not compressed, for anybody or for this request."""

    DISABLED = "disabled"
    STATUS = "status"
    TYPE = "type"
    LENGTH = "length"
    """Too short to be worth it, too long to be done, or not known."""
    ENCODED = "encoded"
    """It has a content coding."""
    NO_TRANSFORM = "no-transform"
    SIGNED = "signed"
    """HTTP message signatures may cover what would change (RFC 9421)."""
    RANGE = "range"
    COOKIE = "cookie"
    """Credentials, and the route does not allow it (BREACH)."""
    NOT_ACCEPTED = "not-accepted"


def not_compressible(head: ResponseHead, *, length: int | None, route: RouteSettings) -> Uncompressed | None:
    """Why nobody gets this response compressed; None if somebody may. `length` is its body's.

    Such a response varies on Accept-Encoding for everybody, those who get it as it is included.
    """
    settings = route.compression
    if not settings.enabled:
        return Uncompressed.DISABLED
    against = {
        Uncompressed.STATUS: head.status != 200,
        Uncompressed.TYPE: not _is_listed(head, settings),
        Uncompressed.LENGTH: length is None or not settings.min_bytes <= length <= settings.max_bytes,
        Uncompressed.ENCODED: b"content-encoding" in head.fields,
        Uncompressed.SIGNED: b"signature" in head.fields,
    }
    reason = next((reason for reason, holds in against.items() if holds), None)
    if reason is None and _forbids_transforming(head, route):
        return Uncompressed.NO_TRANSFORM
    return reason


def _is_listed(head: ResponseHead, settings: CompressionSettings) -> bool:
    value = head.fields.get(b"content-type") or b""
    media_type = value.partition(b";")[0].strip(b" \t").lower()
    return any(_type_pattern(pattern).fullmatch(media_type) for pattern in settings.types)


@lru_cache(maxsize=1024)
def _type_pattern(pattern: str) -> re.Pattern[bytes]:
    return re.compile(b"[^,]*".join(re.escape(part) for part in pattern.encode().split(b"*")))


def _forbids_transforming(head: ResponseHead, route: RouteSettings) -> bool:
    """`no-transform` binds every proxy, so Cache-Control counts even beside a targeted field."""
    if ResponseDirectives.parse(head.fields).no_transform:
        return True
    return response_directives(head.fields, cache=route.cache).no_transform


def coding_for(request: RequestHead, *, route: RouteSettings) -> ContentCoding | Uncompressed:
    """The coding in which this request gets a compressible response, or why it gets it as it is.

    With a Range it does: the client counts octets of what it has, which may well be identity.
    """
    settings = route.compression
    if b"range" in request.fields:
        return Uncompressed.RANGE
    if RequestDirectives.parse(request.fields).no_transform:
        return Uncompressed.NO_TRANSFORM
    if not settings.with_cookies and (b"cookie" in request.fields or b"authorization" in request.fields):
        return Uncompressed.COOKIE
    return preferred_coding(request, settings.codings) or Uncompressed.NOT_ACCEPTED


# heads


def varying_head(head: ResponseHead) -> ResponseHead:
    """The head of a compressible response as it is: with Accept-Encoding in Vary (RFC 9110 §12.5.5)."""
    names = vary_names(head)
    if names is None or b"accept-encoding" in names:
        return head
    return replace(head, fields=head.fields.with_added((b"Vary", b"Accept-Encoding")))


def coded_head(head: ResponseHead, coding: ContentCoding) -> ResponseHead:
    """The head of the response in this coding.

    Last-Modified stays: the origin's resource did not change. A weak ETag stays weak, one that is
    invalid goes.
    """
    tag = entity_tag(head.fields)
    added: list[Pair] = [(b"Content-Encoding", coding.value.encode())]
    if tag is not None:
        added.append((b"ETag", coded_tag(tag, coding)))
    fields = head.fields.without(_OF_OTHER_OCTETS).with_added(*added)
    return varying_head(replace(head, fields=fields))


# entity tags


def coded_tag(tag: bytes, coding: ContentCoding) -> bytes:
    """The tag of the coded representation of what has this tag."""
    return tag[:-1] + _suffix(coding)


def origin_tag(tag: bytes) -> bytes | None:
    """The origin's tag that a coded one was made from; None if it does not look like one of ours."""
    for coding in ContentCoding:
        if tag.endswith(_suffix(coding)):
            return tag.removesuffix(_suffix(coding)) + b'"'
    return None


def _suffix(coding: ContentCoding) -> bytes:
    return b'--%b"' % coding.value.encode()


def conditions_for_origin(fields: Fields) -> Fields:
    """The fields of a request with If-Match and If-None-Match as the origin can understand them.

    Beside each tag that looks like one of ours stands the origin's; the other stays, as the origin may
    make such tags itself. If-Range is left alone: what we call `"abc--gzip"` must not be continued with
    octets of `"abc"`.
    """
    for name, written in ((b"if-match", b"If-Match"), (b"if-none-match", b"If-None-Match")):
        tags = parse_entity_tags(fields.get(name) or b"")
        if tags is None or not any(map(origin_tag, tags)):
            continue
        origins = (origin for tag in tags if (origin := origin_tag(tag)) is not None)
        both = dict.fromkeys((*tags, *origins))
        fields = fields.with_set(written, b", ".join(both))
    return fields


def not_modified_for_client(request: RequestHead, head: ResponseHead) -> ResponseHead:
    """A 304 of the origin's with the tag that the client knows the representation by.

    Without it a client that has `"abc--gzip"` would look for what it stored as `"abc"`, and find nothing.
    """
    if head.status != 304:
        return head
    tag = entity_tag(head.fields)
    known = parse_entity_tags(request.fields.get(b"if-none-match") or b"") or ()
    if tag is None or tag in known:
        return head
    ours = next((one for one in known if (origin := origin_tag(one)) and _same_opaque(origin, tag)), None)
    return head if ours is None else replace(head, fields=head.fields.with_set(b"ETag", ours))


def _same_opaque(one: bytes, other: bytes) -> bool:
    return one.removeprefix(b"W/") == other.removeprefix(b"W/")
