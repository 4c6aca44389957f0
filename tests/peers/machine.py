"""A scenario with several workers: servers in one process, each with its place, as on one machine.

They share the loop and the clock, and talk over Unix sockets in a directory of the test; what is not there is
the supervisor: nobody passes purges on unless the test does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from proxy.coalesce.answer import Outcome
from proxy.config.settings import CacheSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.peers.neighbourhood import Neighbourhood
from proxy.peers.order import order_of
from proxy.peers.statistics import Reply
from proxy.server.prepared import Prepared
from proxy.server.server import Server, ServerStatistics
from proxy.workers.place import WorkerPlace
from proxy.workers.portion import slot_directory
from tests.scenario import World
from tests.scenario_client import Client, Clients
from tests.scenario_wire import Wire


class Machine(World):
    """`at(slot)` is a client of that worker; `order(target)` tells who owns a target, and who is next."""

    def __init__(self, directory: Path, *, workers: int = 2) -> None:
        super().__init__(directory)
        self.slots = workers
        self._workers: dict[int, Server] = {}
        self._starts: dict[int, asyncio.Task[None]] = {}
        self._still: dict[int, set[asyncio.StreamWriter]] = {}
        self._sockets = directory / "workers"
        self._sockets.mkdir(mode=0o700)
        self._absent: dict[int, asyncio.Server | None] = {}
        self.gone: list[ServerStatistics] = []
        """What workers that were killed had counted."""

    def place(self, slot: int) -> WorkerPlace:
        """Where a worker stands."""
        return WorkerPlace(slot, self.slots, self._sockets)

    def worker(self, slot: int) -> Server:
        """One of them; made at the first look."""
        found = self._workers.get(slot)
        if found is None:
            config = self._config()
            workers = config.workers.model_copy(update={"owner_timeout_s": self.owner_timeout_s})
            config = config.model_copy(
                update={"workers": workers, "cache": _with_own_disk(config.cache, slot)}
            )
            found = self._workers[slot] = Server(config, clock=self.clock, place=self.place(slot))
        return found

    owner_timeout_s = 30.0
    """Far above what a loaded machine takes to turn the loop: tests of the limit set their own."""

    async def all_started(self) -> None:
        """Let every worker listen."""
        for slot in range(self.slots):
            if slot not in self._absent:
                await self.start(slot)

    async def start(self, slot: int) -> None:
        """Let this worker listen, once."""
        starting = self._starts.get(slot)
        if starting is None:
            starting = asyncio.get_running_loop().create_task(self.worker(slot).start())
            self._starts[slot] = starting
        await starting

    async def kill(self, slot: int) -> None:
        """End a worker at once, with whatever it was doing; another may follow in its slot."""
        worker = self._workers.pop(slot)
        del self._starts[slot]
        await worker.close()
        self.gone.append(worker.statistics())

    @property
    def complaints(self) -> list[str]:
        """What the scenario will fail for, unless the test expects it and takes it away."""
        return self._complaints

    def neighbourhood(self, slot: int) -> Neighbourhood:
        """What a worker has to do with the others."""
        found = self.worker(slot).neighbourhood
        assert found is not None, "a worker among others"
        return found

    def leave_out(self, slot: int) -> None:
        """Nobody is in this slot until `fill` says so."""
        self._absent[slot] = None

    async def stand_still(self, slot: int) -> None:
        """In this slot is a worker that takes connections and does nothing, as one that was stopped."""
        asking: set[asyncio.StreamWriter] = set()
        silent = await asyncio.start_unix_server(
            lambda _reader, writer: asking.add(writer), self.place(slot).socket_path(slot)
        )
        self._absent[slot] = silent
        self._still[slot] = asking

    async def fill(self, slot: int) -> None:
        """A worker begins in this slot, in the place of nobody or of one that stood still."""
        silent = self._absent.pop(slot)
        if silent is not None:
            silent.close()
            for writer in self._still.pop(slot):
                writer.transport.abort()
        await self.start(slot)

    def owner(self, target: str) -> int:
        """The slot that owns what a GET of this target brings."""
        return self.order(target)[0]

    def order(self, target: str) -> tuple[int, ...]:
        """All slots in the order of this target's key."""
        request = RequestHead("GET", target.encode(), Fields(), authority=b"shop.example")
        some = next(iter(self._workers), 0)
        prepared = self.worker(some).proxy.services.heads.of_request(request, trusted=False)
        assert isinstance(prepared, Prepared), prepared
        assert prepared.key is not None, target
        return order_of(prepared.key, self.slots)

    def owned_by(self, slot: int, *, name: str = "/k") -> str:
        """A target that this slot owns."""
        return next(target for target in (f"{name}{n}" for n in range(1000)) if self.owner(target) == slot)

    # clients

    def at(self, slot: int) -> Client:
        """A client that is connected to this worker."""
        client = Client(f"client{len(self._clients)}@{slot}", partial(self._connect_to, slot))
        self._clients.append(client)
        return client

    def many_at(self, slot: int, count: int) -> Clients:
        """So many of them."""
        return Clients(self.at(slot) for _ in range(count))

    async def _connect_to(self, slot: int, name: str) -> Wire:
        await (self.all_started() if not self._starts else self.start(slot))
        return await self.connect_at(self.worker(slot).addresses[0], name)

    # what they counted

    def _counted(self) -> list[ServerStatistics]:
        return [*(worker.statistics() for worker in self._workers.values()), *self.gone]

    def _sum(self, read: Callable[[ServerStatistics], int]) -> int:
        return sum(map(read, self._counted()))

    @property
    def seats(self) -> int:
        return self._sum(lambda one: one.proxy.flights.seats)

    @property
    def flights(self) -> int:
        return self._sum(lambda one: one.proxy.flights.running)

    def outcomes(self) -> dict[str, int]:
        counts: Counter[Outcome] = Counter()
        for one in self._counted():
            counts.update(one.proxy.exchanges.outcomes)
        return {outcome.value: counts[outcome] for outcome in Outcome if counts[outcome]}

    def questions(self) -> dict[str, int]:
        """What workers asked each other, by reply."""
        counts: Counter[Reply] = Counter()
        for one in self._counted():
            assert one.peers is not None, "a worker among others"
            counts.update(one.peers.questions)
        return {reply.value: counts[reply] for reply in Reply if counts[reply]}

    async def _settle(self) -> None:
        for origin in self._origins.values():
            origin.let_go()
        if self._complaints:
            return
        try:
            await self.until(lambda: not self._held() and not self._difference())
        except AssertionError:
            self._complain(f"{self._held()} {self._difference()}")

    def _held(self) -> str:
        found: Counter[str] = Counter()
        for slot, worker in self._workers.items():
            statistics = worker.statistics()
            flights = statistics.proxy.flights
            found[f"flights at {slot}"] = flights.running
            found[f"seats at {slot}"] = flights.seats
            for origin in statistics.origins.values():
                found[f"requests of {slot} at {origin.name}"] = origin.outstanding + origin.queued
        return ", ".join(f"{count} {name} left" for name, count in found.items() if count)

    def _difference(self) -> str:
        counted = self._sum(lambda one: one.proxy.exchanges.requests)
        seen = sum(client.exchanges for client in self._clients) + self.unseen_exchanges
        if counted != seen:
            return f"the workers counted {counted} requests, {self.outcomes()}; the clients saw {seen}"
        return ""

    async def _shut_down(self) -> None:
        for slot in list(self._still):
            await self.fill(slot)
        for worker in self._workers.values():
            await worker.close()
        await super()._shut_down()


def _with_own_disk(cache: CacheSettings, slot: int) -> CacheSettings:
    if cache.disk is None:
        return cache
    own = {"directory": cache.disk.directory / slot_directory(slot)}
    return cache.model_copy(update={"disk": cache.disk.model_copy(update=own)})
