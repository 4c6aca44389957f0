"""Answers that no server should give, written as bytes past every check of the HTTP library.

Each is a function of the body that would have been sent, and the connection is closed after it (but for
`extra-response`, where a second answer waits on the connection for the next request).
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

_STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
_TYPE = b"Content-Type: application/octet-stream\r\n"


def _head(*lines: bytes) -> bytes:
    return _STATUS_LINE + _TYPE + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def _length(octets: int) -> bytes:
    return b"Content-Length: %d" % octets


def _with_length(body: bytes, declared: int) -> bytes:
    return _head(_length(declared), b"Cache-Control: max-age=60") + body


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n" % len(body) + body + b"\r\n"


def _extra_response(body: bytes) -> bytes:
    poison = b"poison"
    return _with_length(body, len(body)) + _with_length(poison, len(poison))


RAW_KINDS: dict[str, Callable[[bytes], bytes]] = {
    # Framing that lies.
    "length-long": lambda body: _with_length(body, len(body) + 10),
    "length-short": lambda body: _with_length(body, max(0, len(body) - 10)),
    "two-lengths": lambda body: _head(_length(len(body)), _length(len(body) + 1)) + body,
    "bad-length": lambda body: _head(b"Content-Length: +%d" % len(body)) + body,
    "length-and-chunked": lambda body: (
        _head(_length(3), b"Transfer-Encoding: chunked") + _chunk(body) + b"0\r\n\r\n"
    ),
    "bad-chunk": lambda body: _head(b"Transfer-Encoding: chunked") + _chunk(body) + b"zz\r\nnothing\r\n",
    "chunks-cut": lambda body: _head(b"Transfer-Encoding: chunked") + _chunk(body),
    "close-delimited": lambda body: _head(b"Connection: close", b"Cache-Control: max-age=60") + body,
    "extra-response": _extra_response,
    # Heads that break the grammar.
    "garbage": lambda body: b"\x00\x01this is not HTTP\r\n\r\n" + body,
    "empty": lambda _body: b"",
    "head-cut": lambda _body: _STATUS_LINE + b"Content-Le",
    "bare-lf": lambda body: _head(_length(len(body))).replace(b"\r\n", b"\n") + body,
    "obs-fold": lambda body: _head(b"X-Folded: a\r\n b", _length(len(body))) + body,
    "nul": lambda body: _head(b"X-Nul: a\x00b", _length(len(body))) + body,
    "space-before-colon": lambda body: _head(b"X-Space : a", _length(len(body))) + body,
    "huge-head": lambda body: _head(b"X-Huge: " + b"h" * 300_000, _length(len(body))) + body,
    "bad-status": lambda body: b"HTTP/1.1 2000 Too Much\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
    "http-0.9": lambda body: body,
}
"""Name to the octets on the wire; `http-0.9` is the body alone."""

_STAYS_OPEN = frozenset({"extra-response"})


class RawResponse(web.StreamResponse):
    """Octets written to the connection as they are."""

    def __init__(self, kind: str, body: bytes) -> None:
        super().__init__()
        self._octets = RAW_KINDS[kind](body)
        self._closes = kind not in _STAYS_OPEN

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything; closing the transport sends what is buffered first."""
        transport = request.transport
        if transport is not None:
            transport.write(self._octets)
            if self._closes:
                transport.close()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be said."""

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection waits for another request."""
        return not self._closes
