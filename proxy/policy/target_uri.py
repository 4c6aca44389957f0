"""A URL as somebody writes it, read as the request that a client would send for it."""

from __future__ import annotations

import re

from proxy.errors import ClientError
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.authority import split_authority

_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_VISIBLE = re.compile(r"[!-~]*")

MAX_URL_CHARACTERS = 16_384


def request_of_url(url: str, *, method: str = "GET", fields: Fields | None = None) -> RequestHead:
    """The request for this URL; a fragment is dropped, as it is never sent (RFC 3986 §3.5).

    Raises: ClientError, which names what was found and what to write.
    """
    shown = repr(url[:100])
    if len(url) > MAX_URL_CHARACTERS:
        raise ClientError(
            f"the URL {shown}... has {len(url)} characters; at most {MAX_URL_CHARACTERS} are read"
        )
    match = _URL.fullmatch(url)
    if match is None:
        raise ClientError(f"the URL is {shown}; write it whole, as https://example.org/path")
    scheme, authority, target = match.groups()
    if not _VISIBLE.fullmatch(target):
        raise ClientError(f"the URL {shown} holds spaces or other than ASCII; write them percent-encoded")
    if not authority.isascii() or split_authority(authority.encode()) is None:
        raise ClientError(
            f"the URL is {shown}, whose host is {authority!r}; write a host, and a port if needed"
        )
    if not target.startswith("/"):
        target = f"/{target}"
    return RequestHead(
        method,
        target.encode(),
        fields or Fields(),
        scheme=scheme.lower(),
        authority=authority.encode(),
    )
