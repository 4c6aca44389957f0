"""What has come from the origin and was not taken yet: bounded, and joined when it is taken."""

from __future__ import annotations

import asyncio

from proxy.errors import OriginError
from proxy.origin.connection import OriginConnection

HIGH_WATER_BYTES = 256 * 1024
"""Above this, reading from the socket pauses. Also the most that one `read` gives at once."""

LOW_WATER_BYTES = 64 * 1024
"""Below this, it goes on: early enough that the socket's own buffer bridges the pause."""

MAX_PIECES = 2048
"""Pieces that are held at once: an origin that sends octet by octet must not cost 60 times its octets."""


class Inbox:
    """Pieces between a connection and one reader; constant memory however long the body is."""

    __slots__ = ("_connection", "_ended", "_error", "_loop", "_paused", "_pieces", "_size", "_waiter")

    def __init__(self, connection: OriginConnection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection: OriginConnection | None = connection
        self._loop = loop
        self._pieces: list[bytes] = []  # a deque takes 600 octets, and mostly there is one piece
        self._size = 0
        self._paused = False
        self._ended = False
        self._error: OriginError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self._ended

    def put(self, piece: bytes) -> None:
        """Keep a piece that arrived; it is not empty."""
        self._pieces.append(piece)
        self._size += len(piece)
        if not self._paused and (self._size > HIGH_WATER_BYTES or len(self._pieces) > MAX_PIECES):
            self._paused = True
            if self._connection is not None:
                self._connection.pause_reading()
        self._wake()

    def end(self, error: OriginError | None = None) -> None:
        """Nothing more will come; `error` is raised after the last piece. The first end counts."""
        if self._ended:
            return
        self._ended = True
        self._error = error
        self._resume()
        self._connection = None
        self._wake()

    def close(self, error: OriginError) -> None:
        """Forget what was not taken; a body that was not read to its end raises `error` from now on."""
        if self._pieces:
            self._pieces.clear()
            self._size = 0
            self._error = self._error or error
        self.end(error)

    async def read(self, *, limit_s: float | None, complaint: str) -> bytes:
        """What has come, waiting for it; `b""` at the end.

        The time limit counts while we wait and never while the reader is elsewhere: a slow client is not
        the origin's fault.

        Raises: what `end` was given.
        """
        while not self._pieces:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return b""
            await self._wait(limit_s, complaint)
        return self._take()

    async def _wait(self, limit_s: float | None, complaint: str) -> None:
        assert self._waiter is None, "a body has one reader"
        self._waiter = self._loop.create_future()
        if limit_s is not None and self._connection is not None:
            self._connection.limit(limit_s, complaint)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._connection is not None:  # else it may be somebody else's by now
                self._connection.unlimit()

    def _take(self) -> bytes:
        pieces = self._pieces
        if len(pieces) == 1:
            piece = pieces.pop()
        elif self._size <= HIGH_WATER_BYTES:
            piece = b"".join(pieces)
            pieces.clear()
        else:
            room, count = HIGH_WATER_BYTES - len(pieces[0]), 1
            while count < len(pieces) and len(pieces[count]) <= room:
                room -= len(pieces[count])
                count += 1
            piece = b"".join(pieces[:count])
            del pieces[:count]
        self._size -= len(piece)
        if self._size <= LOW_WATER_BYTES:
            self._resume()
        return piece

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if self._connection is not None:
                self._connection.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
