"""A listening socket and the connections that it accepted."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
import ssl
import stat
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.config.settings import LimitsSettings, ListenSettings, TlsListenSettings
from proxy.errors import ClientError, ConfigError
from proxy.server.client_connection import ClientConnection, State
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

Serve = Callable[["Listener", ClientConnection, RawRequestMessage, StreamReader], Awaitable[bool]]
Refuse = Callable[["Listener", ClientConnection, ClientError], None]


@dataclass(slots=True)
class Crowd:
    """Client connections over all listeners, for the limits on them."""

    limits: LimitsSettings
    connections: int = 0
    accepted: int = 0
    turned_away: int = 0

    def __post_init__(self) -> None:
        self._of_client: Counter[str] = Counter()

    _of_client: Counter[str] = None  # type: ignore[assignment]  # set above; a dataclass with slots needs the name

    def admit(self, client: str) -> bool:
        """Whether one more connection of this client fits."""
        self.accepted += 1
        per_client = self.limits.max_connections_per_client
        if self.connections >= self.limits.max_connections or (
            per_client and client and self._of_client[client] >= per_client
        ):
            self.turned_away += 1
            return False
        self.connections += 1
        if per_client and client:
            self._of_client[client] += 1
        return True

    def leave(self, client: str) -> None:
        """One that was admitted is gone."""
        self.connections -= 1
        if client in self._of_client:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]


class Listener:
    """Accepts connections; `proxy.server.client_connection.ConnectionHost` to each of them."""

    def __init__(self, settings: ListenSettings, *, crowd: Crowd, serve: Serve, refuse: Refuse) -> None:
        self.settings = settings
        self.limits = crowd.limits
        self.draining = False
        self.scheme = "https" if settings.tls is not None else "http"
        self._crowd = crowd
        self._serve = serve
        self._refuse = refuse
        self._connections: set[ClientConnection] = set()
        self._server: asyncio.Server | None = None
        self._tls: ssl.SSLContext | None = None
        self._tls_watch: asyncio.Task[None] | None = None
        self._all_gone: asyncio.Future[None] | None = None
        networks = [
            ipaddress.ip_network(text, strict=False) for text in settings.trusted_proxies if text != "unix"
        ]
        trusts_unix = "unix" in settings.trusted_proxies

        @lru_cache(maxsize=4096)
        def trusts(client: str) -> bool:
            if not client:
                return trusts_unix
            try:
                address = ipaddress.ip_address(client.partition("%")[0])
            except ValueError:
                return False
            return any(address in network for network in networks)

        self.trusts = trusts

    def __repr__(self) -> str:
        return f"<Listener {self.settings.address} {len(self._connections)} connections>"

    # life

    async def start(self) -> None:
        """Bind and accept. Raises: ConfigError if the address or the certificate cannot be used."""
        if self.settings.tls is not None:
            self._tls = _tls_context(self.settings.tls)
            self._tls_watch = spawn(self._watch_certificate(self.settings.tls), name="certificate watch")
        loop = asyncio.get_running_loop()
        sock = _bound_socket(self.settings)
        self._server = await loop.create_server(
            lambda: ClientConnection(self, loop), sock=sock, ssl=self._tls, backlog=self.settings.backlog
        )

    @property
    def address(self) -> str:
        """Where it really listens: with the port that was chosen for port 0."""
        if self.settings.address.startswith("unix:") or self._server is None:
            return self.settings.address
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def drain(self) -> None:
        """Accept no more, close what is idle, and wait until the last exchange is over."""
        self.stop_accepting()
        self.draining = True
        for connection in list(self._connections):
            connection.drain_for_shutdown()
        while self._connections:
            self._all_gone = asyncio.get_running_loop().create_future()
            await self._all_gone

    def stop_accepting(self) -> None:
        """Close the listening socket."""
        if self._tls_watch is not None:
            self._tls_watch.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
            if self.settings.address.startswith("unix:"):
                Path(self.settings.address.removeprefix("unix:")).unlink(missing_ok=True)

    def cut(self) -> int:
        """Cut every connection that is left; how many there were."""
        left = list(self._connections)
        for connection in left:
            connection.reset()
        return len(left)

    async def _watch_certificate(self, settings: TlsListenSettings) -> None:
        seen = _mtimes(settings)
        while True:
            await asyncio.sleep(settings.check_interval_s)
            now = _mtimes(settings)
            if now != seen and self.reload_certificate():
                seen = now

    def reload_certificate(self) -> bool:
        """Read the certificate again; the old one stays in use when the new one does not load."""
        settings = self.settings.tls
        if self._tls is None or settings is None:
            return False
        try:
            _tls_context(settings)  # both files together, before the context in use is touched
            self._tls.load_cert_chain(settings.certificate, settings.key)
        except (OSError, ssl.SSLError, ConfigError) as error:
            logger.error("certificate_kept listener=%s error=%s", self.settings.address, error)
            return False
        logger.info("certificate_loaded listener=%s", self.settings.address)
        return True

    # for its connections

    def opened(self, connection: ClientConnection) -> bool:
        if not self._crowd.admit(connection.peer):
            logger.warning("connection_refused reason=too-many client=%s", connection.peer)
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: ClientConnection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._crowd.leave(connection.peer)
        if not self._connections and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)

    async def serve(
        self, connection: ClientConnection, message: RawRequestMessage, body: StreamReader
    ) -> bool:
        return await self._serve(self, connection, message, body)

    def refuse(self, connection: ClientConnection, error: ClientError) -> None:
        self._refuse(self, connection, error)

    def states(self) -> Counter[State]:
        """How many connections are in which state."""
        return Counter(connection.state for connection in self._connections)


def _mtimes(settings: TlsListenSettings) -> tuple[int, ...]:
    found = []
    for path in (settings.certificate, settings.key):
        try:
            found.append(os.stat(path).st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)


def _tls_context(settings: TlsListenSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificate {settings.certificate} with key {settings.key} does not load: {error}. "
            "Both must be PEM files that this user may read, and belong together."
        ) from error
    return context


def _bound_socket(settings: ListenSettings) -> socket.socket:
    address = settings.address
    try:
        if address.startswith("unix:"):
            return _unix_socket(Path(address.removeprefix("unix:")))
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, int(port)))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {address}: {error.strerror or error}. "
            "Is another server there? Choose another address under `listen`, or with --listen."
        ) from error
    return sock


def _unix_socket(path: Path) -> socket.socket:
    """A socket at this path; a dead one that was left there is replaced, a living one is not."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        finally:
            probe.close()
    sock.bind(str(path))
    return sock
