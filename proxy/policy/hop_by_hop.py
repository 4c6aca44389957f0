"""Fields of one connection only, and what is left without them (RFC 9110 §7.6.1)."""

from __future__ import annotations

from dataclasses import replace

from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.http.remembered import Remembered

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Never stored or forwarded, whether Connection names them or not.

The three of proxy authentication are among them: they are for the next proxy that asks for credentials,
which we do not, and they must not be stored (RFC 9110 §11.7, RFC 9111 §3.1). `trailer` is, since trailers
are dropped.
"""

_NOT_END_TO_END = HOP_BY_HOP | {b"content-length"}

_NEVER_CONNECTION_SPECIFIC = frozenset(
    {
        b"age",
        b"authorization",
        b"cache-control",
        b"cache-status",
        b"cookie",
        b"date",
        b"etag",
        b"expires",
        b"forwarded",
        b"host",
        b"last-modified",
        b"location",
        b"origin",
        b"pragma",
        b"range",
        b"referer",
        b"set-cookie",
        b"vary",
        b"via",
        b"www-authenticate",
    }
)
_NEVER_CONNECTION_SPECIFIC_PREFIXES = (b"content-", b"if-", b"x-forwarded-", b"sec-", b"access-control-")


def may_be_named(name: bytes) -> bool:
    """Whether naming this field in Connection takes it away.

    A departure from RFC 9110 §7.6.1, which drops whatever is named: a sender must not name fields meant
    for the recipient of the content, and those who do want a proxy to strip the credentials, the client
    address or the `private` that the other side relies on. Such a name is ignored, the field is passed on.
    """
    return name not in _NEVER_CONNECTION_SPECIFIC and not name.startswith(_NEVER_CONNECTION_SPECIFIC_PREFIXES)


def end_to_end(fields: Fields) -> Fields:
    """The fields less the hop-by-hop ones, those that Connection names, and Content-Length.

    Content-Length goes because whoever writes the message writes its framing: see `declared_length`.
    Idempotent. It takes away before anything is added, so that a peer can take away nothing of ours.
    """
    if fields.get(b"connection") in (None, b"keep-alive"):
        return fields.without(_NOT_END_TO_END)
    return fields.without(hop_by_hop_names(fields) | {b"content-length"})


def _end_to_end_head(head: ResponseHead) -> ResponseHead:
    return replace(head, fields=end_to_end(head.fields))


end_to_end_head = Remembered(_end_to_end_head).of
"""The head with its end-to-end fields alone; the same object for the same head."""


def hop_by_hop_names(fields: Fields) -> frozenset[bytes]:
    """Lower-case names of what is hop-by-hop in this message: the standard set, and what Connection names."""
    if b"connection" not in fields:
        return HOP_BY_HOP
    if fields.get(b"connection") == b"keep-alive":
        return HOP_BY_HOP
    named = {name.lower() for name in fields.members(b"connection")}
    return HOP_BY_HOP.union(filter(may_be_named, named))


def declared_length(fields: Fields) -> int | None:
    """Octets that Content-Length declares; None if it is absent, invalid, or said twice differently.

    Of use where no body comes: for the answer to a HEAD (RFC 9110 §8.6).
    """
    values = set(fields.get_all(b"content-length"))
    if len(values) != 1:
        return None
    value = values.pop()
    return int(value) if value.isdigit() and len(value) <= 18 else None
