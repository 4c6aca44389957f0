"""Conditional requests: ours to the origin, the client's to us, and what a 304 does to what is stored.

RFC 9110 §13 and §8.8, RFC 9111 §4.3.
"""

from __future__ import annotations

import re
from dataclasses import replace

from proxy.http.dates import parse_http_date
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.freshness import single_date
from proxy.policy.hop_by_hop import HOP_BY_HOP, end_to_end

_ENTITY_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_SEPARATOR = re.compile(rb"[ \t]*(?:,[ \t]*)+|[ \t]*\Z")
_LEADING = re.compile(rb"[ \t,]*")

NOT_MODIFIED_FIELDS = frozenset(
    {b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary"}
)
"""What a 304 carries of the 200 it stands for (RFC 9110 §15.4.5)."""

_TOLD_BY_CACHES = frozenset({b"age", b"via", b"cache-status"})
"""Not representation metadata: about this answer and its way, so a 304 carries them as well."""

_NEVER_FRESHENED = HOP_BY_HOP | {b"content-length", b"content-encoding", b"content-range", b"set-cookie"}
"""What a 304 does not change in a stored response (RFC 9111 §3.2).

Content-Encoding and Content-Range describe the stored octets, which stay. Set-Cookie is for the client
whose request was answered; kept with the entry it would reach everybody.
"""


def parse_entity_tags(value: bytes) -> tuple[bytes, ...] | None:
    """The entity tags of a list as sent, `W/` included; None if it is no such list (RFC 9110 §13.1.2)."""
    leading = _LEADING.match(value)
    position = leading.end() if leading else 0
    tags = []
    while position < len(value):
        tag = _ENTITY_TAG.match(value, position)
        after = tag and _SEPARATOR.match(value, tag.end())
        if tag is None or not after:
            return None
        tags.append(tag.group())
        position = after.end()
    return tuple(tags) or None


def entity_tag(fields: Fields) -> bytes | None:
    """The response's ETag if it has one that is valid (RFC 9110 §8.8.3)."""
    values = fields.get_all(b"etag")
    return values[0] if len(values) == 1 and _ENTITY_TAG.fullmatch(values[0]) else None


def _opaque(tag: bytes) -> bytes:
    return tag.removeprefix(b"W/")


def weakly_equal(one: bytes, other: bytes) -> bool:
    """Weak comparison of entity tags (RFC 9110 §8.8.3.2)."""
    return _opaque(one) == _opaque(other)


def strongly_equal(one: bytes, other: bytes) -> bool:
    """Strong comparison of entity tags: weak ones equal nothing (RFC 9110 §8.8.3.2)."""
    return one == other and not one.startswith(b"W/")


# the client's conditions


def not_modified(request: RequestHead, entry_head: ResponseHead, *, now: float) -> bool:
    """Whether a client's condition makes the answer from this stored response a 304.

    If-Match and If-Unmodified-Since are the origin's to evaluate and are not looked at.

    Source: RFC 9110 §13.1.2, §13.1.3, §13.2; RFC 9111 §4.3.2.
    """
    if request.method not in ("GET", "HEAD") or not 200 <= entry_head.status < 300:
        return False
    if b"if-none-match" in request.fields:  # then If-Modified-Since does not count
        return _none_match_fails(request.fields, entry_head.fields)
    since_at = single_date(request.fields, b"if-modified-since", now=now)
    if since_at is None or len(request.fields.get_all(b"if-modified-since")) != 1:
        return False
    modified_at = single_date(entry_head.fields, b"last-modified", now=now)
    if modified_at is None and b"last-modified" not in entry_head.fields:
        modified_at = single_date(entry_head.fields, b"date", now=now)
    return modified_at is not None and modified_at <= since_at


def _none_match_fails(request_fields: Fields, entry_fields: Fields) -> bool:
    value = request_fields.get(b"if-none-match") or b""
    if value.strip(b" \t") == b"*":
        return True
    stored = entity_tag(entry_fields)
    wanted = parse_entity_tags(value)
    return stored is not None and wanted is not None and any(weakly_equal(tag, stored) for tag in wanted)


def if_range_matches(request: RequestHead, head: ResponseHead) -> bool:
    """Whether If-Range lets a Range be answered from this response; True where there is none.

    A date counts only if it is a strong validator: the response was generated at least a second after
    it (RFC 9110 §8.8.2.2), by the one clock of the origin that wrote both.

    Source: RFC 9110 §13.1.5.
    """
    values = request.fields.get_all(b"if-range")
    if len(values) != 1:
        return not values
    value = values[0]
    if value.startswith((b'"', b"W/")):
        stored = entity_tag(head.fields)
        return stored is not None and strongly_equal(value, stored)
    generated_at = single_date(head.fields, b"date", now=0.0)
    now = generated_at or 0.0  # places two-digit years, the same way for both
    modified_at = single_date(head.fields, b"last-modified", now=now)
    if modified_at is None or generated_at is None or generated_at - modified_at < 1:
        return False
    return parse_http_date(value, now=now) == modified_at


# validation


def has_validator(head: ResponseHead) -> bool:
    """Whether it can be revalidated: a valid ETag or Last-Modified."""
    return bool(revalidation_fields(head))


def revalidation_fields(head: ResponseHead) -> tuple[Pair, ...]:
    """The conditions of a request that revalidates a stored response; empty if it has no validator.

    Source: RFC 9111 §4.3.1.
    """
    fields: list[Pair] = []
    tag = entity_tag(head.fields)
    if tag is not None:
        fields.append((b"If-None-Match", tag))
    if single_date(head.fields, b"last-modified", now=0.0) is not None:
        fields.append((b"If-Modified-Since", head.fields.get_all(b"last-modified")[0]))
    return tuple(fields)


def same_representation(stored: ResponseHead, validation: ResponseHead, *, bare_matches: bool = True) -> bool:
    """Whether a 304 is about the stored response, the only one whose validators were sent.

    A strong ETag must be the stored one; a weak one may correspond to it; without ETag Last-Modified must
    be the same. A 304 without any validator matches: RFC 9111 §4.3.4 wants the stored response to have
    none either, but many origins leave them out, and there was one validator it can have meant. A
    departure, which `bare_matches` switches off.

    Source: RFC 9111 §4.3.4.
    """
    if b"etag" in validation.fields:
        new, old = entity_tag(validation.fields), entity_tag(stored.fields)
        if new is None or old is None:
            return False
        return weakly_equal(new, old) if new.startswith(b"W/") else strongly_equal(new, old)
    if b"last-modified" in validation.fields:
        new_at = single_date(validation.fields, b"last-modified", now=0.0)
        return new_at is not None and new_at == single_date(stored.fields, b"last-modified", now=0.0)
    return bare_matches or not has_validator(stored)


def freshen(stored: ResponseHead, validation: ResponseHead) -> ResponseHead:
    """The stored head with the fields of a 304 in place of its own.

    Age and Cache-Status of the stored response go: they told of a way that is past. What the 304 says of
    sharing (`private`, `Vary`) is in the result: judge it again.

    Source: RFC 9111 §3.2, §4.3.4.
    """
    news = end_to_end(validation.fields).without(_NEVER_FRESHENED)
    replaced = {name.lower() for name, _ in news} | {b"age", b"cache-status"}
    return replace(stored, fields=stored.fields.without(replaced).with_added(*news))


def not_modified_head(head: ResponseHead) -> ResponseHead:
    """The 304 that stands for this 200; Last-Modified is in it where there is no ETag (RFC 9110 §15.4.5)."""
    kept = NOT_MODIFIED_FIELDS | _TOLD_BY_CACHES
    if b"etag" not in head.fields:
        kept |= {b"last-modified"}
    return ResponseHead(
        status=304,
        fields=Fields(pair for pair in head.fields if pair[0].lower() in kept),
        reason=b"Not Modified",
        minor_version=head.minor_version,
    )
