"""Writes one response to a client: framing for its version, connection fields, octets counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.http.messages import RequestHead, ResponseHead
from proxy.http.rendering import render_fields, status_line

JOIN_BELOW_BYTES = 32 * 1024
"""A head and a body up to this size are copied into one piece: cheaper than a gathering write."""

BODYLESS_STATUSES = frozenset({204, 304})


class Outlet(Protocol):
    """Where a response is written to: a client connection, or what stands in its place."""

    @property
    def connected(self) -> bool:
        """Whether it is open."""

    @property
    def draining(self) -> bool:
        """Whether no further request will be taken from there."""

    def write(self, octets: bytes) -> None:
        """Send without waiting. Raises: ClientGone."""

    def write_pieces(self, pieces: Sequence[bytes]) -> None:
        """Send several pieces as one. Raises: ClientGone."""

    async def drain(self) -> None:
        """Wait until the client took enough. Raises: ClientGone."""

    def reset(self) -> None:
        """Cut it."""


class ResponseWriter:
    """The response to one request on a connection; nothing else writes there meanwhile."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_head_only",
        "_minor_version",
        "head_sent",
        "keep_alive",
        "sent_as_one",
        "sent_bytes",
        "status",
    )

    def __init__(self, connection: Outlet, *, keep_alive: bool) -> None:
        self._connection = connection
        self._head_only = False
        self._minor_version = 1
        self._chunked = False
        self.keep_alive = keep_alive
        self.head_sent = False
        self.sent_as_one: bytes | None = None
        """The whole response, where it was written in one piece."""
        self.status = 0
        self.sent_bytes = 0

    def meant_for(self, request: RequestHead) -> None:
        """What in the request decides on framing: its method and its version."""
        self._head_only = request.method == "HEAD"
        self._minor_version = request.minor_version

    def informational(self, head: ResponseHead) -> None:
        """Pass a 1xx on, if the client may know of it (RFC 9110 §15.2)."""
        if self._minor_version >= 1 and not self.head_sent and self._connection.connected:
            self._connection.write(
                status_line(head.status, head.reason) + render_fields(head.fields) + b"\r\n"
            )

    def _head(
        self, status: int, reason: bytes, lines: bytes, length: int | None, *, until_close: bool = False
    ) -> bytes:
        assert not self.head_sent, "a second response to one request"
        if self._connection.draining:  # asked now: the drain may have begun while the exchange waited
            self.keep_alive = False
        self.head_sent = True
        self.status = status
        bodyless = self.sends_no_body
        framing = b""
        if length is not None and status not in BODYLESS_STATUSES:
            framing = b"Content-Length: %d\r\n" % length
        elif not bodyless and self._minor_version >= 1 and not until_close:
            framing = b"Transfer-Encoding: chunked\r\n"
            self._chunked = True
        elif not bodyless:
            self.keep_alive = False
        if not self.keep_alive:
            connection = b"Connection: close\r\n"
        else:
            connection = b"" if self._minor_version >= 1 else b"Connection: keep-alive\r\n"
        return b"".join((status_line(status, reason), lines, framing, connection, b"\r\n"))

    @property
    def sends_no_body(self) -> bool:
        """Whether the response has no body, whatever its fields say (RFC 9112 §6.3)."""
        return self._head_only or self.status in BODYLESS_STATUSES

    def start(
        self, status: int, lines: bytes, *, reason: bytes = b"", length: int | None, until_close: bool = False
    ) -> None:
        """Send the head. With `length` None the end is told by chunks, to HTTP/1.0 by closing.

        `until_close`: the origin's own body ends with its connection, so that nobody can tell its end from
        a cut; then the client's shall not look any surer (DESIGN.md, D4).
        """
        self._connection.write(self._head(status, reason, lines, length, until_close=until_close))

    def whole(
        self, status: int, lines: bytes, pieces: Sequence[bytes], *, reason: bytes = b"", length: int
    ) -> None:
        """Send head and body at once, without waiting. Raises: ClientGone."""
        head = self._head(status, reason, lines, length)
        if self._head_only or not length:
            self._connection.write(head)
        elif length <= JOIN_BELOW_BYTES:
            self.sent_as_one = b"".join((head, *pieces))
            self._connection.write(self.sent_as_one)
            self.sent_bytes += length
        else:
            self._connection.write_pieces((head, *pieces))
            self.sent_bytes += length

    def repeat(self, other: ResponseWriter, octets: bytes) -> bool:
        """Send what was sent to another client as one; False if this connection is to say that it closes.

        Raises: ClientGone.
        """
        assert not self.head_sent, "a second response to one request"
        if self._connection.draining:
            return False
        self.head_sent = True
        self.status, self.sent_bytes = other.status, other.sent_bytes
        self._connection.write(octets)
        return True

    async def drained(self) -> None:
        """Wait until the client took enough of what was sent. Raises: ClientGone."""
        await self._connection.drain()

    def write_nowait(self, piece: bytes) -> None:
        """Send a short body of declared length without waiting. Raises: ClientGone."""
        self.sent_bytes += len(piece)
        self._connection.write(piece)

    async def write(self, piece: bytes) -> None:
        """Send a piece of the body, waiting while the client is slow. Raises: ClientGone."""
        self.sent_bytes += len(piece)
        if self._chunked:
            self._connection.write_pieces((b"%x\r\n" % len(piece), piece, b"\r\n"))
        else:
            self._connection.write(piece)
        await self._connection.drain()

    def finish(self) -> None:
        """The body is complete."""
        if self._chunked:
            self._connection.write(b"0\r\n\r\n")

    def switch(self, head: ResponseHead, lines: bytes) -> None:
        """Send a 101; the connection is a tunnel from now on."""
        self.head_sent = True
        self.status = head.status
        self.keep_alive = False
        self._connection.write(status_line(head.status, head.reason) + lines + b"\r\n")

    def abort(self) -> None:
        """The body cannot be completed: cut the connection, so that nobody takes what came for the whole."""
        self.keep_alive = False
        self._connection.reset()
