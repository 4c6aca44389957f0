"""What we did with a request, as the `Cache-Status` field tells it (RFC 9211)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from proxy.http.fields import Fields

_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*")  # sf-token, RFC 9651 §3.3.4
_LARGEST_INTEGER = 999_999_999_999_999  # RFC 9651 §3.3.1


class ForwardReason(StrEnum):
    """Why a request went to the origin (RFC 9211 §2.2)."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    VARY_MISS = "vary-miss"
    MISS = "miss"
    REQUEST = "request"
    STALE = "stale"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """One member of the list; None leaves its parameter out.

    `hit` and `fwd` exclude each other. `collapsed`: True for a waiter that was answered, False for one
    that had to go to the origin after all. `ttl` is negative for a stale answer. `key` and `detail` are
    any octets.
    """

    hit: bool = False
    fwd: ForwardReason | None = None
    fwd_status: int | None = None
    stored: bool = False
    collapsed: bool | None = None
    ttl: int | None = None
    key: bytes | None = None
    detail: str | None = None

    def __post_init__(self) -> None:
        assert not (self.hit and self.fwd), f"a hit was not forwarded, yet fwd={self.fwd}"


def format_cache_status(name: str, status: CacheStatus) -> bytes:
    """Our member of the list, under the name of this cache: a structured field item with parameters."""
    parts = [name if _TOKEN.fullmatch(name) else _string(name.encode())]
    if status.hit:
        parts.append("hit")
    if status.fwd is not None:
        parts.append(f"fwd={status.fwd.value}")
    if status.fwd_status is not None:
        parts.append(f"fwd-status={status.fwd_status}")
    if status.stored:
        parts.append("stored")
    if status.collapsed is not None:
        parts.append("collapsed" if status.collapsed else "collapsed=?0")
    if status.ttl is not None:
        parts.append(f"ttl={max(-_LARGEST_INTEGER, min(status.ttl, _LARGEST_INTEGER))}")
    if status.key is not None:
        parts.append(f"key={_string(status.key)}")
    if status.detail is not None:
        parts.append(f"detail={_string(status.detail.encode(errors='replace'))}")
    return "; ".join(parts).encode("ascii")


def _string(octets: bytes) -> str:
    """An sf-string (RFC 9651 §3.3.3); what it cannot hold is percent-encoded, and so is `%` itself."""
    return '"' + "".join(map(_in_string, octets)) + '"'


def _in_string(octet: int) -> str:
    if octet in b'"\\':
        return f"\\{chr(octet)}"
    if octet == 0x25 or not 0x20 <= octet <= 0x7E:
        return f"%{octet:02X}"
    return chr(octet)


def with_cache_status(fields: Fields, name: str, status: CacheStatus) -> Fields:
    """The fields with our member after those of the caches nearer to the origin (RFC 9211 §2)."""
    return fields.with_added((b"Cache-Status", format_cache_status(name, status)))
