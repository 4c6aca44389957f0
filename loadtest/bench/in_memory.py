"""A proxy whole but for its sockets: clients and an origin in memory, so that what is timed is its own work.

Everything between the octets that a client sent and those that it gets is the real thing: parser, gate,
exchange, coalescer, the origin's client. In the place of the two transports stand objects that take what is
written; the origin answers in the loop's next round, and a client asks again in the round after its answer.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, cast

from proxy.clock import SystemClock
from proxy.config.settings import Config
from proxy.http.dates import format_http_date
from proxy.origin.balancer import Target
from proxy.origin.client import OriginClient
from proxy.origin.connection import OriginConnection
from proxy.server.client_connection import ClientConnection
from proxy.server.ledger import Ledger
from proxy.server.listener import Crowd, Listener
from proxy.server.proxy import Proxy

CLIENTS = 64
BODY = b"a boat waits before the gate, 00001024\n" * 27
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)\r\n")
_END_OF_HEAD = b"\r\n\r\n"


def origin_answer(cache_control: bytes) -> bytes:
    """What the origin says to everything now: nginx's own fields, and a body of some 1 KiB."""
    return _answer_at(int(time.time()), cache_control)


@lru_cache(maxsize=16)
def _answer_at(second: int, cache_control: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: %b\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n"
        b"Last-Modified: Mon, 23 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\n"
        b"Cache-Control: %b\r\nAccept-Ranges: bytes\r\n\r\n%b"
        % (format_http_date(second), len(BODY), cache_control, BODY)
    )


class _Transport:
    """What both transports have in common: nothing is ever in the way."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 4711) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It has no buffer."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        """Nothing comes but what was asked for."""

    def resume_reading(self) -> None:
        """Nothing was held back."""


class _OriginTransport(_Transport):
    """The origin's end; the socket is there to be polled, as one that is kept is before it is used again."""

    def __init__(self, cache_control: bytes) -> None:
        super().__init__()
        self._cache_control = cache_control
        self._sockets = socket.socketpair()
        self.receive: Callable[[bytes], None] = _not_yet

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._sockets[0] if name == "socket" else default

    def write(self, octets: bytes) -> None:
        if octets.startswith(b"POST ") and octets.endswith(_END_OF_HEAD):
            return  # its body is still to come
        self._loop.call_soon(self.receive, origin_answer(self._cache_control))

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"")

    def abort(self) -> None:
        for one in self._sockets:
            one.close()

    close = abort


class _Connector:
    """Connects to the origin in memory."""

    def __init__(self, client: OriginClient, cache_control: bytes) -> None:
        self._lost = client._lost
        self._cache_control = cache_control

    async def connect(self, target: Target) -> OriginConnection:
        transport = _OriginTransport(self._cache_control)
        connection = OriginConnection(
            target, origin="app", loop=asyncio.get_running_loop(), on_lost=self._lost
        )
        connection.connection_made(cast(asyncio.Transport, transport))
        transport.receive = connection.data_received
        return connection


class _Client(_Transport):
    """Asks again and again, and sees that each answer is a whole 200."""

    def __init__(self, crowd: Clients) -> None:
        super().__init__()
        self._crowd = crowd
        self._missing = 0
        self.receive: Callable[[bytes], None] = _not_yet

    def ask(self) -> None:
        octets = self._crowd.next_request()
        if octets is not None:
            self.receive(octets)

    def write(self, octets: bytes) -> None:
        if not self._missing:
            found = _LENGTH.search(octets)
            if found is None or not octets.startswith(b"HTTP/1.1 200"):
                self._crowd.wrong(octets)
                return
            self._missing = octets.find(_END_OF_HEAD) + len(_END_OF_HEAD) + int(found[1])
        self._missing -= len(octets)
        if self._missing < 0:
            self._crowd.wrong(octets)
        elif not self._missing:
            self._crowd.answered()
            self._loop.call_soon(self.ask)

    def writelines(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def close(self) -> None:
        self._crowd.wrong(b"the end of a connection that was to be kept")

    abort = close


class Clients:
    """Connections that share one supply of requests."""

    def __init__(self, connect: Callable[[_Client], Callable[[bytes], None]]) -> None:
        self._requests: Iterator[bytes] = iter(())
        self._left = 0
        self._done: asyncio.Future[None] | None = None
        self._clients = [_Client(self) for _ in range(CLIENTS)]
        for client in self._clients:
            client.receive = connect(client)

    def next_request(self) -> bytes | None:
        """What to send next; None if that was all."""
        return next(self._requests, None)

    def answered(self) -> None:
        """One more has its answer."""
        self._left -= 1
        if not self._left and self._done is not None:
            self._done.set_result(None)

    def wrong(self, octets: bytes) -> None:
        """This is no answer to what was asked."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(AssertionError(f"no whole 200: {octets[:400]!r}"))

    async def ask(self, requests: list[bytes]) -> None:
        """Send these, and wait for the last answer. Raises: AssertionError, if one is not the right one."""
        loop = asyncio.get_running_loop()
        self._requests, self._left, self._done = iter(requests), len(requests), loop.create_future()
        for client in self._clients:
            loop.call_soon(client.ask)
        await self._done


class InMemory:
    """A proxy with an origin that answers all alike, and its clients."""

    def __init__(self, cache_control: bytes, *, gate: bool = True, writes: bool = False) -> None:
        route: dict[str, object] = {"origin": "app"}
        if writes:
            route["writes"] = {}
        config = Config.model_validate(
            {
                "listen": [{"address": "127.0.0.1:0"}],
                "admin": {"enabled": False},
                "access_log": {"enabled": False},
                "origins": {"app": {"addresses": ["http://127.0.0.1:1"]}},
                "routes": [route],
                "gate": gate,
            }
        )
        clock = SystemClock()
        self._origin = OriginClient("app", config.origins["app"], clock=clock)
        self._origin._connector = cast(Any, _Connector(self._origin, cache_control))
        self._proxy = Proxy(config, origins={"app": self._origin}, clock=clock, ledger=Ledger(None))
        self._listener = Listener(
            config.listen[0],
            crowd=Crowd(config.limits),
            begin=self._proxy.begin,
            refuse=self._proxy.refuse,
            gate=self._proxy.gate,
        )
        self.clients = Clients(self._connect)

    def _connect(self, client: _Client) -> Callable[[bytes], None]:
        connection = ClientConnection(self._listener, asyncio.get_running_loop())
        connection.connection_made(cast(asyncio.Transport, client))
        return connection.data_received

    async def start(self) -> None:
        """Take writes in, if they are queued."""
        if self._proxy.writes is not None:
            await self._proxy.writes.start()

    async def close(self) -> None:
        """Stop what it runs."""
        if self._proxy.writes is not None:
            await self._proxy.writes.stop()
        self._proxy.close()
        await self._origin.close()


class Nothing:
    """Clients whose every request is answered by a constant: what the clients take by themselves."""

    def __init__(self) -> None:
        answer = origin_answer(b"private")
        self.clients = Clients(lambda client: lambda _octets: client.write(answer))

    async def start(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """There is nothing to stop."""


def _not_yet(_octets: bytes) -> None:
    raise AssertionError("not connected")
