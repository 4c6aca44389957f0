"""The request head as octets: written from validated parts, then proved line by line (RFC 9112 §3, §5)."""

from __future__ import annotations

import re

from proxy.errors import ClientError, ProxyError, UnknownMethod
from proxy.http.fields import Pair
from proxy.origin.port import ForwardRequest

# The whole head in one pass; possessive, so that a head that does not match is not searched again.
_HEAD = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++ [\x21-\x7e\x80-\xff]++ HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: [\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n"
)

_WRITTEN_HERE = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect", b"te", b"trailer")
)

_EXPECTS_CONTENT = frozenset(("POST", "PUT", "PATCH"))


def sends_body(request: ForwardRequest) -> bool:
    """Whether octets follow the head."""
    return request.body is not None and request.body.length != 0


def write_request_head(request: ForwardRequest, *, authority: bytes) -> bytes:
    """The head's octets, Host first (RFC 9110 §7.2); a Host that is absent or empty becomes `authority`.

    Raises: ClientError if a part holds octets that would end its line or break its grammar; UnknownMethod
    for CONNECT, whose answer is a tunnel that we do not make; ProxyError if the fields contain framing,
    which is written here alone.
    """
    known, place = request.written, (request.method, authority)
    if known is not None and place in known:
        return known[place]
    if request.method == "CONNECT":
        raise UnknownMethod("CONNECT is not forwarded (RFC 9110 §9.3.6)")
    host: bytes | None = None
    lines: list[bytes] = []
    for name, value in request.fields:
        lowered = name.lower()
        if lowered == b"host":
            if host is not None:
                raise ClientError("a request has one Host field (RFC 9112 §3.2)")
            host = value
        elif lowered in _WRITTEN_HERE:
            raise ProxyError(f"{name!r} belongs to the connection: a forward request's fields cannot hold it")
        else:
            lines.append(b"%b: %b\r\n" % (name, value))
    lines.extend(b"%b: %b\r\n" % pair for pair in _framing(request))
    method = request.method.encode("latin-1", "replace")
    start = b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method, request.target, host or authority)
    head = b"%b%b\r\n" % (start, b"".join(lines))
    # The grammar proves that each line is one field; the count, that no part brought a line of its own.
    if _HEAD.fullmatch(head) is None or head.count(b"\n") != len(lines) + 3:
        raise ClientError(
            f"{request.method} request: its target or a field holds CR, LF, NUL or another octet that "
            "cannot be sent on (RFC 9110 §5.5)"
        )
    if known is not None:
        known[place] = head
    return head


def _framing(request: ForwardRequest) -> list[Pair]:
    pairs: list[Pair] = []
    if request.upgrade is not None:
        pairs.append((b"Connection", b"Upgrade"))
        pairs.append((b"Upgrade", request.upgrade))
    body = request.body
    if body is None:
        if request.method in _EXPECTS_CONTENT:  # RFC 9110 §8.6: else some origins wait for a body
            pairs.append((b"Content-Length", b"0"))
    elif body.length is None:
        pairs.append((b"Transfer-Encoding", b"chunked"))
    else:
        pairs.append((b"Content-Length", b"%d" % body.length))
    if request.expect_continue and sends_body(request):
        pairs.append((b"Expect", b"100-continue"))
    return pairs
