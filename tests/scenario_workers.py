"""A scenario with several workers, which is told and judged as if they were one Lockgate.

`LOCKGATE_TEST_WORKERS=3` has the `world` of every test be of this kind. The connections of its clients go to
the workers in turn, so that whatever happens to a key happens at several of them.

What is real: each worker is a `Worker` with its control channel, its share of the configuration, its sockets
and its door for the others; purges that come from clients, and invalidations, go by the channel and the
broadcast of the supervisor to all of them. What is not: all turn one loop, on the clock that the test moves;
who starts and ends them is this module; and each has a port of its own, for the kernel's choice among
sockets at one port cannot be repeated. `tests/workers` and `tests/peers/test_processes.py` have processes.

Bounds are the machine's, and divided among the workers. A test that fills one would have to know by how many
they are divided, so what it says here is what each worker gets; but for the limits of an origin.
"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from proxy.cache.cache import ResponseCache
from proxy.cache.disk.statistics import DiskStatistics
from proxy.cache.purging import Covers, PurgeReceipt
from proxy.config.settings import Config
from proxy.policy.purge_order import PurgeOrder
from proxy.policy.purges import Coverage, Everything
from proxy.routing import Router
from proxy.server.binding import Binding, bind
from proxy.server.purger import coverage_of_order
from proxy.server.server import Server, ServerStatistics
from proxy.server.writes.home import WritesHome
from proxy.tasks import spawn
from proxy.workers.broadcast import Broadcast
from proxy.workers.channel import Channel
from proxy.workers.frames import Message
from proxy.workers.member import Member
from proxy.workers.place import WRITES_SLOT
from proxy.workers.process import ChildProcess, control_pair
from proxy.workers.source import ConfigSource
from proxy.workers.summing import summed
from proxy.workers.worker import Worker
from tests.scenario import World
from tests.scenario_wire import DEADLINE_S, Wire

WORKERS = int(os.environ.get("LOCKGATE_TEST_WORKERS", "1"))
"""How many workers the scenarios have that do not choose by themselves."""

FIRST = os.environ.get("LOCKGATE_TEST_FIRST_WORKER", "")
"""The slot of a scenario's first connection; else each test has its own. A key's owner is always the same."""

_FILES = 1_000_000

_TURNS_OF_A_QUESTION = 20
"""Of the loop, for a question to get to the owner of its key: connecting included, it takes about ten."""


def made(
    directory: Path,
    *,
    origin_path: str | None = None,
    origin_tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
) -> World:
    """A scenario with as many workers as the environment says."""
    options: dict[str, Any] = {
        "origin_path": origin_path,
        "origin_tls": origin_tls,
        "client_tls": client_tls,
    }
    return World(directory, **options) if WORKERS == 1 else WorkersWorld(directory, WORKERS, **options)


class _TaskProcess:
    """`ChildProcess` for a worker that is a task of this process."""

    def __init__(self, worker: asyncio.Task[int], *, pid: int, complain: Callable[[str], None]) -> None:
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._worker = worker
        self._complain = complain
        worker.add_done_callback(self._over)

    def _over(self, worker: asyncio.Task[int]) -> None:
        self.ended.set_result(-signal.SIGKILL if worker.cancelled() else worker.result())

    def send(self, number: signal.Signals) -> None:
        """What a supervisor sends to those that run is the last resort: nothing that a scenario expects."""
        if not self.ended.done():
            self._complain(f"worker {self.pid} would have got {number.name}")
            self._worker.cancel()


class AllServers:
    """The servers of all workers, where a test asks one."""

    def __init__(self, config: Config, servers: Mapping[int, Server]) -> None:
        self.config = config
        self._servers = servers
        self._before_any: ServerStatistics | None = None

    def __repr__(self) -> str:
        return f"<AllServers {list(self._servers.values())}>"

    @property
    def addresses(self) -> list[str]:
        """Those of one of them."""
        return self._servers[0].addresses

    @property
    def proxy(self) -> AllProxies:
        """Where a test orders a purge."""
        return AllProxies(self._servers, self.config)

    def statistics(self) -> ServerStatistics:
        """All as one."""
        if self._servers:
            return summed([server.statistics() for server in self._servers.values()])
        if self._before_any is None:
            self._before_any = Server(self.config).statistics()
        return self._before_any


class AllProxies:
    """What a test asks of the proxies of all workers."""

    def __init__(self, servers: Mapping[int, Server], config: Config) -> None:
        self._servers = servers
        self._config = config
        self.purger = self

    @property
    def writes(self) -> WritesHome | None:
        """The writes, which one of them has for all; before any runs, those of one that never will."""
        one = self._servers.get(WRITES_SLOT)
        return Server(self._config).proxy.writes if one is None else one.proxy.writes

    def purge(self, order: PurgeOrder) -> AllReceipts:
        """As `Purger.purge`."""
        config = next(iter(self._servers.values())).config
        return AllCaches(self._servers).begin_purge(
            coverage_of_order(order, Router(config.routes)), soft=order.soft
        )


class AllReceipts:
    """As `PurgeReceipt`, of one purge in all workers. A place counts once, however many had a copy."""

    def __init__(self, receipts: Sequence[PurgeReceipt], *, entries: int) -> None:
        self._receipts = receipts
        self.entries = entries

    @property
    def done(self) -> bool:
        """Whether all was found."""
        return all(receipt.done for receipt in self._receipts)

    async def swept(self) -> int:
        """Wait until it is."""
        for receipt in self._receipts:
            await receipt.swept()
        return self.entries


class AllBudgets:
    """What all workers have taken of theirs."""

    def __init__(self, caches: Sequence[ResponseCache]) -> None:
        self.taken_bytes = sum(cache.fill_budget.taken_bytes for cache in caches)


class AllCaches:
    """The caches of all workers. What a test purges is purged in all of them in that step."""

    def __init__(self, servers: Mapping[int, Server]) -> None:
        self._servers = servers

    @property
    def _caches(self) -> list[ResponseCache]:
        return [server.proxy.cache for server in self._servers.values()]

    @property
    def fill_budget(self) -> AllBudgets:
        """Octets of bodies that come now."""
        return AllBudgets(self._caches)

    def places(self, covers: Covers = lambda _key, _labels: True) -> int:
        """Stored responses, however many workers have a copy of one."""
        entries = (entry for cache in self._caches for entry in cache._memory)
        return len({(entry.key, entry.variant) for entry in entries if covers(entry.key, entry.tags)})

    def disk_statistics(self) -> DiskStatistics | None:
        """Those of all disk tiers."""
        return summed([server.statistics() for server in self._servers.values()]).proxy.disk

    def purge_all(self, *, soft: bool = False) -> int:
        """Purge everything; how many places there were."""
        return self.begin_purge(Everything(), soft=soft).entries

    def begin_purge(self, coverage: Coverage, *, soft: bool = False) -> AllReceipts:
        """Purge what it covers."""
        entries, first = self.places(coverage.covers), self._caches[0]
        receipts = [
            cache.purge_here(coverage, soft=soft, kind=coverage.kind if cache is first else None)
            for cache in self._caches
        ]
        return AllReceipts(receipts, entries=entries)

    def purge_where(self, covers: Covers, *, soft: bool = False) -> int:
        """Purge what `covers(key, labels)` accepts."""
        return sum(cache.purge_where(covers, soft=soft) for cache in self._caches)


class WorkersWorld(World):
    """See the module's head."""

    def __init__(self, directory: Path, workers: int, **options: Any) -> None:
        super().__init__(directory, **options)
        self.slots = workers
        self.at_one_worker = False
        """Whether all connections go to the same worker; the others own their part of the keys."""
        self._next_slot = int(FIRST) if FIRST else _slot_for(directory.name, workers)
        self._servers: dict[int, Server] = {}
        self._members: list[Member] = []
        self._all: AllServers | None = None
        self._bindings: list[Binding] = []
        self._sockets = directory / "workers"
        self._broadcast = Broadcast(lambda: self._members, disk=self._disk, timeout_s=DEADLINE_S)

    def _disk(self) -> tuple[Path, int] | None:
        disk = self.proxy.config.cache.disk
        return None if disk is None else (disk.directory, self.slots)

    # as one Lockgate

    @property
    def proxy(self) -> Server:
        if self._all is None:
            self._all = AllServers(_each_its_own(self._config(), self.slots), self._servers)
        return cast(Server, self._all)

    @property
    def store(self) -> ResponseCache:
        return cast(ResponseCache, AllCaches(self._servers))

    @property
    def entries(self) -> int:
        return AllCaches(self._servers).places()

    async def started(self) -> Server:
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start())
        await asyncio.shield(self._starting)
        return self.proxy

    async def connect(self, name: str) -> Wire:
        await self.started()
        slot = self._next_slot
        if not self.at_one_worker:
            self._next_slot = (slot + 1) % self.slots
        return await self.connect_at(self._servers[slot].addresses[0], name)

    @property
    def servers(self) -> list[Server]:
        """One for each worker."""
        return list(self._servers.values())

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        await super().until(condition, what)
        await self.turns(_TURNS_OF_A_QUESTION)  # a seat is taken before its worker's question has arrived

    # the workers

    async def _start(self) -> None:
        self._sockets.mkdir(mode=0o700)
        self._server = self.proxy
        for slot in range(self.slots):
            await self._start_worker(slot)

    async def _start_worker(self, slot: int) -> None:
        worker = Worker(files=_FILES, clock=self.clock)
        ours, theirs = control_pair()
        running = spawn(worker.run(theirs), name=f"worker {slot}")
        process = cast(ChildProcess, _TaskProcess(running, pid=slot, complain=self._complain))
        channel = await Channel.over(ours, self._asked_by(slot), name=f"worker {slot}")
        member = Member(slot, process, channel)
        self._members.append(member)
        place = {"slot": slot, "slots": self.slots, "socket_dir": str(self._sockets), "generation": 0}
        body = {
            "place": place,
            "source": _source(self.proxy.config).message(),
            "sockets": [[self._bound(settings.address, slot)] for settings in self.proxy.config.listen],
            "disk_later": False,
            "writes_later": slot != WRITES_SLOT,
            "writes_clean": True,
        }
        await member.start(body, timeout_s=DEADLINE_S)
        self._servers[slot] = worker.server

    def _asked_by(self, slot: int) -> Callable[[str, Message], Any]:
        async def answer(verb: str, body: Message) -> Message:
            assert verb == "purge", verb
            return await self._broadcast.told(self._members[slot], body)

        return answer

    def _bound(self, address: str, slot: int) -> int:
        """The descriptor of a socket that this slot's worker is to have."""
        if address.startswith("unix:") and slot:
            address = f"{address}{slot}"
        binding = bind(address, advice="")
        self._bindings.append(binding)
        return binding.sock.detach()

    async def _shut_down(self) -> None:
        self._server = None  # it is no server that could be closed
        for member in self._members:
            await member.cut(timeout_s=DEADLINE_S)
        for binding in self._bindings:
            binding.remove_file()
        await super()._shut_down()


def _slot_for(test: str, slots: int) -> int:
    """Another one for another test, and the same each time: directories are numbered as tests are run."""
    return zlib.crc32(test.rstrip("0123456789").encode()) % slots


def _source(config: Config) -> ConfigSource:
    text = yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True))
    return ConfigSource(file="scenario.yaml", text=text)


def _each_its_own(config: Config, slots: int) -> Config:
    """The configuration of a machine on which each worker's share is what this one says."""
    cache, compressor, limits = config.cache, config.compressor, config.limits
    disk = cache.disk
    if disk is not None:
        parts = ("max_bytes", "max_open_files", "max_queue_bytes", "max_head_bytes")
        disk = disk.model_copy(update={name: slots * getattr(disk, name) for name in parts})
    parts = ("max_bytes", "max_fill_bytes", "max_keys_remembered")
    wider = {name: slots * getattr(cache, name) for name in parts}
    if disk is not None:
        wider["disk"] = disk
    return config.model_copy(
        update={
            "cache": cache.model_copy(update=wider),
            "compressor": compressor.model_copy(update={"max_bytes": slots * compressor.max_bytes}),
            "limits": limits.model_copy(update={"max_connections": slots * limits.max_connections}),
        }
    )
