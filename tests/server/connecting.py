"""A client connection with a host of the test's own: questions are noted, answers are scripted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.config.settings import LimitsSettings
from proxy.errors import ClientError
from proxy.server.client_connection import ClientConnection, InProgress

DEADLINE_S = 5.0


@dataclass(eq=False)
class Asked:
    """One request as the connection handed it over."""

    connection: ClientConnection
    message: RawRequestMessage
    body: StreamReader

    @property
    def target(self) -> str:
        return self.message.path

    def write(self, octets: bytes) -> None:
        """A part of the answer."""
        self.connection.write(octets)


Answer = Callable[[Asked], Awaitable[bool]]


async def echo(asked: Asked) -> bool:
    """Read the body, answer with method, target and body; keep the connection unless it is to close."""
    body = b""
    while piece := await asked.body.readany():
        body += piece
    text = b"%b %b %b" % (asked.message.method.encode(), asked.target.encode(), body)
    asked.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
    return not asked.message.should_close and not asked.message.upgrade


class _Exchange:
    """An exchange that runs in a task from the start."""

    parked = False

    def __init__(self, host: Host, asked: Asked) -> None:
        self._host = host
        self._asked = asked

    async def go_on(self) -> bool:
        try:
            return await self._host.answer(self._asked)
        except asyncio.CancelledError:
            self._host.cancelled.append(self._asked.target)
            raise

    def abandon(self) -> None:
        self._host.abandoned.append(self._asked.target)


class Host:
    """A listener on 127.0.0.1; `proxy.server.client_connection.ConnectionHost` to what it accepts."""

    def __init__(self, answer: Answer = echo, *, tls: ssl.SSLContext | None = None, **limits: Any) -> None:
        self.limits = LimitsSettings(**limits)
        self.draining = False
        self.answer = answer
        self.asked: list[Asked] = []
        self.refused: list[ClientError] = []
        self.cancelled: list[str] = []
        self.abandoned: list[str] = []
        self.connections: list[ClientConnection] = []
        self.gone = 0
        self.most_outstanding = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._clients: list[Client] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ClientConnection(self, loop), "127.0.0.1", 0, ssl=self._tls
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._server is not None
        self._server.close()
        for client in self._clients:
            client.writer.close()
        for connection in self.connections:
            connection.reset()
        await until(lambda: self.gone == len(self.connections))

    async def client(self, *, tls: ssl.SSLContext | None = None) -> Client:
        """A client that has connected, and whose connection was seen."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        name = "localhost" if tls is not None else None
        client = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name))
        self._clients.append(client)
        await until(lambda: len(self.connections) == len(self._clients))
        return client

    # ConnectionHost

    def goes_first(self) -> bool:
        return True

    def opened(self, connection: ClientConnection) -> bool:
        self.connections.append(connection)
        return True

    def closed(self, connection: ClientConnection) -> None:
        self.gone += 1

    def begin(
        self, connection: ClientConnection, message: RawRequestMessage, body: StreamReader
    ) -> bool | InProgress:
        asked = Asked(connection, message, body)
        self.asked.append(asked)
        self.most_outstanding = max(self.most_outstanding, connection._outstanding)
        return _Exchange(self, asked)

    def gate_for(self, client: str) -> None:
        return None

    def refuse(self, connection: ClientConnection, error: ClientError) -> None:
        self.refused.append(error)
        connection.write(b"HTTP/1.1 %d No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % error.status)


class Client:
    """A raw client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *segments: bytes) -> None:
        """Each segment by itself."""
        for segment in segments:
            self.writer.write(segment)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def answer(self) -> bytes:
        """The body of the next answer, which has a length; the status where it is not 200."""
        async with asyncio.timeout(DEADLINE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            body = await self.reader.readexactly(length)
        status = head[9:12]
        return body if status == b"200" else status

    async def rest(self) -> bytes:
        """Everything until the connection ends. A reset is an end, and told by `reset` in front."""
        received = b""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while octets := await self.reader.read(65536):
                    received += octets
        except ConnectionResetError:
            return b"reset"
        return received


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - conditions without an event
            await asyncio.sleep(0.001)
