"""A listening socket and the connections that it accepted."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.config.settings import LimitsSettings, ListenSettings
from proxy.errors import ClientError
from proxy.server.binding import Binding, bind
from proxy.server.certificate import Certificate
from proxy.server.client_connection import LINGER_S, ClientConnection, HitGate, InProgress, State

logger = logging.getLogger(__name__)

_ACCEPTED_AT_ONCE = 64
"""What asyncio accepts in one turn of the loop is its `backlog`; with ours it would take thousands of
connections before the first of them is looked at, and log as many lines when it is out of files."""

_ADVICE = "Choose another address under `listen`, or with --listen"

Begin = Callable[["Listener", ClientConnection, RawRequestMessage, StreamReader], bool | InProgress]
Refuse = Callable[["Listener", ClientConnection, ClientError], None]


class MakeGate(Protocol):
    """Makes the gate for trusted clients of a scheme, or for the others; None where there is to be none."""

    def __call__(self, *, scheme: str, trusted: bool) -> HitGate | None: ...


@dataclass(slots=True)
class Crowd:
    """Client connections over all listeners, for the limits on them."""

    limits: LimitsSettings
    connections: int = 0
    accepted: int = 0
    turned_away: int = 0
    _told_mono: float = -math.inf

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

    def tell_turned_away(self, client: str, *, now_mono: float) -> None:
        """Log it, once a second: a flood of connections must not become a flood of lines."""
        if now_mono - self._told_mono >= 1.0:
            self._told_mono = now_mono
            logger.warning(
                "connections_turned_away reason=too-many last_client=%s in_all=%d", client, self.turned_away
            )

    def leave(self, client: str) -> None:
        """One that was admitted is gone."""
        self.connections -= 1
        if client in self._of_client:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]


class Listener:
    """Accepts connections; `proxy.server.client_connection.ConnectionHost` to each of them."""

    def __init__(
        self,
        settings: ListenSettings,
        *,
        crowd: Crowd,
        begin: Begin,
        refuse: Refuse,
        gate: MakeGate = lambda **_kind: None,
    ) -> None:
        self.settings = settings
        self.limits = crowd.limits
        self.draining = False
        self.scheme = "https" if settings.tls is not None else "http"
        self._crowd = crowd
        self._begin = begin
        self._round_has_begun = False
        self._refuse = refuse
        self._connections: set[ClientConnection] = set()
        self._serving = 0
        self._bindings: list[Binding] = []
        self._servers: list[asyncio.Server] = []
        self._certificate: Certificate | None = None
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
        self._gates = {trusted: gate(scheme=self.scheme, trusted=trusted) for trusted in (False, True)}

    def __repr__(self) -> str:
        return f"<Listener {self.settings.address} {len(self._connections)} connections>"

    # life

    async def start(self, bindings: Sequence[Binding] = ()) -> None:
        """Accept, on sockets that are bound already if there are any, else on the address of the settings.

        Raises: ConfigError if the address or the certificate cannot be used.
        """
        if self.settings.tls is not None:
            self._certificate = Certificate(self.settings.tls)
            self._certificate.watch()
        self._bindings = list(bindings) or [bind(self.settings.address, advice=_ADVICE)]
        for binding in self._bindings:
            self._servers.append(await self._serve_on(binding, self._certificate))

    async def _serve_on(self, binding: Binding, certificate: Certificate | None) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        context = handshake_s = shutdown_s = None
        if certificate is not None:
            context = certificate.context
            # Before the handshake is over there is no connection that a limit of ours could end.
            handshake_s = self.limits.head_timeout_s
            # The default lets a client that does not answer our close hold up a drain for 30 s.
            shutdown_s = LINGER_S
        create = loop.create_unix_server if binding.is_file else loop.create_server
        server = await create(
            lambda: ClientConnection(self, loop),
            sock=binding.sock,
            backlog=_ACCEPTED_AT_ONCE,
            ssl=context,
            ssl_handshake_timeout=handshake_s,
            ssl_shutdown_timeout=shutdown_s,
        )
        binding.sock.listen(self.settings.backlog)
        return server

    @property
    def address(self) -> str:
        """Where it really listens: with the port that was chosen for port 0."""
        return self._bindings[0].address if self._bindings else self.settings.address

    def hand_over(self) -> None:
        """Accept no more, and let each connection end with its next answer; a successor takes the new ones.

        What is idle stays open: to close it under a request that is on its way would fail that request.
        """
        self.stop_accepting()
        self.draining = True

    def hide(self) -> None:
        """Let nobody find a socket file any more. Who has connected is accepted yet, and answered.

        To close the socket would reset what the kernel has queued on it, requests with it.
        """
        for binding in self._bindings:
            binding.remove_file()
        self.draining = True

    def start_draining(self) -> None:
        """Accept no more, close what is idle; running exchanges go on to their end."""
        self.hand_over()
        for connection in list(self._connections):
            connection.drain_for_shutdown()

    async def wait_gone(self) -> None:
        """Wait until the last connection is closed and the last exchange is over."""
        while self._connections or self._serving:
            self._all_gone = asyncio.get_running_loop().create_future()
            await self._all_gone

    def stop_accepting(self) -> None:
        """Close the listening socket. Idempotent."""
        if self._certificate is not None:
            self._certificate.stop()
        for server in self._servers:
            server.close()
        for binding in self._bindings[len(self._servers) :]:  # bound, and not served on
            binding.sock.close()
        for binding in self._bindings:
            binding.remove_file()

    def cut(self) -> int:
        """Cut every connection that is left; how many there were."""
        left = list(self._connections)
        for connection in left:
            connection.reset()
        return len(left)

    def switch(self, *, limits: LimitsSettings, begin: Begin, refuse: Refuse, gate: MakeGate) -> None:
        """Another configuration is in use, also by the connections that are open."""
        self.limits = limits
        self._begin, self._refuse = begin, refuse
        self._gates = {trusted: gate(scheme=self.scheme, trusted=trusted) for trusted in (False, True)}
        for connection in self._connections:
            connection.renew_gate()

    def reload_certificate(self) -> bool:
        """Read the certificate again; the old one stays in use when the new one does not load."""
        return self._certificate is not None and self._certificate.reload()

    # for its connections

    def opened(self, connection: ClientConnection) -> bool:
        if not self._crowd.admit(connection.peer):
            self._crowd.tell_turned_away(connection.peer, now_mono=asyncio.get_running_loop().time())
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: ClientConnection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._crowd.leave(connection.peer)
        self._tell_if_gone()

    def _tell_if_gone(self) -> None:
        if self._all_gone is None or self._all_gone.done():
            return
        if not self._connections and not self._serving:
            self._all_gone.set_result(None)

    def begin(
        self, connection: ClientConnection, message: RawRequestMessage, body: StreamReader
    ) -> bool | InProgress:
        self._serving += 1  # an exchange outlives a connection that was cut, until it has been counted
        return self._begin(self, connection, message, body)

    def goes_first(self) -> bool:
        """The first request of a round is begun while its octets are read, the others after all were.

        A herd is some thousand heads in one round, and reading them all first keeps the parser in the
        processor's cache. But its first request is the one that goes to the origin, and waits for nobody.
        """
        if self._round_has_begun:
            return False
        self._round_has_begun = True
        asyncio.get_running_loop().call_soon(self._round_over)
        return True

    def _round_over(self) -> None:
        self._round_has_begun = False

    def exchange_over(self) -> None:
        """One that began is over and counted."""
        self._serving -= 1
        self._tell_if_gone()

    def refuse(self, connection: ClientConnection, error: ClientError) -> None:
        self._refuse(self, connection, error)

    def gate_for(self, client: str) -> HitGate | None:
        return self._gates[self.trusts(client)]

    def states(self) -> Counter[State]:
        """How many connections are in which state."""
        return Counter(connection.state for connection in self._connections)
