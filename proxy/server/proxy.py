"""The proxy under one configuration: what its exchanges share, and where each begins.

The shell around the decisions: every `if` about HTTP is in `proxy.policy`, every wait for a shared answer
in `proxy.coalesce`; `Serving` asks them in the right order for one exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.cache.cache import ResponseCache
from proxy.cache.disk.statistics import DiskStatistics
from proxy.cache.disk.store import DiskStore
from proxy.cache.elsewhere import Elsewhere
from proxy.cache.memory import MemoryStatistics
from proxy.cache.purging import PurgeStatistics
from proxy.clock import Clock
from proxy.coalesce.coalescer import Coalescer
from proxy.coalesce.flights import FlightStatistics
from proxy.coalesce.slicing import Slicing
from proxy.compression.compressor import Compressor, CompressorStatistics
from proxy.compression.encoders import check_codings
from proxy.config.settings import Config
from proxy.errors import ClientError
from proxy.explaining import Explainer
from proxy.origin.port import Origin
from proxy.routing import Router
from proxy.server.client_connection import ClientConnection
from proxy.server.delivery import Delivery
from proxy.server.echo import Echo
from proxy.server.exchange import Exchange
from proxy.server.gate import Gate
from proxy.server.gate_keeper import GateKeeper, GateStatistics
from proxy.server.invalidating import Invalidating
from proxy.server.ledger import Ledger, LedgerStatistics
from proxy.server.passing import Passing
from proxy.server.prepared import PreparedHeads
from proxy.server.purge_method import PurgeMethod
from proxy.server.purger import Purger
from proxy.server.response_writer import ResponseWriter
from proxy.server.serving import Hall, Owners, Services, Serving, answer_error
from proxy.server.writes.entrance import StatusEntrance, WritesEntrance
from proxy.server.writes.front import WriteFront
from proxy.server.writes.home import WritesHome
from proxy.server.writes.passing_on import PassingOn, WayToWrites
from proxy.server.writes.routes import write_routes
from proxy.server.writes.status import WriteStatusResource


@dataclass(frozen=True, slots=True)
class ProxyStatistics:
    """What the proxy did since the start."""

    exchanges: LedgerStatistics
    flights: FlightStatistics
    memory: MemoryStatistics
    compressor: CompressorStatistics
    purges: PurgeStatistics
    refreshed: int
    gate: GateStatistics | None
    disk: DiskStatistics | None


class Proxy:
    """Answers requests under one configuration."""

    def __init__(
        self,
        config: Config,
        *,
        origins: Mapping[str, Origin],
        clock: Clock,
        ledger: Ledger,
        disk: DiskStore | None = None,
        elsewhere: Elsewhere | None = None,
        before: Proxy | None = None,
        owners: Owners | None = None,
        owns_writes: bool = True,
        way_to_writes: WayToWrites | None = None,
    ) -> None:
        """`before` is that of the last configuration: its cache, flights, lanes and threads are taken over.

        `owns_writes`: of several workers one has all writes. `way_to_writes` leads to who has them when they
        are not here; None where they always are.
        """
        router = Router(config.routes)
        if before is None:
            cache = ResponseCache(config.cache, clock=clock, disk=disk, elsewhere=elsewhere)
            coalescer = Coalescer(cache=cache, max_refreshes=config.cache.max_refreshes)
            self._slicing = Slicing(coalescer, max_keys=config.cache.max_keys_remembered)
            check_codings(config)
            self._compressor = Compressor(config.compressor)
            self.writes = (
                WritesHome(config.writes, cache=cache, router=router, clock=clock) if owns_writes else None
            )
        else:
            cache = before.cache
            coalescer = before.coalescer
            self._slicing = before._slicing
            self._compressor = before._compressor
            self.writes = before.writes
        front, status = self._writing(config, origins=origins, router=router, clock=clock, way=way_to_writes)
        heads = PreparedHeads(
            router,
            limits=config.limits,
            via_name=config.cache.cache_name,
            is_own=_never if status is None else status.covers,
        )
        self.purger = Purger(cache=cache, router=router)
        self._services = Services(
            config=config,
            clock=clock,
            origins=origins,
            heads=heads,
            cache=cache,
            coalescer=coalescer,
            slicing=self._slicing,
            delivery=Delivery(config.cache, compressor=self._compressor),
            passing=Passing(config.cache),
            invalidating=Invalidating(cache=cache, heads=heads),
            purge_method=PurgeMethod(self.purger),
            ledger=ledger,
            echo=Echo(),
            owners=owners,
            writes=front,
            write_status=status,
        )
        self._gate_keeper: GateKeeper | None = None
        if config.gate:
            self._gate_keeper = GateKeeper(
                config,
                origins=origins,
                clock=clock,
                cache=cache,
                coalescer=self._services.coalescer,
                delivery=self._services.delivery,
                heads=heads,
                ledger=ledger,
            )
        self.explainer = Explainer(
            heads=heads,
            coalescer=self._services.coalescer,
            slicing=self._slicing,
            origins=origins,
            limits=config.limits,
            schemes=frozenset("http" if listen.tls is None else "https" for listen in config.listen),
            clock=clock,
            owner_of=None if owners is None else owners.owner_of,
        )

    def _writing(
        self,
        config: Config,
        *,
        origins: Mapping[str, Origin],
        router: Router,
        clock: Clock,
        way: WayToWrites | None,
    ) -> tuple[WriteFront | WritesEntrance | None, WriteStatusResource | StatusEntrance | None]:
        """What takes writes in and tells of them; nothing where no route queues any."""
        home, routes, keeps = self.writes, write_routes(config.routes), config.writes.journal is not None
        if home is not None:
            home.use(routes, origins=origins, router=router)
        if not routes and not keeps:
            return None, None
        front = status = None
        if home is not None:
            front = WriteFront(config, routes=routes, home=home, clock=clock)
            status = WriteStatusResource(config, routes=routes, home=home, clock=clock)
        if way is None:
            return front, status
        passing_on = PassingOn(config.cache, way=way)
        return (
            WritesEntrance(routes, passing_on=passing_on, keeps=keeps, home=home, front=front),
            StatusEntrance(config.writes.path, passing_on=passing_on, home=home, resource=status),
        )

    def __repr__(self) -> str:
        return f"<Proxy {self._services.coalescer!r} {self._services.cache!r}>"

    @property
    def cache(self) -> ResponseCache:
        """What is stored; the place to purge."""
        return self._services.cache

    @property
    def services(self) -> Services:
        """What its exchanges use."""
        return self._services

    @property
    def compressor(self) -> Compressor:
        """What makes codings."""
        return self._compressor

    @property
    def coalescer(self) -> Coalescer:
        """The flights."""
        return self._services.coalescer

    def statistics(self) -> ProxyStatistics:
        """Counters since the start."""
        return ProxyStatistics(
            exchanges=self._services.ledger.statistics(),
            flights=self._services.coalescer.statistics(),
            memory=self._services.cache.statistics(),
            compressor=self._compressor.statistics(),
            purges=self._services.cache.purge_statistics(),
            refreshed=self._services.coalescer.refreshed,
            gate=None if self._gate_keeper is None else self._gate_keeper.statistics(),
            disk=self._services.cache.disk_statistics(),
        )

    def retire(self, successor: Proxy) -> None:
        """Another configuration is in use; exchanges that have begun end under this one."""
        if self._gate_keeper is not None:
            self._gate_keeper.retire(successor._gate_keeper)

    def close(self) -> None:
        """Stop what still runs."""
        if self._gate_keeper is not None:
            self._gate_keeper.close()
        self._services.coalescer.close()
        self._services.cache.close()
        self._compressor.close()

    def gate(self, *, scheme: str, trusted: bool) -> Gate | None:
        """A gate for the clients of one listener, trusted proxies or not; None where it is switched off."""
        if self._gate_keeper is None:
            return None
        return Gate(self._gate_keeper, scheme=scheme, trusted=trusted)

    def begin(
        self, hall: Hall, connection: ClientConnection, message: RawRequestMessage, body: StreamReader
    ) -> bool | Serving:
        """Begin to answer a request; see `Serving.begin`."""
        return Serving(self._services, hall, connection, message, body).begin()

    def refuse(self, hall: Hall, connection: ClientConnection, error: ClientError) -> None:
        """Answer octets that are no request; the connection closes afterwards."""
        clock = self._services.clock
        exchange = Exchange(
            writer=ResponseWriter(connection, keep_alive=False),
            client=connection.peer,
            trusted=hall.trusts(connection.peer),
            started_at=clock.now(),
            started_mono=clock.mono(),
        )
        answer_error(exchange, error, self._services.config)
        self._services.ledger.record(exchange, now_mono=clock.mono())


def _never(_path: bytes) -> bool:
    return False
