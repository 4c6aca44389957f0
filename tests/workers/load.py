"""Load on workers, every answer of which is checked; and an origin that counts what it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

MAX_REQUESTS = 50
"""On one connection; then the client makes a new one."""

PACE_S = 0.02
"""Between an answer and the client's next request: what is tried needs a part of the processor, too."""


PATIENCE_S = 60.0
"""All slots may wait for their next worker at one time, on a machine that does other work, too."""


def body_of(target: str) -> bytes:
    """What the origin has at a target; no other has the same."""
    return hashlib.sha256(target.encode()).digest() * 64


class CountingOrigin:
    """Answers every GET with the body of its target, fresh for ten minutes."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.url = ""
        self._connected: set[asyncio.StreamWriter] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connected.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    target = head.split(b" ", 2)[1].decode()
                    self.asked[target] += 1
                    body = body_of(target)
                    lines = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: %d\r\n\r\n"
                    writer.write(lines % len(body) + body)
        finally:
            writer.close()
            self._connected.discard(writer)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[CountingOrigin]:
        """It answers."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for writer in self._connected:
                writer.transport.abort()
            while self._connected:  # noqa: ASYNC110 - they end in a turn or two
                await asyncio.sleep(0)


class Load:
    """Clients on keep-alive connections, which make a new one when they are told to, or had enough."""

    def __init__(self, address: str, targets: Callable[[], str], *, clients: int) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._targets = targets
        self._clients = clients
        self._over = False
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []
        self.answered = 0
        self.connections = 0
        self.wrong: list[str] = []
        self.cut: list[int] = []
        """The client's ports of connections that ended within an exchange."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        """Load while the context lasts. The exchanges that run in the end are answered."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._clients):
                group.create_task(self._client())
            try:
                yield self
            finally:
                self._over = True

    async def more(self, count: int) -> None:
        """Wait for so many more answers. Raises: TimeoutError."""
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.append((self.answered + count, reached))
        async with asyncio.timeout(PATIENCE_S):
            await reached

    async def _client(self) -> None:
        while not self._over:
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port)
            except ConnectionError as error:
                self.wrong.append(f"not connected: {error}")
                return
            self.connections += 1
            port = writer.get_extra_info("sockname")[1]
            try:
                for _ in range(random.randrange(1, MAX_REQUESTS)):
                    if self._over or not await self._exchange(reader, writer):
                        break
                    await asyncio.sleep(PACE_S)
            except (asyncio.IncompleteReadError, ConnectionError):
                self.cut.append(port)
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        target = self._targets()
        writer.write(f"GET {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith("http/1.1 200 ") or body != body_of(target):
            self.wrong.append(f"{target}: {head[:200]} {body[:100]!r}")
        self.answered += 1
        for wanted, reached in self._awaited:
            if self.answered >= wanted and not reached.done():
                reached.set_result(None)
        return "\r\nconnection: close" not in head


def clients_ports(pid: int, port: int) -> set[int]:
    """The ports of clients whose connections to `port` this process has accepted."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            inodes.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        parts = line.split()
        if parts[9] in inodes and int(parts[1].partition(":")[2], 16) == port:
            found.add(int(parts[2].partition(":")[2], 16))
    return found
