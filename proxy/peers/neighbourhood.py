"""A worker among others: whom it asks, and where it is asked, with one life beside the server's.

The server tells it of each configuration, since what both sides must have in common follows from that; and
takes from it the origins to use, which are the owners first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from proxy.clock import Clock
from proxy.config.settings import Config
from proxy.origin.port import Origin
from proxy.peers.delivery import OwnersDelivery
from proxy.peers.door import Door
from proxy.peers.peers import Peers
from proxy.peers.shared_origin import SharedOrigin
from proxy.peers.statistics import PeerStatistics
from proxy.server.echo import Echo
from proxy.server.ledger import Ledger
from proxy.server.proxy import Proxy
from proxy.server.serving import Services
from proxy.workers.place import WorkerPlace


class Neighbourhood:
    """Of one worker. `use` comes before `start`."""

    def __init__(self, config: Config, place: WorkerPlace, *, clock: Clock) -> None:
        self.peers = Peers(config, place, clock=clock)
        self._clock = clock
        self._ledger = Ledger(None)  # the client's exchange is logged where the client is
        self._services: Services | None = None
        self.door = Door(self.peers, limits=config.limits, services=self._services_now)

    def __repr__(self) -> str:
        return f"<Neighbourhood {self.peers!r}>"

    def behind_owners(self, origins: Mapping[str, Origin]) -> dict[str, Origin]:
        """The origins for clients' requests."""
        return {name: SharedOrigin(origin, peers=self.peers) for name, origin in origins.items()}

    def use(self, proxy: Proxy, config: Config, *, origins: Mapping[str, Origin]) -> None:
        """Answer questions as this proxy does those of clients, but by the origins themselves."""
        self.peers.rearrange(config)
        self._services = replace(
            proxy.services,
            origins=origins,
            delivery=OwnersDelivery(config.cache, compressor=proxy.compressor, clock=self._clock),
            ledger=self._ledger,
            echo=Echo(),
            owners=None,
        )

    def _services_now(self) -> Services:
        assert self._services is not None, "the door opens when there is somebody behind it"
        return self._services

    def statistics(self) -> PeerStatistics:
        """Counters since the start."""
        return self.peers.statistics(answers=lambda: self._ledger.statistics().outcomes)

    async def start(self) -> None:
        """Let others ask. Raises: ConfigError."""
        await self.door.start()

    def stop_answering(self) -> None:
        """Let no more questions in; those that came go on to their end."""
        self.door.listener.start_draining()

    def cut(self) -> None:
        """Stop at once what is left of them."""
        self.door.listener.stop_accepting()
        self.door.listener.cut()

    async def wait_gone(self) -> None:
        """Wait until the last question is answered."""
        await self.door.listener.wait_gone()

    async def close(self) -> None:
        """Ask nothing more."""
        await self.peers.close()
