"""`python -m loadtest.writes plain`: writes that nothing queues, to see that the checker sees."""

from __future__ import annotations

import argparse
import sys

from loadtest.processes import NotStarted
from loadtest.writes.checker import Verdict, judge
from loadtest.writes.driver import Driver, Orders, new_seed, run
from loadtest.writes.history import ClientHistory
from loadtest.writes.mix import Mix
from loadtest.writes.stage import Stage, new_directory, staged

_MIX = Mix(keys=20, pairs=0, respond_async=0, wait=0, keyed=0, reads=0.5)


async def _play(stage: Stage, orders: Orders, history: ClientHistory) -> None:
    await stage.proxy.start()
    await Driver(orders, history).run()


def play(*, writes: int, clients: int, seed: int) -> Verdict:
    """Write through a Lockgate that passes writes through, and judge. Raises: NotStarted."""
    directory = new_directory("plain")
    delay = ("--delay", "0.001-0.005")
    with staged(directory, seed=seed, queueing=None, origin=delay) as stage:
        history = ClientHistory(stage.client_history, seed=seed)
        orders = Orders(stage.proxy.address, _MIX, writes, clients, seed=seed)
        run(_play(stage, orders, history))
        history.close()
    return judge([stage.client_history, stage.origin_history])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the subcommand."""
    parser.add_argument("--writes", type=int, default=5_000, help="(%(default)s)")
    parser.add_argument("--clients", type=int, default=32, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="(a new one)")


def main(arguments: argparse.Namespace) -> int:
    """0 when the checker found writes of one key at one time, as it must; 1 when not."""
    seed = new_seed() if arguments.seed is None else arguments.seed
    try:
        verdict = play(writes=arguments.writes, clients=arguments.clients, seed=seed)
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(verdict.lines()))
    sees = bool(verdict.violations.get("serial"))
    print("OK: what nothing queues is red" if sees else "FAILED: the checker sees nothing")
    return 0 if sees else 1
