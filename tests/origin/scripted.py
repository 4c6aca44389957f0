"""A scripted origin on a raw socket: a test reads what exactly was asked and sends what exactly it wants."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Self, cast

from tests.origin.waiting import soon


class Peer(asyncio.Protocol):
    """One accepted connection, seen from the origin. `transcript` is what a failing test prints."""

    def __init__(self, accepted: Callable[[Peer], None]) -> None:
        self._accepted = accepted
        self._received = bytearray()
        self._changed = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self.ended = False
        """The proxy closed its direction, or the connection."""
        self.lost = False
        self.transcript: list[tuple[str, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._accepted(self)

    def data_received(self, data: bytes) -> None:
        self.transcript.append((">>", data))
        self._received += data
        self._changed.set()

    def eof_received(self) -> bool:
        self.ended = True
        self._changed.set()
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.lost = True
        self._changed.set()

    @property
    def pending(self) -> bytes:
        """What has come and was not expected yet."""
        return bytes(self._received)

    async def _wait_for(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                assert not self.ended, f"the proxy closed the connection; transcript {self.transcript}"
                self._changed.clear()
                await self._changed.wait()

    def _take(self, count: int) -> bytes:
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    async def expect_head(self) -> bytes:
        """The next request head, its empty line included."""
        await self._wait_for(lambda: b"\r\n\r\n" in self._received)
        return self._take(self._received.index(b"\r\n\r\n") + 4)

    async def expect(self, octets: bytes) -> None:
        """Exactly these octets come next."""
        await self._wait_for(lambda: len(self._received) >= len(octets))
        assert self._take(len(octets)) == octets

    async def expect_request(self) -> tuple[bytes, bytes]:
        """The next request: its head, and its body without chunk framing."""
        head = await self.expect_head()
        length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
        if length is not None:
            count = int(length[1])
            await self._wait_for(lambda: len(self._received) >= count)
            return head, self._take(count)
        if b"\r\nTransfer-Encoding: chunked\r\n" in head:
            return head, await self._chunks()
        return head, b""

    async def _chunks(self) -> bytes:
        content = b""
        while True:
            await self._wait_for(lambda: b"\r\n" in self._received)
            size = int(self._take(self._received.index(b"\r\n") + 2), 16)
            await self._wait_for(lambda: len(self._received) >= size + 2)  # noqa: B023 - awaited at once
            content += self._take(size)
            assert self._take(2) == b"\r\n"
            if size == 0:
                return content

    def send(self, octets: bytes) -> None:
        """Send these octets."""
        assert self._transport is not None
        self.transcript.append(("<<", octets))
        self._transport.write(octets)

    @property
    def unsent(self) -> int:
        """Octets that the kernel has not taken, because the proxy does not read."""
        assert self._transport is not None
        return self._transport.get_write_buffer_size()

    def cut(self) -> None:
        """Close, after what was sent."""
        assert self._transport is not None
        self._transport.close()

    def half_close(self) -> None:
        """Close our direction only."""
        assert self._transport is not None
        self._transport.write_eof()

    def reset(self) -> None:
        """Close with RST."""
        assert self._transport is not None
        # By a duplicate, as the loops' own sockets do not all let their options be set.
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def pause_reading(self) -> None:
        """Take nothing more."""
        assert self._transport is not None
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take again."""
        assert self._transport is not None
        self._transport.resume_reading()

    async def closed(self) -> None:
        """Wait until the proxy has closed."""
        async with asyncio.timeout(5):
            while not self.ended:
                self._changed.clear()
                await self._changed.wait()


class ScriptedOrigin:
    """Listens; each connection is taken with `accept`, in order. An async context manager."""

    def __init__(
        self, *, host: str = "127.0.0.1", path: str | None = None, tls: ssl.SSLContext | None = None
    ):
        self._host = host
        self._path = path
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._waiting: asyncio.Queue[Peer] = asyncio.Queue()
        self.peers: list[Peer] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.refuse()
        for peer in self.peers:
            if not peer.lost:
                peer.cut()

    def _accepted(self, peer: Peer) -> None:
        self.peers.append(peer)
        self._waiting.put_nowait(peer)

    async def listen(self) -> None:
        """Begin, or begin again on the same port after `refuse`."""
        loop = asyncio.get_running_loop()

        def peer() -> Peer:
            return Peer(self._accepted)

        if self._path is not None:
            self._server = await loop.create_unix_server(peer, self._path)
            return
        self._server = await loop.create_server(
            peer, self._host, self.port, ssl=self._tls, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Stop listening: further connections are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def url(self) -> str:
        """The address for the configuration."""
        if self._path is not None:
            return f"unix:{self._path}"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}"

    async def accept(self) -> Peer:
        """The next connection."""
        return await soon(self._waiting.get())
