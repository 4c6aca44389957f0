"""`make run`: a stub origin, Lockgate before it, and a thousand clients at a key that is not there yet; then
clients that all add one to a number, which the origin reads, waits with, and writes.

Environment: PORT (8080), ONCE=1 ends after the tables. The exit status of ONCE=1 is 0 if each client got
the whole body with status 200 and the origin was asked once, and if each addition is in the number.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack

import uvloop

from loadtest.bench.herd import HerdResult, percentile, stampede
from loadtest.outcomes import Outcome, outcome_of
from loadtest.processes import (
    NotStarted,
    Server,
    StubControl,
    free_port,
    is_listening,
    lockgate_command,
    raise_open_files,
    serving,
    stub_command,
)
from loadtest.writes import counter
from origin_stub import body_of

CLIENTS = 1_000
ADDING_CLIENTS = 200
_SEED = 7
_DEFAULT_PORT = 8080
_ADMIN_PORT = 9901
_DELAY_S = 0.5
_BODY_BYTES = 10 * 1024
_PATH = "/herd"
_TARGET = f"{_PATH}?delay={_DELAY_S}&size={_BODY_BYTES}&cc=max-age=60"


def main() -> int:
    """Run the demonstration; 2 when it cannot begin."""
    port = int(os.environ.get("PORT") or _DEFAULT_PORT)
    once = os.environ.get("ONCE", "") not in ("", "0")
    if is_listening(port):
        print(
            f"Port {port} is taken: something listens on 127.0.0.1:{port} already.\n"
            f"Choose another one:  make run PORT={free_port()}",
            file=sys.stderr,
        )
        return 2
    raise_open_files()
    # A signal that asks us to end must end the children too, through the `with` below. SIGINT is set as
    # well because a shell starts what runs in the background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            origin, lockgate = _start(stack, port)
            is_right = _stampede(origin, lockgate)
            is_right &= _addition()
            if once:
                return 0 if is_right else 1
            _say_what_to_try(origin, lockgate)
            signal.pause()
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


def _start(stack: ExitStack, port: int) -> tuple[Server, Server]:
    origin_port = free_port()
    origin = stack.enter_context(serving("origin", stub_command(origin_port), origin_port))
    if port == _DEFAULT_PORT:
        arguments = ["--config", "config/quickstart.yaml"]
    else:
        arguments = ["--origin", origin.url, "--listen", f"127.0.0.1:{port}"]
    admin_port = free_port() if is_listening(_ADMIN_PORT) else _ADMIN_PORT
    command = lockgate_command(*arguments, "--admin", f"127.0.0.1:{admin_port}")
    lockgate = stack.enter_context(
        serving("lockgate", command, port, environ={"LOCKGATE_ORIGIN": origin.url})
    )
    print(f"Origin stub on {origin.url}, Lockgate before it on {lockgate.url}.")
    print(f"{CLIENTS:,} clients ask for one cold key; the origin needs {_DELAY_S} s ...\n", flush=True)
    return origin, lockgate


def _stampede(origin: Server, lockgate: Server) -> bool:
    result = uvloop.run(stampede(lockgate.port, _TARGET, CLIENTS, body_of(_PATH, _BODY_BYTES)))
    fetches = StubControl(origin.url).requests(_PATH)
    for name, value in _table(result, fetches):
        print(f"  {name:<26}{value}")
    print(flush=True)
    return result.is_whole and fetches == 1


def _addition() -> bool:
    """Writes, queued by a Lockgate of their own; and passed through, for comparison."""
    print(f"{ADDING_CLIENTS} clients add one to one number; the origin does not lock it ...\n", flush=True)
    sums = {
        queued: counter.play(clients=ADDING_CLIENTS, times=1, seed=_SEED, queued=queued)
        for queued in (True, False)
    }
    for how, queued in (("queued by Lockgate", True), ("passed through", False)):
        told = sums[queued]
        print(f"  {how:<26}{told.told:,} were told that it is done, the number is {told.value:,}")
    print(flush=True)
    return sums[True].is_right


def _table(result: HerdResult, fetches: int) -> list[tuple[str, str]]:
    outcomes: Counter[Outcome] = Counter()
    for field, count in result.cache_statuses.items():
        outcomes[outcome_of(field)] += count
    statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(result.statuses.items()))
    whole = sum(result.statuses.values()) - result.wrong_bodies
    p50_ms, p99_ms = (percentile(result.last_byte_s, share) * 1000 for share in (0.5, 0.99))
    return [
        ("clients", f"{result.clients:,}"),
        ("answers", statuses + (f", {result.broken:,} without an answer" if result.broken else "")),
        ("the origin's very body", f"{whole:,} of {result.clients:,}"),
        (
            "outcomes (Cache-Status)",
            ", ".join(f"{outcomes[each]:,} {each}" for each in Outcome if outcomes[each]),
        ),
        (
            "time to the last octet",
            f"p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms (origin {_DELAY_S * 1000:.0f} ms)",
        ),
        ("fetches the origin saw", f"{fetches:,}"),
    ]


def _say_what_to_try(origin: Server, lockgate: Server) -> None:
    print(
        f"""Both stay up until Ctrl-C. Try:

  curl -i {lockgate.url}/                                    a page; twice, and see Cache-Status
  curl -i '{lockgate.url}/mine?unique=1&cc=private'          never shared
  curl -i '{lockgate.url}/a?delay=1&cc=max-age=5&etag=1'     slow, then fresh for 5 s
  curl -N {lockgate.url}/events                              an event stream passes through
  curl -i '{lockgate.url}/b?size=100000&cut=5000'            an origin that breaks off
  curl -s {origin.url}/_stub/counters                       what the origin was asked

How to queue writes is told in docs/writes.md.
Logs are in .run/: lockgate.log has one JSON line an exchange.""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
