"""The writes of one server, with what keeps them: made once, and led through changes of configuration.

Whatever the routes say, there is one queue and one set of lanes. With a journal they start with what was left
from before, also of routes that queue nothing any more.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Final

from proxy.cache.cache import ResponseCache
from proxy.clock import Clock
from proxy.config.write_settings import WritesSettings
from proxy.errors import QueueUnavailable
from proxy.origin.port import Origin
from proxy.routing import Router
from proxy.server.writes.keeping import kept_by
from proxy.server.writes.routes import WriteRoute
from proxy.writes.desk import Desk
from proxy.writes.effects import CacheEffects
from proxy.writes.front.write_ids import WriteIds
from proxy.writes.policy import WritePolicy
from proxy.writes.service import Writes
from proxy.writes.statistics import WritesServerStatistics

READY_TIMEOUT_S: Final = 30.0
"""How long a request waits for the journal that a predecessor still holds."""


class WritesHome:
    """`use` comes before `start`."""

    def __init__(
        self, settings: WritesSettings, *, cache: ResponseCache, router: Router, clock: Clock
    ) -> None:
        self._settings = settings
        self._routes: Mapping[str, WriteRoute] = {}
        self._origins: dict[str, Origin] = {}
        self._effects = CacheEffects(cache, router)
        self._started: asyncio.Future[None] | None = None
        self._ending: asyncio.Future[None] | None = None
        self._polls = 0
        self.keeps = settings.journal is not None
        """Whether there is a journal: whether anything can be promised that outlives this process."""
        self.retention_s = 0.0 if settings.journal is None else settings.journal.retention_s
        kept = kept_by(settings, clock=clock)
        self.journal, self.store, self.events = kept.journal, kept.store, kept.events
        self.shards = kept.queue.shards
        self.ids = WriteIds(os.urandom)
        self.writes = Writes(
            queue=kept.queue,
            store=kept.store,
            origins=self._origins,
            effects=self._effects,
            policies=self._policy,
            clock=clock,
            max_queued=settings.max_queued,
            max_running=settings.max_running,
        )
        self.desk = Desk(
            self.writes,
            events=kept.events,
            new_id=lambda shard: self.ids.next_id(now=clock.now(), shard=shard),
            lives_s=self._lives_s,
            clock=clock,
            recovering=lambda: self.journal is not None and self.journal.recovering,
        )
        """Where an operator's orders are given."""

    def __repr__(self) -> str:
        return f"<WritesHome {self.writes!r}>"

    def _policy(self, route: str) -> WritePolicy | None:
        found = self._routes.get(route)
        return None if found is None else found.policy

    def _lives_s(self, route: str) -> float:
        """How long one of this route that nobody waits for may take until it is sent."""
        found = self._routes.get(route)
        return 0.0 if found is None else found.settings.async_expires_s

    def statistics(self) -> WritesServerStatistics:
        """What is counted."""
        journal = None if self.journal is None else self.journal.statistics()
        return WritesServerStatistics(self.writes.statistics(), journal)

    def use(self, routes: Mapping[str, WriteRoute], *, origins: Mapping[str, Origin], router: Router) -> None:
        """From now on by these routes and origins; what is in the lanes keeps the policy it came under."""
        self._routes = routes
        self._origins.clear()
        self._origins.update(origins)
        self._effects.use(router)

    # life

    async def start(self) -> None:
        """Take up what was left, and take in from now on. Raises: ConfigError, QueueUnavailable."""
        loop = asyncio.get_running_loop()
        if self._ending is None:
            self._ending = loop.create_future()
        await self.writes.start()
        self._started = self._started or loop.create_future()
        if not self._started.done():
            self._started.set_result(None)

    async def ready(self) -> None:
        """Wait until writes are taken in. Raises: QueueUnavailable after a while."""
        if self._started is None:
            self._started = asyncio.get_running_loop().create_future()
        if self._started.done():
            return
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await asyncio.shield(self._started)
        except TimeoutError:
            raise QueueUnavailable("The journal is not open yet.") from None

    def announce_end(self) -> None:
        """Answer those who only wait to be told: the server is about to end."""
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(None)

    async def stop(self) -> None:
        """Let what is at origins end within the time set, and keep the rest. Idempotent."""
        self.announce_end()
        if self._started is not None and self._started.done():
            await self.writes.stop(deadline_s=self._settings.shutdown_timeout_s)
            self._started = None
        self._effects.close()

    # waiting

    async def wait_ended(self, write_id: str, *, within_s: float) -> None:
        """Wait until it ended, or the server is about to, or the time is over; not while too many do."""
        if self._polls >= self._settings.max_waits or self._ending is None:
            return
        self._polls += 1
        try:
            with self.writes.wait(write_id) as ended:
                if self.writes.state(write_id) is not None:  # else it has ended since it was looked at
                    either = (ended, self._ending)
                    await asyncio.wait(either, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._polls -= 1
