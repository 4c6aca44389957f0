"""Octets from a client behind an upgrade, held until they are passed on."""

from __future__ import annotations

import asyncio
from typing import Protocol

HELD_BYTES = 256 * 1024
"""Above this, reading from the client pauses."""


class Pausable(Protocol):
    """Where the octets come from."""

    def hold(self) -> None:
        """Let the client wait. Idempotent."""

    def unhold(self) -> None:
        """Go on after `hold`. Idempotent."""


class TunnelInbox:
    """Octets from the client behind an upgrade, read by whoever passes them on."""

    __slots__ = ("_ended", "_octets", "_source", "_waiting")

    def __init__(self, source: Pausable) -> None:
        self._source = source
        self._octets = bytearray()
        self._ended = False
        self._waiting: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """More came."""
        self._octets += data
        if len(self._octets) > HELD_BYTES:
            self._source.hold()
        self._wake()

    def feed_eof(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._wake()

    async def read(self) -> bytes:
        """What came since, `b""` at the end."""
        while not self._octets and not self._ended:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        octets = bytes(self._octets)
        self._octets.clear()
        self._source.unhold()
        return octets

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
