"""A path in one spelling of the many that an origin reads alike: to tell entities apart, not to be forwarded.

    /a/%62/../c//d/      segments a, c, d      /a/c/d

Two spellings of one entity must meet in one lane, or its order is lost to whoever writes `%2D` for `-`. So
this goes further than RFC 3986 §6.2.2: segments are decoded whole, also where a reserved octet makes two
URIs of it (`a%40b`, `a@b`), and empty segments, dots and a slash at the end do not count. Where an origin
tells these apart all the same, two of its entities share a lane, which costs time only. What stays apart:

- `%2F` is an octet of a segment and no boundary: `group%2Fproject` is one name at those who use it.
- What only some origins read alike: the case of letters, `;parameters` of a segment, names in another
  Unicode normalization. Behind such an origin, write the entity from what it has made unique itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes

Segments = tuple[bytes, ...]
"""Decoded, none empty."""


def segments_of(path: bytes) -> Segments:
    """The segments of a path, decoded once, after dots were resolved (RFC 3986 §5.2.4)."""
    kept: list[bytes] = []
    for raw in path.split(b"/"):
        segment = unquote_to_bytes(raw) if b"%" in raw else raw
        if segment == b"..":
            del kept[-1:]
        elif segment and segment != b".":
            kept.append(segment)
    return tuple(kept)


def escaped(value: bytes) -> str:
    """The octets with all but the unreserved characters percent-encoded (RFC 3986 §2.3).

    Injective: two values are never written alike, and none holds a slash or another delimiter.
    """
    return value.decode() if value.isalnum() else quote(value, safe="")


def normal_path(segments: Iterable[bytes]) -> str:
    """The one spelling of these segments."""
    return "/" + "/".join(map(escaped, segments))
