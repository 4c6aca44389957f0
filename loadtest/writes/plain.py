"""`python -m loadtest.writes plain`: writes that nothing queues, to see that the checker sees."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

from loadtest.bench.candidates import NGINX, started
from loadtest.processes import NotStarted, raise_open_files
from loadtest.writes.checker import Verdict, judge
from loadtest.writes.driver import Driver, Orders, new_seed, run
from loadtest.writes.history import ClientHistory
from loadtest.writes.http_client import Address
from loadtest.writes.mix import Mix
from loadtest.writes.stage import Stage, lasting_port, new_directory, staged

_MIX = Mix(keys=20, pairs=0, respond_async=0, wait=0, keyed=0, reads=0.5)


@contextmanager
def _lockgate(stage: Stage) -> Iterator[Address]:
    run(stage.proxy.start())
    yield stage.proxy.address


@contextmanager
def _nginx(stage: Stage) -> Iterator[Address]:
    """As the benchmark has it: it caches what it may, and knows nothing of writes."""
    with started(
        NGINX,
        port=lasting_port(),
        origin_port=stage.origin.port,
        open_files=raise_open_files(),
        delay_s=0,
        body_bytes=0,
    ) as server:
        yield Address("127.0.0.1", server.port)


@contextmanager
def _nobody(stage: Stage) -> Iterator[Address]:
    yield Address("127.0.0.1", stage.origin.port)


THROUGH = {"lockgate": _lockgate, "nginx": _nginx, "nobody": _nobody}


def play(*, through: str, writes: int, clients: int, seed: int) -> Verdict:
    """Write through somebody who passes writes through, and judge. Raises: NotStarted."""
    directory = new_directory("plain")
    delay = ("--delay", "0.001-0.005")
    with (
        staged(directory, seed=seed, queueing=None, origin=delay) as stage,
        THROUGH[through](stage) as address,
        closing(ClientHistory(stage.client_history, seed=seed)) as history,
    ):
        run(Driver(Orders(address, _MIX, writes, clients, seed=seed), history).run())
    return judge([stage.client_history, stage.origin_history])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the subcommand."""
    parser.add_argument("--through", choices=THROUGH, default="lockgate", help="(%(default)s)")
    parser.add_argument("--writes", type=int, default=5_000, help="(%(default)s)")
    parser.add_argument("--clients", type=int, default=32, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="(a new one)")


def main(arguments: argparse.Namespace) -> int:
    """0 when the checker found writes of one key at one time, as it must; 1 when not."""
    seed = new_seed() if arguments.seed is None else arguments.seed
    try:
        verdict = play(
            through=arguments.through, writes=arguments.writes, clients=arguments.clients, seed=seed
        )
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(verdict.lines()))
    sees = bool(verdict.violations.get("serial"))
    print("OK: what nothing queues is red" if sees else "FAILED: the checker sees nothing")
    return 0 if sees else 1
