"""`python -m loadtest.writes drive`: many clients that write, and the history of what they were told."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import uvloop

from loadtest.processes import raise_open_files
from loadtest.writes.following import Followers
from loadtest.writes.history import ClientHistory
from loadtest.writes.http_client import Address
from loadtest.writes.mix import Mix
from loadtest.writes.session import Progress, Session

_DRAIN_S = 300.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Orders:
    """What a driver is to do. `name` begins the names of its clients; two drivers have two."""

    address: Address
    mix: Mix
    writes: int
    clients: int = 64
    followers: int = 64
    seed: int = 0
    name: str = "c"
    timeout_s: float = 90.0
    alone: bool = True
    """Whether nobody else writes to the same keys: then the reads at the end show the last state."""
    quiet_s: float = 0.0
    """Before these reads, for what the origin may still apply without anybody waiting for it."""


class Driver:
    """Clients, what they have done, and who follows what they were promised."""

    def __init__(
        self, orders: Orders, history: ClientHistory, *, goes_on: Callable[[], bool] = lambda: False
    ) -> None:
        """`goes_on` says whether to write on when all that was ordered is written."""
        self._orders = orders
        self._goes_on = goes_on
        self._history = history
        self._left = orders.writes
        self.progress = Progress()
        self.followers = Followers(
            orders.address, history=history, number=orders.followers, timeout_s=orders.timeout_s
        )
        self._sessions = [self._session(f"{orders.name}{number}") for number in range(orders.clients)]

    def _session(self, name: str) -> Session:
        orders = self._orders
        return Session(
            name,
            orders.address,
            mix=orders.mix,
            seed=orders.seed,
            history=self._history,
            followers=self.followers,
            progress=self.progress,
            take=self._take,
            timeout_s=orders.timeout_s,
        )

    def _take(self) -> bool:
        self._left -= 1
        return self._left >= 0 or self._goes_on()

    async def run(self) -> bool:
        """Write everything, follow every promise, read every key; False if some promise has no end."""
        self.followers.start()
        try:
            async with asyncio.TaskGroup() as group:
                for session in self._sessions:
                    group.create_task(session.run())
            drained = await self.followers.drain(_DRAIN_S)
            await asyncio.sleep(self._orders.quiet_s)
            await self._read_all(settled=drained and self._orders.alone)
            return drained
        finally:
            await self.followers.stop()

    async def _read_all(self, *, settled: bool) -> None:
        reader = self._session(f"{self._orders.name}-reader")
        for key in ("hot", *(f"k{number}" for number in range(self._orders.mix.keys))):
            await reader.read(key, settled=settled)


def address_of(url: str) -> Address:
    """From `http://HOST:PORT`. Raises: ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url}: write http://HOST:PORT")
    return Address(parts.hostname, parts.port or 80)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run this in an event loop of its own, with as many open files as there may be."""
    raise_open_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def new_seed() -> int:
    """A seed that nobody chose."""
    return random.SystemRandom().randrange(1 << 31)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the subcommand."""
    parser.add_argument("url", type=address_of, help="of the proxy, or of the origin: http://HOST:PORT")
    parser.add_argument("--history", type=Path, default=Path("clients.jsonl"), help="(%(default)s)")
    parser.add_argument("--writes", type=int, default=10_000, help="(%(default)s)")
    parser.add_argument("--clients", type=int, default=64, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="(a new one)")
    parser.add_argument("--name", default="c", help="what names of clients begin with (%(default)s)")
    parser.add_argument(
        "--limit", type=float, metavar="S", help="seconds that the proxy allows an attempt at the origin"
    )
    parser.add_argument("--others", action="store_true", help="others write to the same keys meanwhile")
    parser.add_argument(
        "--quiet", type=float, default=0.0, help="seconds before the last reads (%(default)s)"
    )
    Mix.add_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """0 when all was written, 1 when some promise has no end."""
    seed = new_seed() if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    orders = Orders(
        arguments.url,
        Mix.of(arguments),
        arguments.writes,
        arguments.clients,
        seed=seed,
        name=arguments.name,
        alone=not arguments.others,
        quiet_s=arguments.quiet,
    )
    history = ClientHistory(arguments.history, seed=seed, limit_s=arguments.limit)
    try:
        driver = Driver(orders, history)
        drained = run(driver.run())
    finally:
        history.close()
    progress = driver.progress
    print(f"{progress.ended:,} writes, {driver.followers.followed:,} promises, {progress.broken:,} broken")
    if not drained:
        print(f"some promises had no end after {_DRAIN_S:g} s", file=sys.stderr)
    return 0 if drained else 1
