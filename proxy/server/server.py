"""The server: listeners, the proxy behind them, origins and the admin listener, with one life."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from proxy.admin.app import AdminListener
from proxy.clock import Clock, SystemClock
from proxy.config.settings import Config, OriginSettings
from proxy.origin.client import OriginClient
from proxy.origin.port import Origin
from proxy.origin.statistics import OriginStatistics
from proxy.server.client_connection import State
from proxy.server.ledger import Ledger
from proxy.server.listener import Crowd, Listener
from proxy.server.proxy import Proxy, ProxyStatistics

logger = logging.getLogger(__name__)

MakeOrigin = Callable[[str, OriginSettings], OriginClient]


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """Everything that is counted, for the admin listener and for tests."""

    started_at: float
    uptime_s: float
    draining: bool
    connections: dict[State, int]
    accepted: int
    turned_away: int
    proxy: ProxyStatistics
    origins: dict[str, OriginStatistics]


class Server:
    """Lockgate in one process, in the running event loop."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        self.config = config
        self._clock = clock or SystemClock()
        self._started_at, self._started_mono = self._clock.now(), self._clock.mono()
        self._draining = False
        self._crowd = Crowd(config.limits)
        self._ledger = Ledger(enabled=config.access_log.enabled, path=config.access_log.path, out=sys.stdout)
        self._origins = {
            name: OriginClient(name, settings, clock=self._clock) for name, settings in config.origins.items()
        }
        origins: dict[str, Origin] = dict(self._origins)
        self.proxy = Proxy(config, origins=origins, clock=self._clock, ledger=self._ledger)
        self._listeners = [
            Listener(settings, crowd=self._crowd, serve=self.proxy.serve, refuse=self.proxy.refuse)
            for settings in config.listen
        ]
        self._admin = AdminListener(config.admin, server=self) if config.admin.enabled else None

    def __repr__(self) -> str:
        return f"<Server {self.addresses} draining={self._draining}>"

    @property
    def addresses(self) -> list[str]:
        """Where clients connect, with real ports."""
        return [listener.address for listener in self._listeners]

    @property
    def admin_address(self) -> str | None:
        """Where the admin listener is, with its real port."""
        return None if self._admin is None else self._admin.address

    @property
    def healthy(self) -> bool:
        """Whether new requests are welcome; false from the moment the end was announced."""
        return not self._draining

    def statistics(self) -> ServerStatistics:
        """Everything that is counted."""
        connections: Counter[State] = Counter()
        for listener in self._listeners:
            connections.update(listener.states())
        return ServerStatistics(
            started_at=self._started_at,
            uptime_s=self._clock.mono() - self._started_mono,
            draining=self._draining,
            connections=dict(connections),
            accepted=self._crowd.accepted,
            turned_away=self._crowd.turned_away,
            proxy=self.proxy.statistics(),
            origins={name: origin.statistics() for name, origin in self._origins.items()},
        )

    async def start(self) -> None:
        """Listen. Raises: ConfigError if an address or a certificate cannot be used; nothing is left open."""
        try:
            if self._admin is not None:
                await self._admin.start()
            for listener in self._listeners:
                await listener.start()
        except BaseException:
            await self.close()
            raise

    def reopen(self) -> None:
        """SIGHUP: the access log was moved away, certificates may have been renewed."""
        self._ledger.reopen()
        for listener in self._listeners:
            listener.reload_certificate()

    async def drain(self) -> int:
        """Take no more requests and let running exchanges end; how many connections had to be cut.

        The health check fails first, for `shutdown_delay_s`, so that a balancer stops sending.
        """
        self._draining = True
        if self.config.shutdown_delay_s:
            await asyncio.sleep(self.config.shutdown_delay_s)
        try:
            async with asyncio.timeout(self.config.shutdown_timeout_s):
                await asyncio.gather(*(listener.drain() for listener in self._listeners))
        except TimeoutError:
            pass
        cut = sum(listener.cut() for listener in self._listeners)
        if cut:
            logger.warning("drain_timed_out cut_connections=%d", cut)
        return cut

    async def close(self) -> None:
        """Stop at once what is left."""
        for listener in self._listeners:
            listener.stop_accepting()
            listener.cut()
        self.proxy.close()
        for origin in self._origins.values():
            await origin.close()
        if self._admin is not None:
            await self._admin.stop()
