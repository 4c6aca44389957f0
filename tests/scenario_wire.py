"""One end of a connection in a scenario: octets as they are, and strict reading of HTTP/1 from them.

Nothing is repaired here. A message that a careful reader would not take for whole raises `Cut`, one that
breaks the grammar raises `Malformed`; so a test that got a message got a proper one.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
from collections.abc import Callable, Iterable
from typing import cast

from proxy.http.fields import Fields, Pair
from proxy.transports import abort

DEADLINE_S = 10.0
"""Far above what anything here takes, also on a busy machine: only a test that fails waits this long."""

_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_SHOWN_BYTES = 300


class Cut(AssertionError):
    """The connection ended before the message did. `octets` is what had come of the body."""

    def __init__(self, why: str, octets: bytes = b"") -> None:
        super().__init__(why)
        self.octets = octets


class Malformed(AssertionError):
    """What came is not HTTP/1 as RFC 9112 has it."""


class Transcript:
    """What passed on every connection, in order: `>>` received, `<<` sent."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str, bytes, int]] = []

    def note(self, who: str, direction: str, octets: bytes) -> None:
        """Keep the beginning of a segment and its size."""
        self._lines.append((who, direction, octets[:_SHOWN_BYTES], len(octets)))

    def __str__(self) -> str:
        return "\n".join(
            f"{who:>12} {direction} {shown!r}{f' … {size} octets' if size > len(shown) else ''}"
            for who, direction, shown, size in self._lines
        )


def field_pairs(fields: Iterable[Pair], named: dict[str, object]) -> tuple[Pair, ...]:
    """Field lines from pairs and from keywords: `cache_control="no-store"` is `Cache-Control: no-store`.

    A keyword's value may be a list, for several lines.
    """
    lines = list(fields)
    for name, value in named.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            octets = one if isinstance(one, bytes) else str(one).encode()
            lines.append((name.replace("_", "-").title().encode(), octets))
    return tuple(lines)


def render_head(start: bytes, pairs: Iterable[Pair]) -> bytes:
    """A head as octets."""
    return start + b"\r\n" + b"".join(b"%b: %b\r\n" % pair for pair in pairs) + b"\r\n"


def parse_head(raw: bytes) -> tuple[bytes, Fields]:
    """Start line and fields of a head, its empty line included. Raises: Malformed."""
    start, *lines = raw[:-4].split(b"\r\n")
    pairs = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Malformed(f"not a field line: {line!r}")
        pairs.append((match[1], match[2].rstrip(b" \t")))
    return start, Fields(pairs)


class Wire(asyncio.Protocol):
    """One end of a connection."""

    def __init__(
        self, name: str, transcript: Transcript, *, made: Callable[[Wire], None] | None = None
    ) -> None:
        self.name = name
        self.received = bytearray()
        self.taken_bytes = 0
        """Octets received in all."""
        self.ended = False
        """The other end closed its direction, or the connection."""
        self.lost = False
        self.was_reset = False
        self._transcript = transcript
        self._made = made
        self._changed: list[asyncio.Future[None]] = []
        self._transport: asyncio.Transport | None = None

    def __repr__(self) -> str:
        state = "reset" if self.was_reset else "lost" if self.lost else "ended" if self.ended else "open"
        return f"<Wire {self.name} {state} {len(self.received)} unread>"

    # from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._made is not None:
            self._made(self)

    def data_received(self, data: bytes) -> None:
        self._transcript.note(self.name, ">>", data)
        self.received += data
        self.taken_bytes += len(data)
        self._wake()

    def eof_received(self) -> bool:
        self._transcript.note(self.name, ">>", b"<end>")
        self.ended = True
        self._wake()
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.was_reset = isinstance(exc, ConnectionError)
        self._transcript.note(self.name, ">>", b"<reset>" if self.was_reset else b"<closed>")
        self.ended = self.lost = True
        self._wake()

    # waiting

    def _wake(self) -> None:
        changed, self._changed = self._changed, []
        for future in changed:
            if not future.done():
                future.set_result(None)

    async def until(self, condition: Callable[[], object], what: str, *, dead: bool = False) -> None:
        """Wait for the condition, looked at whenever something happens on this wire.

        Raises: Cut if the connection ends before, unless `dead`; AssertionError after the deadline.
        """
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():
                    if self.ended and not dead:
                        raise Cut(f"{self!r} ended before {what}", bytes(self.received))
                    future = asyncio.get_running_loop().create_future()
                    self._changed.append(future)
                    await future
        except TimeoutError:
            raise AssertionError(f"{self!r}: no {what} within {DEADLINE_S:g} s") from None

    async def closed(self) -> None:
        """Wait until the other end has closed."""
        await self.until(lambda: self.ended, "end", dead=True)

    # reading

    def take_nowait(self, count: int) -> bytes:
        """Octets that are there."""
        assert len(self.received) >= count, f"{self!r} has no {count} octets"
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    async def take(self, count: int, what: str = "octets") -> bytes:
        """So many octets."""
        await self.until(lambda: len(self.received) >= count, what)
        return self.take_nowait(count)

    async def take_to(self, end: bytes, what: str) -> bytes:
        """Octets up to and including `end`."""
        await self.until(lambda: end in self.received, what)
        return self.take_nowait(self.received.index(end) + len(end))

    async def head(self) -> bytes:
        """A whole head."""
        return await self.take_to(b"\r\n\r\n", "whole head")

    async def body(self, fields: Fields, *, until_close: bool) -> tuple[bytes, Fields]:
        """The body that these fields frame, and its trailers.

        `until_close`: without framing it ends with the connection, and that must be a clean end.
        """
        if b"transfer-encoding" in fields:
            if fields.get(b"transfer-encoding") != b"chunked" or b"content-length" in fields:
                raise Malformed(f"framing in two ways: {fields!r}")
            return await self._chunks()
        length = fields.get(b"content-length")
        if length is not None:
            if not length.isdigit():
                raise Malformed(f"Content-Length {length!r}")
            return await self.take(int(length), "whole body"), Fields()
        if not until_close:
            return b"", Fields()
        await self.until(lambda: self.ended, "end of the body", dead=True)
        body = self.take_nowait(len(self.received))
        await self.until(lambda: self.lost or not self.was_reset, "end of the body", dead=True)
        if self.was_reset:
            raise Cut(f"{self!r}: reset inside a body that ends with its connection", body)
        return body, Fields()

    async def _chunks(self) -> tuple[bytes, Fields]:
        content = bytearray()
        try:
            while True:
                size = (await self.take_to(b"\r\n", "chunk size"))[:-2]
                if not _CHUNK_SIZE.fullmatch(size):
                    raise Malformed(f"chunk size {size!r}")
                count = int(size, 16)
                if not count:
                    break
                content += await self.take(count, "whole chunk")
                if await self.take(2, "end of the chunk") != b"\r\n":
                    raise Malformed("a chunk without CRLF")
            raw = await self.take(2, "end of the chunks")
            if raw != b"\r\n":
                raw += await self.head()
            return bytes(content), parse_head(b"\r\n" + raw)[1] if raw != b"\r\n" else Fields()
        except Cut as cut:
            raise Cut(str(cut), bytes(content) + cut.octets) from None

    # writing

    def send(self, octets: bytes) -> None:
        """Send these octets."""
        assert self._transport is not None, f"{self!r} is not connected"
        self._transcript.note(self.name, "<<", octets)
        self._transport.write(octets)

    @property
    def unsent_bytes(self) -> int:
        """Octets that the kernel has not taken, since the other end does not read."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def half_close(self) -> None:
        """Say that nothing more will come."""
        assert self._transport is not None
        self._transport.write_eof()

    def close(self) -> None:
        """Close, after what was sent."""
        if self._transport is not None:
            self._transcript.note(self.name, "<<", b"<close>")
            self._transport.close()

    def reset(self) -> None:
        """Close with RST, at once."""
        assert self._transport is not None
        self._transcript.note(self.name, "<<", b"<reset>")
        # By a duplicate, as the loops' own sockets do not all let their options be set.
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as sock:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def abort(self) -> None:
        """Close at once, whatever was to be sent."""
        if self._transport is not None:
            abort(self._transport)

    def pause(self) -> None:
        """Take nothing more."""
        assert self._transport is not None
        self._transport.pause_reading()

    def resume(self) -> None:
        """Take again."""
        assert self._transport is not None
        self._transport.resume_reading()
