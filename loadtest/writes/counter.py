"""`python -m loadtest.writes counter`: many clients add one to a number that the origin does not lock."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass

from loadtest.processes import NotStarted
from loadtest.writes.driver import new_seed, run
from loadtest.writes.http_client import Address, Broken, HttpConnection
from loadtest.writes.stage import Queueing, Stage, new_directory, staged

_TARGET = "/counters/visits"
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Sum:
    """What came of it: additions that clients were told of, and the number in the end."""

    told: int
    failed: int
    value: int

    @property
    def is_right(self) -> bool:
        """Whether all were told of their addition, and all are in the number."""
        return self.failed == 0 and self.value == self.told


async def _add(address: Address, times: int, gate: asyncio.Event) -> tuple[int, int]:
    connection = HttpConnection(address, timeout_s=_TIMEOUT_S)
    await connection.ready()
    await gate.wait()
    told = failed = 0
    for _ in range(times):
        try:
            reply = await connection.ask("POST", _TARGET)
        except Broken:
            failed += 1
            await connection.ready()
            continue
        told += reply.status == 200
        failed += reply.status != 200
    connection.close()
    return told, failed


async def _play(stage: Stage, clients: int, times: int) -> Sum:
    await stage.proxy.start()
    gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_add(stage.proxy.address, times, gate)) for _ in range(clients)]
        gate.set()
    reader = HttpConnection(Address("127.0.0.1", stage.origin.port), timeout_s=_TIMEOUT_S)
    await reader.ready()
    value = json.loads((await reader.ask("GET", _TARGET)).body)["value"]
    reader.close()
    return Sum(sum(task.result()[0] for task in tasks), sum(task.result()[1] for task in tasks), value)


def play(*, clients: int, times: int, seed: int, queued: bool) -> Sum:
    """Add, through a Lockgate that queues writes or one that does not. Raises: NotStarted."""
    directory = new_directory("counter")
    queueing = Queueing(journal=None, max_sync_lane=2 * clients) if queued else None
    with staged(directory, seed=seed, queueing=queueing, origin=("--delay", "0.001-0.003")) as stage:
        return run(_play(stage, clients, times))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the subcommand."""
    parser.add_argument("--clients", type=int, default=1_000, help="(%(default)s)")
    parser.add_argument("--times", type=int, default=1, help="that each adds one (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="(a new one)")


def main(arguments: argparse.Namespace) -> int:
    """0 when the sum is right where writes are queued and wrong where they are not; 1 when not."""
    seed = new_seed() if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    sums = {}
    try:
        for queued in (True, False):
            sums[queued] = play(clients=arguments.clients, times=arguments.times, seed=seed, queued=queued)
            how = "queued" if queued else "passed through"
            told = sums[queued]
            print(f"{how}: {told.told:,} were told, {told.failed:,} failed, the number is {told.value:,}")
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 2
    shown = sums[True].is_right and not sums[False].is_right
    print("OK: right where queued, wrong where not" if shown else "FAILED")
    return 0 if shown else 1
