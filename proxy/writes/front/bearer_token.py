"""The claims of a bearer JWT, unverified: for what may be got wrong without harm to anybody but its bearer.

The signature is checked by the origin, or by a gateway before us. So claims here say when a stored request
stops being worth sending, and whose a write is in the sense of `principal.py`; they open nothing.
"""

from __future__ import annotations

import binascii
import math
import re
from typing import Final

from proxy.http.fields import Fields
from proxy.writes.front.json_members import Members, member_at, parse_json

MAX_TOKEN_OCTETS: Final = 16_384

_BEARER: Final = re.compile(rb"bearer +([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*", re.IGNORECASE)


def claims_of(fields: Fields) -> Members:
    """The claims of the request's token; empty unless it has exactly one, a JWT that can be read.

    An encrypted one (five parts) cannot. Never raises.

    Source: RFC 6750 §2.1, RFC 7519 §7.2.
    """
    values = fields.get_all(b"authorization")
    if len(values) != 1 or len(values[0]) > MAX_TOKEN_OCTETS:
        return ()
    match = _BEARER.fullmatch(values[0].strip(b" \t"))
    if match is None:
        return ()
    try:
        claims = parse_json(_from_base64url(match[2]))
    except ValueError:
        return ()
    return claims if isinstance(claims, tuple) else ()


def claim(claims: Members, name: str) -> object:
    """One claim; None if it is not there, or there more than once (RFC 7519 §4)."""
    try:
        return member_at(claims, (name,))
    except ValueError:
        return None


def expiry_of(fields: Fields) -> float | None:
    """When the request's token expires, in Unix seconds; None if it says no time that can be read.

    A stored request is not to be sent after it: the origin would refuse it, and its client is gone.

    Source: RFC 7519 §4.1.4.
    """
    if b"authorization" not in fields:
        return None
    expiry = claim(claims_of(fields), "exp")
    if isinstance(expiry, bool) or not isinstance(expiry, int | float):
        return None
    try:
        expires_at = float(expiry)
    except OverflowError:  # later than any write
        return None
    return expires_at if math.isfinite(expires_at) else None


def _from_base64url(text: bytes) -> bytes:
    """Raises: ValueError (binascii.Error is one)."""
    padded = text.translate(_TO_BASE64) + b"=" * (-len(text) % 4)
    return binascii.a2b_base64(padded, strict_mode=True)


_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")
