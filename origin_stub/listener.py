"""The stub's listening socket, which can be closed and opened again on the same address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """An HTTP server on one address: `HOST:PORT` (port 0 takes a free one), or `unix:/path`."""

    def __init__(self, handler: Handler, address: str, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._address = address
        self._ssl_context = ssl_context
        # Bodies are what the client sent, and a handler ends with its client: so that a departure is
        # counted, and a dropped forward request stops costing.
        self._server = web.Server(handler, access_log=None, auto_decompress=False, handler_cancellation=True)
        # Handlers are cancelled by their owner before the clean-up, which then has nothing to wait for.
        self._runner = web.ServerRunner(self._server, shutdown_timeout=1.0)
        self._site: web.BaseSite | None = None

    @property
    def address(self) -> str:
        """Where it listens, with the port that was taken."""
        return self._address

    @property
    def url(self) -> str:
        """Its base without a slash at the end; for a Unix socket the address itself."""
        if self._address.startswith("unix:"):
            return self._address
        return f"{'https' if self._ssl_context else 'http'}://{self._address}"

    async def start(self) -> None:
        """Set up the server and listen."""
        await self._runner.setup()
        await self.listen()

    async def listen(self) -> None:
        """Accept connections (again)."""
        if self._site is not None:
            return
        if self._address.startswith("unix:"):
            site: web.BaseSite = web.UnixSite(self._runner, self._address.removeprefix("unix:"))
        else:
            host, _, port = self._address.rpartition(":")
            site = web.TCPSite(
                self._runner, host.strip("[]"), int(port), ssl_context=self._ssl_context, backlog=4096
            )
        await site.start()
        self._site = site
        if not self._address.startswith("unix:"):
            host = self._address.rpartition(":")[0]
            self._address = f"{host}:{self._runner.addresses[-1][1]}"

    async def refuse(self, *, but: asyncio.BaseTransport | None = None) -> None:
        """Close the listening socket and abort every connection but this one."""
        if self._site is not None:
            site, self._site = self._site, None
            await site.stop()
        for connection in self._server.connections:
            if connection.transport is not None and connection.transport is not but:
                connection.transport.abort()

    async def stop(self) -> None:
        """Close everything."""
        await self._runner.cleanup()
