"""`python -m loadtest.writes read-your-writes`: write, then read, while others read the same keys."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import closing

from loadtest.processes import NotStarted
from loadtest.writes.checker import Verdict, judge
from loadtest.writes.driver import Driver, Orders, new_seed, run
from loadtest.writes.history import ClientHistory, now_ns
from loadtest.writes.http_client import Address, Broken, HttpConnection
from loadtest.writes.mix import Mix
from loadtest.writes.stage import Queueing, Stage, new_directory, staged

_KEYS = 8
_MIX = Mix(keys=_KEYS, zipf=0, hot=0.1, pairs=0, respond_async=0, wait=0, keyed=0, reads=1, cancels=0)
_PAUSE_S = 0.002
_TIMEOUT_S = 90.0


async def _read_on(name: str, key: str, address: Address, history: ClientHistory) -> None:
    """Read the key again and again, and note what came."""
    connection = HttpConnection(address, timeout_s=_TIMEOUT_S)
    try:
        while True:
            await connection.ready()
            began = now_ns()
            try:
                reply = await connection.ask("GET", f"/lists/{key}")
            except Broken:
                continue
            if reply.status == 200:
                told = json.loads(reply.body)
                history.read(
                    key, began=began, by=name, via=address.name, version=told["version"], last=told["last"]
                )
            await asyncio.sleep(_PAUSE_S)
    finally:
        connection.close()


async def _play(stage: Stage, orders: Orders, readers: int, history: ClientHistory) -> None:
    await stage.proxy.start()
    loop = asyncio.get_running_loop()
    keys = ("hot", *(f"k{number}" for number in range(_KEYS)))
    names = [(f"r{number}", keys[number % len(keys)]) for number in range(readers)]
    tasks = [loop.create_task(_read_on(name, key, orders.address, history)) for name, key in names]
    try:
        await Driver(orders, history).run()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def play(*, writes: int, clients: int, readers: int, seed: int, workers: int) -> Verdict:
    """Write and read, and judge; every read is held against the answers of all. Raises: NotStarted."""
    directory = new_directory("read-your-writes")
    queueing = Queueing(journal=None, workers=workers)
    with (
        staged(directory, seed=seed, queueing=queueing, origin=("--delay", "0.0005")) as stage,
        closing(ClientHistory(stage.client_history, seed=seed, limit_s=queueing.origin_timeout_s)) as history,
    ):
        orders = Orders(stage.proxy.address, _MIX, writes, clients, followers=1, seed=seed)
        run(_play(stage, orders, readers, history))
    return judge([stage.client_history, stage.origin_history], reads_of_all=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the subcommand."""
    parser.add_argument("--writes", type=int, default=100_000, help="each with a read (%(default)s)")
    parser.add_argument("--clients", type=int, default=24, help="that write and read (%(default)s)")
    parser.add_argument("--readers", type=int, default=27, help="that read only (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="of the Lockgate (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="(a new one)")


def main(arguments: argparse.Namespace) -> int:
    """0 when nobody read anything older than an answer, and nothing else is wrong; 1 when not."""
    seed = new_seed() if arguments.seed is None else arguments.seed
    try:
        verdict = play(
            writes=arguments.writes,
            clients=arguments.clients,
            readers=arguments.readers,
            seed=seed,
            workers=arguments.workers,
        )
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(verdict.lines()))
    return 0 if verdict.is_green else 1
