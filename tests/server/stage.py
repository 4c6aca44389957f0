"""A server with settings of the test's own, its origin, and clients; `tests.scenario` holds more fixed."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from proxy.config.settings import Config
from proxy.server.server import Server
from tests.scenario_client import Client
from tests.scenario_origin import Origin
from tests.scenario_wire import Transcript, Wire


class Stage:
    """Settings are those of `Config`; the listeners default to one on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.transcript = Transcript()
        self.complaints: list[str] = []
        self.origin = Origin("origin", self.transcript, self.complaints.append)
        self._servers: list[Server] = []
        self._clients: list[Client] = []

    def config(self, **settings: Any) -> Config:
        """A configuration with this origin behind one route."""
        return Config.model_validate(
            {
                "listen": [{"address": "127.0.0.1:0"}],
                "admin": {"enabled": False},
                "access_log": {"enabled": False},
                "origins": {"shop": {"addresses": [self.origin.url]}},
                "routes": [{"origin": "shop"}],
                **settings,
            }
        )

    def server(self, **settings: Any) -> Server:
        """A server that has not started."""
        server = Server(self.config(**settings))
        self._servers.append(server)
        return server

    async def started(self, **settings: Any) -> Server:
        """A server that listens."""
        server = self.server(**settings)
        await server.start()
        return server

    def client(self, address: str, *, tls: ssl.SSLContext | None = None, source: str | None = None) -> Client:
        """A client of this address; `source` is the address it comes from."""

        async def connect(name: str) -> Wire:
            return await connected(address, self.transcript, name=name, tls=tls, source=source)

        client = Client(f"client{len(self._clients)}", connect)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close everything; what nobody expected fails the test."""
        for client in self._clients:
            left = await client.finish()
            if left is not None:
                self.complaints.append(left)
        self.origin.let_go()
        for server in self._servers:
            await server.close()
        await self.origin.close()
        assert not self.complaints, "\n".join([*self.complaints, str(self.transcript)])


async def connected(
    address: str,
    transcript: Transcript,
    *,
    name: str = "client",
    tls: ssl.SSLContext | None = None,
    source: str | None = None,
) -> Wire:
    """A connection to `HOST:PORT`, `[IPV6]:PORT` or `unix:/path`."""
    loop = asyncio.get_running_loop()

    def make() -> Wire:
        return Wire(name, transcript)

    if address.startswith("unix:"):
        return (await loop.create_unix_connection(make, address.removeprefix("unix:")))[1]
    host, _, port = address.rpartition(":")
    options: dict[str, Any] = {"local_addr": (source, 0)} if source else {}
    if tls is not None:
        options |= {"ssl": tls, "server_hostname": "localhost"}
    return (await loop.create_connection(make, host.strip("[]"), int(port), **options))[1]
