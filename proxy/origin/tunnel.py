"""The connection after 101 Switching Protocols: octets both ways, nothing of them understood."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.errors import OriginBodyCut
from proxy.origin.connection import OriginConnection
from proxy.origin.inbox import Inbox


class OriginTunnel:
    """The origin's end of an upgraded connection.

    Idle limits are the caller's: only it sees both directions.
    """

    __slots__ = ("_connection", "_inbox", "_on_end")

    def __init__(
        self,
        connection: OriginConnection,
        loop: asyncio.AbstractEventLoop,
        *,
        on_end: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._inbox = Inbox(connection, loop)
        self._on_end: Callable[[], None] | None = on_end

    # Called by the connection.

    def data_received(self, octets: bytes) -> None:
        self._inbox.put(octets)

    def eof_received(self) -> bool:
        self._inbox.end()
        return True  # what we still have to say may be said

    def connection_lost(self, error: Exception | None) -> None:
        # An end without an error is one that `eof_received` has told already, or our own close.
        cut = None
        if error is not None:
            cut = OriginBodyCut(f"{self._connection.label}: the upgraded connection broke: {error}")
            cut.__cause__ = error
        self._inbox.end(cut)
        self._finish()

    def timed_out(self, complaint: str) -> None:
        raise AssertionError(f"a tunnel sets no time limit: {complaint}")

    # Called by the owner.

    async def read(self) -> bytes:
        """The next octets, `b""` when the origin has closed.

        Raises: OriginBodyCut if the connection broke.
        """
        return await self._inbox.read(limit_s=None, complaint="")

    async def write(self, octets: bytes) -> None:
        """Send, waiting while the origin is slow.

        Raises: OriginBodyCut if the connection is gone.
        """
        if not self._connection.closing:
            self._connection.write(octets)
            await self._connection.drained()
        if self._connection.closing:
            raise OriginBodyCut(f"{self._connection.label}: the upgraded connection is closed")

    def write_eof(self) -> None:
        """Tell the origin that nothing more will come."""
        self._connection.write_eof()

    def close(self) -> None:
        """Drop the connection. Idempotent."""
        self._inbox.end()
        self._connection.drop()
        self._finish()

    def _finish(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()
