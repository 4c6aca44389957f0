"""The writing half of a client connection: octets out, at the client's pace, within a time limit.

aiohttp's `BaseProtocol` below it has the flow control of reading. Its own waiting for the client is not
used: a wait that was cancelled there leaves a future behind that cancels the next one (3.14.5).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Sequence
from typing import Any

from aiohttp.base_protocol import BaseProtocol

from proxy.errors import ClientGone
from proxy.transports import abort, unsent_bytes

logger = logging.getLogger(__name__)


class ClientTransport(BaseProtocol):
    """Writes to one client; `peer` is its address, empty on a Unix socket."""

    __slots__ = ("_drained", "_unsent_bytes", "_unsent_since_mono", "_write_timeout_s", "peer")

    def __init__(self, loop: asyncio.AbstractEventLoop, parser: Any, *, write_timeout_s: float) -> None:
        super().__init__(loop, parser)
        self.peer = ""
        self._write_timeout_s = write_timeout_s
        self._drained: asyncio.Future[None] | None = None
        self._unsent_bytes = 0
        self._unsent_since_mono = 0.0

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(None)
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ClientGone("the client closed its connection"))

    def write(self, octets: bytes) -> None:
        """Send without waiting. Raises: ClientGone."""
        if self.transport is None:
            raise ClientGone("the client closed its connection")
        self.transport.write(octets)

    def write_pieces(self, pieces: Sequence[bytes]) -> None:
        """Send several pieces as one. Raises: ClientGone."""
        if self.transport is None:
            raise ClientGone("the client closed its connection")
        self.transport.writelines(pieces)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def drain(self) -> None:
        """Wait until the client took enough. Raises: ClientGone, also when it takes nothing for too long."""
        while self._paused:
            if self.transport is None:
                raise ClientGone("the client closed its connection")
            unsent = unsent_bytes(self.transport)
            self._drained = self._loop.create_future()
            try:
                async with asyncio.timeout(self._write_timeout_s):
                    await self._drained
            except TimeoutError:
                if self._waiting_bytes() >= unsent:
                    logger.info(
                        "client_cut reason=write-timeout client=%s unsent_bytes=%d", self.peer, unsent
                    )
                    self.reset()
                    limit_s = self._write_timeout_s
                    raise ClientGone(f"the client took nothing for {limit_s:g} s") from None
            finally:
                self._drained = None

    def close(self) -> None:
        """Close after what was written has been sent."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Close with a reset: the client cannot take what it has for the whole (DESIGN.md, D4)."""
        if self.transport is None:
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        abort(self.transport)

    def is_sending(self, now_mono: float) -> bool:
        """Whether an answer is still on its way and the client takes it; one that does not is cut off."""
        assert self.transport is not None
        unsent = unsent_bytes(self.transport)
        if not unsent:
            return False
        if unsent == self._unsent_bytes and now_mono - self._unsent_since_mono >= self._write_timeout_s:
            logger.info("client_cut reason=write-timeout client=%s unsent_bytes=%d", self.peer, unsent)
            self.reset()
            return False
        if unsent != self._unsent_bytes:
            self._unsent_bytes, self._unsent_since_mono = unsent, now_mono
        return True

    def _waiting_bytes(self) -> int:
        return 0 if self.transport is None else unsent_bytes(self.transport)
