"""`python -m loadtest.writes crash`: writes while the proxy is killed, again and again.

A kill comes after some number of writes and some milliseconds, both by chance, so that it may fall anywhere;
what fell while nothing was on its way shows nothing, so half must fall while some write was sent to the
origin and its end not told. The next Lockgate starts on the same journal and port.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from loadtest.processes import NotStarted
from loadtest.writes.checker import Verdict, judge
from loadtest.writes.driver import Driver, Orders, new_seed, run
from loadtest.writes.history import ClientHistory, now_ns
from loadtest.writes.http_client import Broken
from loadtest.writes.mix import Mix
from loadtest.writes.stage import Proxy, Queueing, Stage, new_directory, staged

_LONGEST_PAUSE_S = 0.05
_ORIGIN_TIMEOUT_S = 3.0
_CUT_S = 0.5
"""After which an attempt takes effect whose connection is gone; so much less than Lockgate allows it that an
origin which waits for the processor is not late: it was 1.2 s late where three other programs ran."""
_QUIET_S = _ORIGIN_TIMEOUT_S
_ORIGIN = (
    "--delay", "0.001-0.005",
    "--fault", "fail=0.002", "--fault", "fail=0.002:503", "--fault", "drop=0.0005", "--fault", "lose=0.0005",
    "--fault", f"cut=0.0003:{_CUT_S}", "--fault", "hang=0.0002:5", "--fault", "slow=0.001",
    "--fault", "refuse=0.00005",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """What the histories say, and whether the run itself went as it should."""

    verdict: Verdict
    drained: bool
    kills: int
    directory: Path

    @property
    def is_right(self) -> bool:
        """Green, every promise at its end, and half of the kills in the window."""
        return self.verdict.is_green and self.drained and 2 * self.verdict.faults_after_sending >= self.kills


class _Killer:
    """Kills and starts again; `left` kills are to come."""

    def __init__(self, proxy: Proxy, history: ClientHistory, *, kills: int, every: float, seed: int) -> None:
        self._proxy = proxy
        self._history = history
        self._every = every
        self._chance = random.Random(seed)
        self.left = kills

    async def run(self, driver: Driver) -> None:
        """One kill after the other, while the driver runs."""
        while self.left:
            await self._wait(driver)
            began = now_ns()
            self._proxy.kill()
            await self._proxy.start()
            self._history.fault("killed", began=began, until=now_ns(), via=self._proxy.address.name)
            self.left -= 1
            if self.left % 10 == 0:
                print(f"{driver.progress.ended:,} writes, {self.left} kills left", flush=True)

    async def _wait(self, driver: Driver) -> None:
        await driver.progress.wait_ended(max(1, int(self._every * self._chance.uniform(0.5, 1.5))))
        await asyncio.sleep(self._chance.uniform(0, _LONGEST_PAUSE_S))


async def _play(stage: Stage, orders: Orders, kills: int, history: ClientHistory) -> bool:
    await stage.proxy.start()
    every = orders.writes / (kills + 1)
    killer = _Killer(stage.proxy, history, kills=kills, every=every, seed=orders.seed)
    driver = Driver(orders, history, goes_on=lambda: killer.left > 0)
    async with asyncio.TaskGroup() as group:
        killing = group.create_task(killer.run(driver))
        watching = group.create_task(stage.proxy.watch())
        drained = await driver.run()
        await killing
        watching.cancel()
    return drained


def play(
    *,
    writes: int,
    kills: int,
    clients: int,
    mix: Mix,
    seed: int,
    idempotent: bool,
    workers: int,
    directory: Path,
) -> Result:
    """Write and kill, and judge. Raises: NotStarted."""
    queueing = Queueing(
        directory / "journal", _ORIGIN_TIMEOUT_S, origin_idempotent=idempotent, workers=workers
    )
    origin = (*_ORIGIN, *(("--idempotent",) if idempotent else ()))
    with (
        staged(directory, seed=seed, queueing=queueing, origin=origin) as stage,
        closing(ClientHistory(stage.client_history, seed=seed, limit_s=_ORIGIN_TIMEOUT_S)) as history,
    ):
        orders = Orders(
            stage.proxy.address, mix, writes, clients, followers=clients, seed=seed, quiet_s=_QUIET_S
        )
        drained = run(_play(stage, orders, kills, history))
    verdict = judge([stage.client_history, stage.origin_history], deduplicates=idempotent, reads_of_all=True)
    return Result(verdict, drained, kills, directory)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the subcommand."""
    environ = os.environ
    parser.add_argument("--crashes", type=int, default=int(environ.get("LOCKGATE_CRASHES", "200")))
    parser.add_argument("--writes", type=int, default=int(environ.get("LOCKGATE_WRITES", "1000000")))
    parser.add_argument("--clients", type=int, default=256, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="(a new one)")
    parser.add_argument("--idempotent", action="store_true", help="the origin honours Idempotency-Key")
    parser.add_argument("--workers", type=int, default=1, help="of the Lockgate (%(default)s)")
    Mix.add_arguments(parser)
    parser.set_defaults(keys=500, zipf=0.5, hot=0.02)


def main(arguments: argparse.Namespace) -> int:
    """0 when all is right, 1 when something is not, 2 when a server did not start."""
    seed = new_seed() if arguments.seed is None else arguments.seed
    directory = new_directory("crash")
    print(f"seed {seed}, {arguments.crashes} kills, histories in {directory}", flush=True)
    try:
        result = play(
            writes=arguments.writes,
            kills=arguments.crashes,
            clients=arguments.clients,
            mix=Mix.of(arguments),
            seed=seed,
            idempotent=arguments.idempotent,
            workers=arguments.workers,
            directory=directory,
        )
    except* (NotStarted, Broken) as group:
        print(next(_leaves(group)), file=sys.stderr)
        return_status = 2
    else:
        print("\n".join(result.verdict.lines()))
        print(_judgement(result))
        return_status = 0 if result.is_right else 1
    return return_status


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def _judgement(result: Result) -> str:
    if not result.drained:
        return "FAILED: some promises have no end"
    if not result.verdict.is_green:
        return "FAILED"
    if not result.is_right:
        return "FAILED: less than half of the kills fell between a write's sending and its end"
    return "OK"
