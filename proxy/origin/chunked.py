"""Chunked bodies, read by llhttp in strict mode; extensions and trailers are read and dropped.

Trailers are dropped because a proxy that does not know a trailer's meaning may (RFC 9110 §6.5.1), and
because a field that appears after the head has been judged must not change what was decided.
"""

from __future__ import annotations

import httptools

_PRELUDE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_END = b"\r\n\r\n"


class ChunkDefect(Exception):
    """What is wrong with the framing; `good` is the content that arrived before it."""

    def __init__(self, message: str, good: bytes) -> None:
        super().__init__(message)
        self.good = good


class ChunkedReader:
    """Takes the octets of one chunked body and gives its content (RFC 9112 §7.1)."""

    __slots__ = ("_idle_octets", "_max_idle_octets", "_parser", "_pieces", "_tail", "finished", "surplus")

    def __init__(self, *, max_framing_octets: int) -> None:
        self.finished = False
        """The last chunk and the trailers were read."""
        self.surplus = False
        """Octets came after the end; they belong to nothing that was asked for."""
        self._pieces: list[bytes] = []
        self._tail = b""
        self._idle_octets = 0
        self._max_idle_octets = max_framing_octets
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._parser.feed_data(_PRELUDE)

    # Called by the parser.

    def on_body(self, piece: bytes) -> None:
        if not self.finished:  # else it is the body of an answer that nobody asked for
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.finished = True

    def on_message_begin(self) -> None:
        self.surplus = self.finished

    def feed(self, octets: bytes) -> bytes:
        """The content in these octets; empty if they hold framing only.

        Raises: ChunkDefect.
        """
        assert self._parser is not None, "the reader was closed"
        try:
            self._parser.feed_data(octets)
        except httptools.HttpParserError as error:
            if not self.finished:
                raise ChunkDefect(str(error), self._take()) from error
            self.surplus = True
        content = self._take()
        # What llhttp collects of a trailer, and what it skips of an extension, has no bound of its own.
        self._idle_octets = 0 if content else self._idle_octets + len(octets)
        if self._idle_octets > self._max_idle_octets and not self.finished:
            raise ChunkDefect(
                f"more than {self._max_idle_octets} octets of chunk extensions or trailers", content
            )
        self._note_end(octets)
        return content

    def close(self) -> None:
        """Break the cycle of parser and callbacks, so that memory does not wait for the collector."""
        self._parser = None

    def _take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _note_end(self, octets: bytes) -> None:
        # llhttp skips CR and LF before a next message without a word. A body ends with exactly one empty
        # line, whose CRLF CRLF may lie in two segments.
        tail = self._tail + octets[-6:]
        if self.finished and (not tail.endswith(_END) or tail.endswith(b"\r\n" + _END)):
            self.surplus = True
        self._tail = tail[-6:]
