"""`python -m origin_stub`: the stub as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import AbstractContextManager
from urllib.parse import urlencode

from origin_stub.behaviour import PARAMETERS, BadBehaviour, Behaviour
from origin_stub.stub import DEFAULT_SEGMENT_BYTES, DEFAULT_SEGMENT_S, running


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m origin_stub",
        description="An origin to try things on. Each request's query goes over these defaults.",
    )
    parser.add_argument("--listen", default="127.0.0.1:9000", help="HOST:PORT or unix:/path (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all chance: delays, failures (%(default)s)")
    parser.add_argument(
        "--segment-s", type=float, default=DEFAULT_SEGMENT_S, help="live segments (%(default)s)"
    )
    parser.add_argument(
        "--segment-bytes", type=int, default=DEFAULT_SEGMENT_BYTES, help="their size (%(default)s)"
    )
    defaults = parser.add_argument_group("defaults, as in a query (see origin_stub/behaviour.py)")
    for name in PARAMETERS:
        defaults.add_argument(f"--{name}", action="append", metavar="VALUE")
    return parser


async def _run(arguments: argparse.Namespace, behaviour: str) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with running(
        behaviour=behaviour,
        listen=arguments.listen,
        seed=arguments.seed,
        segment_s=arguments.segment_s,
        segment_bytes=arguments.segment_bytes,
    ) as stub:
        print(f"origin_stub listens on {stub.url}", flush=True)
        await stopped.wait()


def _runner() -> AbstractContextManager[asyncio.Runner]:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def main() -> int:
    """Run until SIGINT or SIGTERM; 2 when the command line or the address cannot be used."""
    arguments = _parser().parse_args()
    behaviour = urlencode([(name, value) for name in PARAMETERS for value in getattr(arguments, name) or ()])
    try:
        Behaviour().with_parameters(
            (name, value) for name in PARAMETERS for value in getattr(arguments, name) or ()
        )
        with _runner() as runner:
            runner.run(_run(arguments, behaviour))
    except BadBehaviour as error:
        print(f"origin_stub: --{error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"origin_stub: cannot listen on {arguments.listen}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
