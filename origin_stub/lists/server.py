"""The lists as a server: on its port, and now and then away from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from origin_stub.behaviour import Delay
from origin_stub.lists.faults import Fault, Faults
from origin_stub.lists.ledger import Ledger
from origin_stub.lists.lists import Lists
from origin_stub.lists.wire import Connection

_BACKLOG = 4096


class ListServer:
    """Listens on a port of 127.0.0.1 (0 takes a free one)."""

    def __init__(
        self,
        history: Path,
        *,
        port: int = 0,
        delay: Delay = Delay(),  # noqa: B008  # frozen
        faults: Sequence[Fault] = (),
        idempotent: bool = False,
        max_age_s: int = 60,
        seed: int = 0,
    ) -> None:
        self._ledger = Ledger(history, seed=seed)
        self.lists = Lists(
            self._ledger,
            delay=delay,
            faults=Faults(faults, seed),
            idempotent=idempotent,
            seed=seed,
            refuse=self._refuse,
        )
        self._max_age_s = max_age_s
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._returning: asyncio.Task[None] | None = None
        self.port = port

    @property
    def url(self) -> str:
        """Its base without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self.lists, self._ledger, self._max_age_s, self._connections),
            "127.0.0.1",
            self.port,
            backlog=_BACKLOG,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close, and end the history."""
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.gather(self._returning, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        self.lists.close()

    def _refuse(self, seconds: float) -> None:
        """Be away for so long: idle connections are closed, those with a request go on."""
        if self._server is None or self._returning is not None:
            return
        self._server.close()
        self._server = None
        for connection in tuple(self._connections):
            if connection.is_idle:
                connection.close()
        self._returning = asyncio.get_running_loop().create_task(self._return(seconds))

    async def _return(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.start()
        self._returning = None


@asynccontextmanager
async def running(server: ListServer) -> AsyncIterator[ListServer]:
    """The server in this event loop for the length of an `async with`."""
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
