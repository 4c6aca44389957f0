"""The writes of a worker among others: the way to who has them, and the door while this one does.

The worker of slot 0 may have them; it takes them when the one before it has given them up. All others, and
that one before and after, pass on what is for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from proxy.clock import Clock
from proxy.config.settings import Config
from proxy.peers.relay import Relay
from proxy.peers.relay_door import RelayDoor
from proxy.server.echo import Echo
from proxy.server.ledger import Ledger
from proxy.server.serving import Services
from proxy.server.writes.entrance import StatusEntrance, WritesEntrance
from proxy.server.writes.home import WritesHome
from proxy.workers.place import WRITES_SLOT, WorkerPlace

RESTART_S: Final = 5.0
"""What a worker's end and the start of the next one take at the most, where nothing else is wrong."""


class SharedWrites:
    """Of one worker."""

    def __init__(
        self, config: Config, place: WorkerPlace, *, services: Callable[[], Services], clock: Clock
    ) -> None:
        """`services` are those of client requests, under the configuration of the moment."""
        self.owns = place.slot == WRITES_SLOT
        """Whether this worker is the one that has the writes, or will."""
        # Who hands them over may take so long; what was not given over waits for the next one.
        patience_s = config.writes.shutdown_timeout_s + RESTART_S
        self.way = Relay(place.writes_path, patience_s=patience_s, clock=clock)
        self._ledger = Ledger(None)  # the client's exchange is counted and logged where the client is
        self._services = services
        self._of_door: tuple[Services, Services] | None = None
        self.door: RelayDoor | None = None
        if self.owns:
            self.door = RelayDoor(place.writes_path, limits=config.limits, services=self._services_now)

    def __repr__(self) -> str:
        return f"<SharedWrites {self.way!r} {self.door!r}>"

    def _services_now(self) -> Services:
        services = self._services()
        if self._of_door is None or self._of_door[0] is not services:
            self._of_door = (services, self._for_others(services))
        return self._of_door[1]

    def _for_others(self, services: Services) -> Services:
        front, status = services.writes, services.write_status
        return replace(
            services,
            ledger=self._ledger,
            echo=Echo(),
            writes=front.only_here() if isinstance(front, WritesEntrance) else front,
            write_status=status.only_here() if isinstance(status, StatusEntrance) else status,
        )

    async def take(self, home: WritesHome, *, clean: bool) -> None:
        """Have the writes from now on. Raises: ConfigError, QueueUnavailable."""
        assert self.door is not None, "another worker has the writes"
        await home.start(clean=clean)
        await self.door.open()

    async def give(self, home: WritesHome) -> bool:
        """Have them no more; False if something may be at an origin still. Idempotent."""
        if self.door is not None:
            self.door.close()
        return await home.hand_over()

    async def wait_gone(self) -> None:
        """Wait until nothing relayed is in progress, nor may come on a connection that is open."""
        if self.door is not None:
            self.door.listener.draining = True  # each connection is closed with its next answer
            await self.door.listener.wait_gone()

    def cut(self) -> None:
        """End at once what is left."""
        if self.door is not None:
            self.door.cut()

    async def close(self) -> None:
        """Relay nothing more."""
        await self.way.close()
