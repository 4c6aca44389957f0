"""The scenario language: clients, Lockgate and an origin on real sockets, told as a story.

    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(10).send("GET /a")
    await world.until(lambda: world.seats == 10)
    answer.release()
    await clients.expect(200, b"A")
    assert world.origin.asked("GET /a") == 1

Lockgate runs in the process, on a clock that the test moves; time limits inside of it that are not ages
(a stalled socket) run on the loop's own. Each side asserts what it sees: a request that no rule fits, a
malformed or truncated message, an answer left unread, an error in Lockgate's log or in the loop fail the
test, and so do counters that do not add up and anything that Lockgate still holds in the end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from proxy.cache.cache import ResponseCache
from proxy.coalesce.answer import Outcome
from proxy.config.settings import Config
from proxy.server.server import Server
from tests.origin.manual_clock import ManualClock
from tests.scenario_client import Client, Clients
from tests.scenario_origin import Origin
from tests.scenario_wire import DEADLINE_S, Transcript, Wire

GATE = os.environ.get("LOCKGATE_TEST_GATE", "on")
"""`off` has all hits take the ordinary path, `eager` has the gate answer from the second request on."""


class _ErrorLog(logging.Handler):
    """Lockgate logs an error only where it is at fault itself."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._complain = complain

    def emit(self, record: logging.LogRecord) -> None:
        self._complain(f"logged: {record.getMessage()} {record.exc_info or ''}")


class World:
    """One scenario. `configure` before the first request; everything else when it happens."""

    def __init__(
        self,
        directory: Path,
        *,
        origin_path: str | None = None,
        origin_tls: ssl.SSLContext | None = None,
        client_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.transcript = Transcript()
        self.origin = Origin("origin", self.transcript, self._complain, path=origin_path, tls=origin_tls)
        self.directory = directory
        self._origins = {"shop": self.origin}
        self._settings: dict[str, dict[str, object]] = {}
        self._routes: list[dict[str, object]] | None = None
        self._client_tls = client_tls
        self._server: Server | None = None
        self._starting: asyncio.Task[None] | None = None
        self._clients: list[Client] = []
        self._complaints: list[str] = []
        self._log = _ErrorLog(self._complain)
        self.failed = False
        """The test has failed already: what is left over is no news."""
        self.unseen_exchanges = 0
        """Exchanges that clients of the test's own (not `client()`) had."""

    def _complain(self, text: str) -> None:
        self._complaints.append(text)

    # setting up

    async def open(self) -> None:
        """Let the origin listen, and watch for errors."""
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: self._complain(f"in the loop: {context}")
        )
        logging.getLogger("proxy").addHandler(self._log)
        await self.origin.listen()

    async def another_origin(self, name: str) -> Origin:
        """A second origin, for routes to name."""
        origin = Origin(name, self.transcript, self._complain)
        await origin.listen()
        self._origins[name] = origin
        return origin

    def configure(self, *, routes: list[dict[str, object]] | None = None, **sections: object) -> None:
        """What is not as by default: `route` or `routes`, `origin`, `limits`, `cache`, `writes`, `listen`."""
        assert self._server is None, "Lockgate runs already"
        self._routes = routes
        for name, settings in sections.items():
            assert isinstance(settings, dict), name
            self._settings.setdefault(name, {}).update(settings)

    def _config(self) -> Config:
        listen = {"address": "127.0.0.1:0", **self._settings.get("listen", {})}
        return Config.model_validate(
            {
                "listen": [listen],
                "gate": GATE != "off",
                "admin": {"enabled": False},
                "access_log": {"enabled": False},
                "limits": self._settings.get("limits", {}),
                "cache": self._settings.get("cache", {}),
                "writes": self._settings.get("writes", {}),
                "origins": {
                    name: {"addresses": [origin.url], **self._settings.get("origin", {})}
                    for name, origin in self._origins.items()
                },
                "routes": self._routes or [{"origin": "shop", **self._settings.get("route", {})}],
            }
        )

    # Lockgate

    @property
    def proxy(self) -> Server:
        """Lockgate; made at the first look."""
        if self._server is None:
            self._server = Server(self._config(), clock=self.clock)
        return self._server

    async def started(self) -> Server:
        """Lockgate, listening."""
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self.proxy.start())
        await self._starting
        return self.proxy

    async def restart(self, *, routes: list[dict[str, object]] | None = None) -> None:
        """End Lockgate in good order, cutting its clients, and start it anew, perhaps with other routes."""
        await self.proxy.close()
        self.unseen_exchanges -= self.proxy.statistics().proxy.exchanges.requests
        self._server = self._starting = None
        self._routes = routes or self._routes
        await self.started()

    @property
    def store(self) -> ResponseCache:
        """What Lockgate has stored, and the place to purge."""
        return self.proxy.proxy.cache

    def purge(self, *, soft: bool = False) -> int:
        """Purge everything."""
        return self.store.purge_all(soft=soft)

    @property
    def seats(self) -> int:
        """Exchanges in flights now, leaders included; the questions of workers to each other are none."""
        statistics = self.proxy.statistics()
        asking = 0 if statistics.peers is None else statistics.peers.asking
        return statistics.proxy.flights.seats - asking

    @property
    def flights(self) -> int:
        """Flights now."""
        return self.proxy.statistics().proxy.flights.running

    @property
    def entries(self) -> int:
        """Stored responses."""
        return self.proxy.statistics().proxy.memory.entries

    def outcomes(self) -> dict[str, int]:
        """How many exchanges ended how; those that none ended with left out."""
        counted = self.proxy.statistics().proxy.exchanges.outcomes
        return {outcome.value: counted[outcome] for outcome in Outcome if counted[outcome]}

    # clients

    async def connect(self, name: str) -> Wire:
        """A connection to Lockgate."""
        server = await self.started()
        return await self.connect_at(server.addresses[0], name)

    async def connect_at(self, address: str, name: str) -> Wire:
        """A connection to this address."""
        loop = asyncio.get_running_loop()

        def make() -> Wire:
            return Wire(name, self.transcript)

        if address.startswith("unix:"):
            _, wire = await loop.create_unix_connection(make, address.removeprefix("unix:"))
            return wire
        host, _, port = address.rpartition(":")
        _, wire = await loop.create_connection(
            make,
            host.strip("[]"),
            int(port),
            ssl=self._client_tls,
            server_hostname="localhost" if self._client_tls else None,
        )
        return wire

    def client(self) -> Client:
        """A client; it connects when it sends."""
        client = Client(f"client{len(self._clients)}", self.connect)
        self._clients.append(client)
        return client

    def clients(self, count: int) -> Clients:
        """So many clients."""
        return Clients(self.client() for _ in range(count))

    # waiting

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Let the loop turn until the condition holds."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():  # noqa: ASYNC110 - conditions here have no event
                    await asyncio.sleep(0)
        except TimeoutError:
            raise AssertionError(
                f"it never came true{what and f' that {what}'}; seats {self.seats}, {self.outcomes()}"
            ) from None

    async def turns(self, count: int = 30) -> None:
        """Let the loop turn some times, for what must not happen: loopback needs one or two."""
        for _ in range(count):
            await asyncio.sleep(0)

    # the end

    async def close(self) -> None:
        """End everything and see that it adds up. Raises: AssertionError with all that was wrong."""
        try:
            for client in self._clients:
                left = await client.finish()
                if left is not None:
                    self._complain(left)
            if not self.failed:
                await self._settle()
        finally:
            await self._shut_down()
        if self.failed:
            return
        assert not self._complaints, "\n".join(self._complaints)

    async def _settle(self) -> None:
        for origin in self._origins.values():
            origin.let_go()
        if self._server is None or self._complaints:
            return
        try:
            await self.until(lambda: not self._held() and not self._difference())
        except AssertionError:
            self._complain(f"{self._held()} {self._difference()}")

    def _held(self) -> str:
        """What Lockgate still holds although every client is gone."""
        statistics = self.proxy.statistics()
        flights = statistics.proxy.flights
        held = {"flights": flights.running, "seats": flights.seats}
        for origin in statistics.origins.values():
            held[f"requests at {origin.name}"] = origin.outstanding + origin.queued
        return ", ".join(f"{count} {name} left" for name, count in held.items() if count)

    def _difference(self) -> str:
        """Where Lockgate's counters and what the clients saw differ."""
        counted = self.proxy.statistics().proxy.exchanges
        seen = sum(client.exchanges for client in self._clients) + self.unseen_exchanges
        if not counted.requests == sum(counted.outcomes.values()) == seen:
            return f"Lockgate counted {counted.requests} requests, {self.outcomes()}; the clients saw {seen}"
        statuses = Counter(status for client in self._clients for status in client.statuses)
        if not self.unseen_exchanges and any(
            counted.statuses.get(status, 0) < times for status, times in statuses.items()
        ):
            return f"Lockgate counted {counted.statuses}; the clients saw {dict(statuses)}"
        return ""

    async def _shut_down(self) -> None:
        if self._server is not None:
            await self._server.close()
        for origin in self._origins.values():
            await origin.close()
        logging.getLogger("proxy").removeHandler(self._log)
