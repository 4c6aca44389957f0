"""The writes of one server, with what keeps them: made once, and led through changes of configuration.

Whatever the routes say, there is one queue and one set of lanes. With a journal they start with what was left
from before, also of routes that queue nothing any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from proxy.cache.cache import ResponseCache
from proxy.clock import Clock
from proxy.config.write_settings import WritesSettings
from proxy.errors import QueueUnavailable, WritesMoved
from proxy.origin.port import Origin
from proxy.routing import Router
from proxy.server.writes.keeping import kept_by
from proxy.server.writes.routes import WriteRoute
from proxy.server.writes.uploads import Uploads
from proxy.writes.desk import Desk
from proxy.writes.effects import CacheEffects
from proxy.writes.front.write_ids import WriteIds
from proxy.writes.policy import WritePolicy
from proxy.writes.service import Writes
from proxy.writes.statistics import WritesServerStatistics
from proxy.writes.waiting import Ending

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
        self._stopping = asyncio.Lock()
        self._leaving = False
        self._inside = 0
        self._last_left = asyncio.Event()
        self._polls = 0
        self.ended_well = True
        """Whether nothing was at an origin when they were stopped."""
        self.keeps = settings.journal is not None
        """Whether there is a journal: whether anything can be promised that outlives this process."""
        self.retention_s = 0.0 if settings.journal is None else settings.journal.retention_s
        kept = self._kept = kept_by(settings, clock=clock)
        self.journal, self.store, self.events = kept.journal, kept.store, kept.events
        self.shards = kept.queue.shards
        self.uploads = Uploads(max_bytes=settings.max_bytes, queued_bytes=lambda: kept.live.bytes)
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

    async def start(self, *, clean: bool = True) -> None:
        """Take up what was left, and take in from now on. Raises: ConfigError, QueueUnavailable.

        `clean` is False where it is known that something of a process before this one may still be at an
        origin; a journal tells that by itself.
        """
        loop = asyncio.get_running_loop()
        if self._kept.memory is not None:
            self._kept.memory.clean = clean
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

    async def stop(self) -> bool:
        """Let what is at origins end within the time set, and keep the rest. Idempotent.

        False if something may be at an origin still.
        """
        self.announce_end()
        async with self._stopping:
            return await self._stop(self._settings.shutdown_timeout_s)

    async def _stop(self, deadline_s: float) -> bool:
        if self._started is not None and self._started.done():
            self.ended_well = await self.writes.stop(deadline_s=deadline_s)
            self._started = None
        self._effects.close()
        return self.ended_well

    # another process gets them

    @property
    def is_here(self) -> bool:
        """Whether writes are taken in: they have been started, and are not being given up."""
        return not self._leaving and self._started is not None and self._started.done()

    @contextmanager
    def inside(self, octets: bytes = b"") -> Iterator[None]:
        """For what must be over before another process may have them. Raises: WritesMoved if it is too late.

        `octets` is the body that was read of the request.
        """
        self.come_in(octets)
        try:
            yield
        finally:
            self.go_out()

    def come_in(self, octets: bytes = b"") -> None:
        """Begin what is `inside` until `go_out`. Raises: WritesMoved."""
        if self._leaving:
            raise WritesMoved("another process gets the writes", octets)
        self._inside += 1

    def go_out(self) -> None:
        """It is over."""
        self._inside -= 1
        if not self._inside:
            self._last_left.set()

    async def hand_over(self) -> bool:
        """Give them up to another process: nobody comes in, who is inside gets the answer, then it is over.

        Half of the time set is for the writes that nothing keeps and for clients that wait; after that
        nothing more is started. False if something may be at an origin still. Idempotent.
        """
        self._leaving = True
        self.announce_end()
        async with self._stopping:
            if self._started is None or not self._started.done():
                return self.ended_well
            half_s = self._settings.shutdown_timeout_s / 2
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(half_s):
                    await self._worked_off(half_s)
            return await self._stop(half_s)

    async def _worked_off(self, within_s: float) -> None:
        """Wait until what ends with this process has ended, and who waits for it has his answer."""
        while self._inside:
            self._last_left.clear()
            await self._last_left.wait()
        await self.writes.until(lambda: not self._kept.unkept, deadline_s=within_s)

    # waiting

    async def wait_until_end(self, future: asyncio.Future[Ending]) -> None:
        """Wait until it is done, or the process is about to end."""
        waited: list[asyncio.Future[Any]] = [future]
        if self._ending is not None:
            waited.append(self._ending)
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)

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
