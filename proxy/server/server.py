"""The server: listeners, the proxy behind them, origins and the admin listener, with one life."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.admin.administered import OneServer
from proxy.admin.app import AdminListener
from proxy.cache.disk.store import DiskStore
from proxy.cache.elsewhere import Elsewhere
from proxy.clock import Clock, SystemClock
from proxy.compression.encoders import check_codings
from proxy.config.settings import Config, OriginSettings
from proxy.errors import ConfigError
from proxy.origin.client import OriginClient
from proxy.origin.port import Origin
from proxy.origin.statistics import OriginStatistics
from proxy.peers.neighbourhood import Neighbourhood
from proxy.peers.peers import share_of_origin
from proxy.peers.shared_writes import SharedWrites
from proxy.peers.statistics import PeerStatistics
from proxy.server.access_log import AccessLog, AccessLogStatistics
from proxy.server.binding import Binding
from proxy.server.change import Change, unchangeable
from proxy.server.client_connection import State
from proxy.server.ledger import Ledger
from proxy.server.listener import Crowd, Listener
from proxy.server.proxy import Proxy, ProxyStatistics
from proxy.server.writes.home import WritesHome
from proxy.tasks import spawn
from proxy.workers.place import WorkerPlace
from proxy.writes.orders import ClosedDesk, WritesDesk
from proxy.writes.statistics import WritesServerStatistics

logger = logging.getLogger(__name__)

RETIRED_LOOK_S = 0.5
"""How often an origin that is no longer named is looked at: whether its last request is over."""

CUT_TIMEOUT_S = 5.0
"""How long the tasks of connections that were cut get to end; far above what cancelling one takes."""


@dataclass(frozen=True, slots=True)
class WorkersStatistics:
    """The workers of a supervisor: those that live, those of them that serve, and what became of others.

    `restarts` took the slot of one that ended; `killed_at_purges` did not confirm a purge in time.
    """

    running: int
    ready: int
    restarts: int
    killed_at_purges: int


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """Everything that is counted, for the admin listener and for tests.

    `leak_ratio` is what origins answered with something that may be shared, divided by the exchanges that
    were answered with such a thing; None before the first of them. `access_log` is None without a log,
    `peers` without other workers, `writes` where this process has none.
    """

    started_at: float
    uptime_s: float
    draining: bool
    connections: dict[State, int]
    accepted: int
    turned_away: int
    leak_ratio: float | None
    access_log: AccessLogStatistics | None
    proxy: ProxyStatistics
    origins: dict[str, OriginStatistics]
    peers: PeerStatistics | None = None
    writes: WritesServerStatistics | None = None
    workers: WorkersStatistics | None = None
    """None where there is no supervisor."""


class Server:
    """Lockgate in one process, in the running event loop.

    A worker among others is given its place, the sockets of each listener, and how to tell the others of
    purges; then the admin listener is the supervisor's. A disk tier that a predecessor still holds is taken
    later (`take_disk`), and so are the writes (`take_writes`).
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        place: WorkerPlace | None = None,
        sockets: Sequence[Sequence[Binding]] = (),
        elsewhere: Elsewhere | None = None,
        disk_later: bool = False,
        writes_later: bool = False,
    ) -> None:
        self.config = config
        self.place = place
        self._sockets = sockets
        self._disk_later, self._writes_later = disk_later, writes_later
        self._clock = clock or SystemClock()
        self._started_at, self._started_mono = self._clock.now(), self._clock.mono()
        self._started = self._draining = False
        self._crowd = Crowd(config.limits)
        lock = None if place is None or place.slots == 1 else place.socket_dir / "access-log.lock"
        self._access_log = AccessLog(config.access_log.path, lock=lock) if config.access_log.enabled else None
        self._origins = {name: self._client(name, settings) for name, settings in config.origins.items()}
        self._retired: set[OriginClient] = set()
        self.neighbourhood: Neighbourhood | None = None
        if place is not None and place.slots > 1:
            self.neighbourhood = Neighbourhood(config, place, clock=self._clock)
        self.shared_writes: SharedWrites | None = None
        if place is not None:
            self.shared_writes = SharedWrites(
                config, place, services=lambda: self.proxy.services, clock=self._clock
            )
        ledger = self._ledger = Ledger(self._access_log, hit_share=config.access_log.hit_share)
        disk = config.cache.disk
        self._disk = None if disk is None or disk_later else DiskStore(disk, clock=self._clock)
        self.proxy = Proxy(
            config,
            origins=self._origins_for_clients(),
            clock=self._clock,
            ledger=ledger,
            disk=self._disk,
            elsewhere=elsewhere,
            owners=None if self.neighbourhood is None else self.neighbourhood.peers,
            owns_writes=self.shared_writes is None or self.shared_writes.owns,
            way_to_writes=None if self.shared_writes is None else self.shared_writes.way,
        )
        if self.neighbourhood is not None:
            self.neighbourhood.use(self.proxy, config, origins=self._origins)
        self._listeners = [
            Listener(
                settings,
                crowd=self._crowd,
                begin=self.proxy.begin,
                refuse=self.proxy.refuse,
                gate=self.proxy.gate,
            )
            for settings in config.listen
        ]
        self._admin: AdminListener | None = None
        if config.admin.enabled and place is None:
            self._admin = AdminListener(config.admin, subject=OneServer(self), clock=self._clock)

    def _client(self, name: str, settings: OriginSettings) -> OriginClient:
        return OriginClient(name, share_of_origin(settings, self.place), clock=self._clock)

    def _origins_for_clients(self) -> Mapping[str, Origin]:
        return (
            self._origins if self.neighbourhood is None else self.neighbourhood.behind_owners(self._origins)
        )

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
    def writes(self) -> WritesHome | None:
        """The writes; None in a worker whose writes another one has."""
        return self.proxy.writes

    @property
    def ended_well(self) -> bool:
        """Whether no write was at an origin when it stopped."""
        return self.writes is None or self.writes.ended_well

    @property
    def healthy(self) -> bool:
        """Whether new requests are welcome; false from the moment the end was announced."""
        return self._started and not self._draining

    @property
    def desk(self) -> WritesDesk:
        """Where an operator's orders about writes are given."""
        writes = self.writes
        if writes is None or (self.shared_writes is not None and not writes.is_here):
            return ClosedDesk(elsewhere=True)
        # A journal may hold what was left of routes that queue nothing any more.
        if writes.journal is None and all(route.writes is None for route in self.config.routes):
            return ClosedDesk(elsewhere=False)
        return writes.desk

    def statistics(self) -> ServerStatistics:
        """Everything that is counted."""
        connections: Counter[State] = Counter()
        for listener in self._listeners:
            connections.update(listener.states())
        proxy = self.proxy.statistics()
        requests = proxy.exchanges.shareable
        return ServerStatistics(
            started_at=self._started_at,
            uptime_s=self._clock.mono() - self._started_mono,
            draining=self._draining,
            connections=dict(connections),
            accepted=self._crowd.accepted,
            turned_away=self._crowd.turned_away,
            leak_ratio=proxy.flights.shareable_fetches / requests if requests else None,
            access_log=None if self._access_log is None else self._access_log.statistics(),
            proxy=proxy,
            origins={name: origin.statistics() for name, origin in self._origins.items()},
            peers=None if self.neighbourhood is None else self.neighbourhood.statistics(),
            writes=None if self.writes is None else self.writes.statistics(),
        )

    async def start(self) -> None:
        """Listen. Raises: ConfigError if an address, a certificate, the disk tier or the log cannot be used.

        Nothing is left open then.
        """
        try:
            if self._access_log is not None:
                self._access_log.open()
            if self._disk is not None and not self._disk_later:
                await self._disk.open()
            if self._admin is not None:
                await self._admin.start()
            if self.neighbourhood is not None:
                await self.neighbourhood.start()
            if self.writes is not None and not self._writes_later:
                await self.take_writes()
            for index, listener in enumerate(self._listeners):
                await listener.start(self._sockets[index] if self._sockets else ())
        except BaseException:
            await self.close()
            raise
        self._started = True

    def prepare(self, config: Config) -> Change:
        """Make another configuration ready. Raises: ConfigError; nothing is changed then."""
        fixed = unchangeable(self.config, config)
        if fixed:
            raise ConfigError(
                f"{', '.join(fixed)}: cannot change while it runs. Restart, or upgrade with SIGUSR2, "
                "or leave as it was"
            )
        check_codings(config)
        kept = {
            name: self._origins[name]
            for name, settings in config.origins.items()
            if self.config.origins.get(name) == settings
        }
        fresh = {
            name: self._client(name, settings)
            for name, settings in config.origins.items()
            if name not in kept
        }
        return Change(config, origins={**kept, **fresh}, fresh=tuple(fresh.values()))

    def commit(self, change: Change) -> None:
        """Use what was prepared, from this step on."""
        config, before = change.config, self.proxy
        retired = [origin for name, origin in self._origins.items() if change.origins.get(name) is not origin]
        self.config, self._origins = config, dict(change.origins)
        self.proxy = Proxy(
            config,
            origins=self._origins_for_clients(),
            clock=self._clock,
            ledger=self._ledger,
            before=before,
            owners=None if self.neighbourhood is None else self.neighbourhood.peers,
            way_to_writes=None if self.shared_writes is None else self.shared_writes.way,
        )
        if self.neighbourhood is not None:
            self.neighbourhood.use(self.proxy, config, origins=self._origins)
        self._crowd.limits = config.limits
        for listener in self._listeners:
            listener.switch(
                limits=config.limits,
                begin=self.proxy.begin,
                refuse=self.proxy.refuse,
                gate=self.proxy.gate,
            )
        before.retire(self.proxy)
        for origin in retired:
            self._retired.add(origin)
            _task = spawn(self._close_when_idle(origin), name="retired origin")

    async def _close_when_idle(self, origin: OriginClient) -> None:
        while _is_asked(origin):  # noqa: ASYNC110 - a tunnel may last for days; nobody waits for this
            await asyncio.sleep(RETIRED_LOOK_S)
        self._retired.discard(origin)
        await origin.close()

    async def take_disk(self) -> DiskStore:
        """Open the disk tier that was left for later; `use_disk` puts it to use. Raises: ConfigError."""
        settings = self.config.cache.disk
        assert settings is not None, "there is no disk tier to take"
        assert self._disk is None, "the disk tier is taken"
        disk = DiskStore(settings, clock=self._clock)
        await disk.open()
        return disk

    def use_disk(self, disk: DiskStore) -> None:
        """Use what `take_disk` gave, once it knows of all purges."""
        self._disk = disk
        self.proxy.cache.attach(disk)

    async def take_writes(self, *, clean: bool = True) -> None:
        """Have the writes from now on, of all workers where there are several.

        `clean` is False where the one before is known not to have ended well. Raises: ConfigError,
        QueueUnavailable.
        """
        assert self.writes is not None, "another worker has the writes"
        if self.shared_writes is None:
            await self.writes.start(clean=clean)
        else:
            await self.shared_writes.take(self.writes, clean=clean)

    async def give_writes(self) -> bool:
        """Give them up to another process; False if something may be at an origin still. Idempotent."""
        if self.writes is None or self.shared_writes is None:
            return True
        return await self.shared_writes.give(self.writes)

    def reopen(self) -> None:
        """SIGHUP: the access log was moved away, certificates may have been renewed."""
        if self._access_log is not None:
            self._access_log.reopen()
        for listener in self._listeners:
            listener.reload_certificate()

    async def hand_over(self) -> int:
        """A successor has the sockets: as `drain`, but what is idle gets its next answer, too."""
        self._draining = True
        for listener in self._listeners:
            listener.hand_over()
        # The others of this generation hand over, too, and ask until they are done.
        if await self._gone_within(self.config.shutdown_timeout_s, of_workers=False):
            await self._see_writes_off()
            return 0
        return await self.drain()

    async def _see_writes_off(self) -> None:
        """Give them up, and answer whoever came for them."""
        await self.give_writes()
        if self.shared_writes is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.config.shutdown_timeout_s):
                    await self.shared_writes.wait_gone()

    async def drain(self, *, others_stay: bool = False) -> int:
        """Take no more requests and let running exchanges end; how many connections had to be cut.

        The health check fails first, for `shutdown_delay_s`, so that a balancer stops sending. Other workers
        that end as well may bring writes until they are gone; `others_stay` says that they do not end.
        """
        self._draining = True
        if self.config.shutdown_delay_s:
            await asyncio.sleep(self.config.shutdown_delay_s)
        if self.writes is not None:
            self.writes.announce_end()
        for listener in self._listeners:
            listener.start_draining()
        if self.neighbourhood is not None:
            self.neighbourhood.stop_answering()
        gone = await self._gone_within(self.config.shutdown_timeout_s, of_writes=not others_stay)
        await self._see_writes_off()
        if gone:
            return 0
        cut = sum(listener.cut() for listener in self._listeners)
        logger.warning("drain_timed_out cut_connections=%d", cut)
        return cut

    async def close(self) -> None:
        """Stop at once what is left. Idempotent."""
        self._draining = True
        self._cut()
        if self.writes is not None:
            await self.writes.stop()
        self.proxy.close()
        await self._gone_within(CUT_TIMEOUT_S)  # what was cut is counted and logged, too
        if self._disk is not None:  # after its readers
            await self._disk.close()
        for origin in (*self._origins.values(), *self._retired):
            await origin.close()
        if self.neighbourhood is not None:
            await self.neighbourhood.close()
        if self.shared_writes is not None:
            await self.shared_writes.close()
        if self._admin is not None:
            await self._admin.stop()
        if self._access_log is not None:
            await self._access_log.close()

    def _cut(self) -> None:
        for listener in self._listeners:
            listener.stop_accepting()
            listener.cut()
        if self.neighbourhood is not None:
            self.neighbourhood.cut()
        if self.shared_writes is not None:
            self.shared_writes.cut()

    async def _gone_within(
        self, timeout_s: float, *, of_workers: bool = True, of_writes: bool = True
    ) -> bool:
        """Whether all connections and exchanges have ended before the time is over, those of workers too."""
        try:
            async with asyncio.timeout(timeout_s):
                for listener in self._listeners:
                    await listener.wait_gone()
                if of_workers and self.neighbourhood is not None:
                    await self.neighbourhood.wait_gone()
                if of_workers and of_writes and self.shared_writes is not None:
                    await self.shared_writes.wait_gone()
        except TimeoutError:
            return False
        return True


def _is_asked(origin: OriginClient) -> bool:
    found = origin.statistics()
    return found.outstanding + found.queued > 0
