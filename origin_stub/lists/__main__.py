"""`python -m origin_stub.lists`: the lists as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from origin_stub.behaviour import BadBehaviour, Behaviour, Delay
from origin_stub.lists.faults import BadFault, Fault, read_fault
from origin_stub.lists.server import ListServer, running


def _delay(text: str) -> Delay:
    try:
        return Behaviour().with_parameters([("delay", text)]).delay
    except BadBehaviour as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fault(text: str) -> Fault:
    try:
        return read_fault(text)
    except BadFault as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m origin_stub.lists",
        description="An origin that keeps a list of the writes of each key, and a history of all attempts.",
    )
    parser.add_argument("--port", type=int, default=9100, help="of 127.0.0.1 (%(default)s)")
    parser.add_argument("--history", type=Path, required=True, help="file for the history, written anew")
    parser.add_argument(
        "--delay", type=_delay, default=Delay(), help="seconds a write takes: 0.2, 0.1-0.5 or pareto:0.05"
    )
    parser.add_argument(
        "--fault", type=_fault, action="append", default=[], metavar="KIND=RATE[:VALUE]",
        help="fail, drop, lose, hang, late, cut, slow or refuse so many of the writes",
    )  # fmt: skip
    parser.add_argument("--idempotent", action="store_true", help="apply an Idempotency-Key once")
    parser.add_argument("--max-age", type=int, default=60, help="seconds a read may be stored (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of delays and faults (%(default)s)")
    return parser


async def _run(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    server = ListServer(
        arguments.history,
        port=arguments.port,
        delay=arguments.delay,
        faults=arguments.fault,
        idempotent=arguments.idempotent,
        max_age_s=arguments.max_age,
        seed=arguments.seed,
    )
    async with running(server):
        print(f"lists at {server.url}, seed {arguments.seed}", flush=True)
        await stopped.wait()


def main() -> int:
    """Run until SIGINT or SIGTERM; 2 when the command line, the file or the port cannot be used."""
    arguments = _parser().parse_args()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(arguments))
    except (BadFault, OSError) as error:
        print(f"origin_stub.lists: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
