"""Host and port as they stand in Host and in an absolute-form target (RFC 9110 §7.2, RFC 3986 §3.2)."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

DEFAULT_PORTS = {"http": b"80", "https": b"443"}

_LONGEST_HOST = 255

# reg-name less the comma: two Host lines joined by an intermediary must not pass for one name
_REG_NAME = re.compile(rb"(?:[0-9A-Za-z._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+")
_PORT = re.compile(rb"[0-9]{0,5}")


@lru_cache(maxsize=256)  # a site has a few, and each head is asked for its own
def split_authority(authority: bytes) -> tuple[bytes, bytes | None] | None:
    """Host and port (None if there is no colon), as sent; None if it is no valid authority.

    Userinfo is not accepted (RFC 9110 §4.2.4), nor an empty host, zone identifiers and future IP versions.
    """
    if authority.startswith(b"["):
        host, bracket, rest = authority.partition(b"]")
        host += bracket
        if rest and not rest.startswith(b":"):
            return None
        port = rest[1:] if rest else None
    else:
        host, colon, after = authority.partition(b":")
        port = after if colon else None
    if len(host) > _LONGEST_HOST or not (_is_ipv6(host) or _REG_NAME.fullmatch(host)):
        return None
    if port is not None and (not _PORT.fullmatch(port) or int(port or b"0") > 65535):
        return None
    return host, port


def _is_ipv6(host: bytes) -> bool:
    if not (host.startswith(b"[") and host.endswith(b"]")) or b"%" in host:
        return False
    try:
        ipaddress.IPv6Address(host[1:-1].decode("ascii"))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)  # half a dozen times for each new head
def normal_authority(authority: bytes, *, scheme: str) -> bytes:
    """The authority in lower case, without the port that is the scheme's default or empty (RFC 9110 §4.2.3).

    Takes any octets; what is no authority comes back in lower case.
    """
    authority = authority.lower()
    if authority.endswith(b":"):
        return authority[:-1]
    return authority.removesuffix(b":" + DEFAULT_PORTS[scheme]) if scheme in DEFAULT_PORTS else authority
