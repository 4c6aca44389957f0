"""`python -m loadtest.bench`: measure, print as Markdown, and write the page where asked to."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable

from loadtest.bench import (
    decision,
    disk,
    first_byte,
    herds,
    memory,
    objects,
    path,
    rates,
    uncacheable,
    workers,
    writes,
)
from loadtest.bench.candidates import FLOOR, LOAD_CORE, LOCKGATE, NGINX, VARNISH, Candidate
from loadtest.bench.report import Section, surroundings, write
from loadtest.processes import NotStarted, raise_open_files

_ALL = (
    "rates",
    "herd",
    "memory",
    "first-byte",
    "disk",
    "overhead",
    "decision",
    "path",
    "workers",
    "uncacheable",
    "writes",
)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench",
        description="Measure Lockgate beside nginx and Varnish, which are started where installed.",
    )
    parser.add_argument("--what", choices=(*_ALL, "all"), default="all")
    parser.add_argument("--runs", type=int, default=5, help="of each herd (%(default)s)")
    parser.add_argument("--only", default="", help="names of candidates, comma-separated (all)")
    parser.add_argument("--write", action="store_true", help="put the results into docs/benchmarks.md")
    return parser.parse_args()


def _installed(only: str) -> tuple[list[Candidate], list[str]]:
    chosen = []
    versions = []
    for candidate in (LOCKGATE, VARNISH, NGINX, FLOOR):
        if only and candidate.name not in only.split(","):
            continue
        version = candidate.version()
        if version is None:
            name = candidate.name
            print(f"{name} is not installed (apt-get install {name}): measured without it.\n")
            continue
        chosen.append(candidate)
        if candidate is not FLOOR:
            versions.append(version)
    return chosen, versions


def main() -> int:
    """0 when every answer was right, however slow; 1 when one was not, or a server did not start."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the servers, too
    open_files = raise_open_files()
    load_before = os.getloadavg()[0]
    candidates, versions = _installed(arguments.only)
    where = surroundings(versions, load_before)
    if len(os.sched_getaffinity(0)) == 1:
        print("There is one core only: server and load share it, and the figures mean little.\n")
    os.sched_setaffinity(0, {LOAD_CORE})
    serious = [candidate for candidate in candidates if candidate is not FLOOR]
    measures: dict[str, Callable[[], Section]] = {
        "rates": lambda: rates.measure(serious, arguments.runs, open_files),
        "herd": lambda: herds.measure(candidates, arguments.runs, open_files),
        "memory": lambda: memory.measure(serious, arguments.runs, open_files),
        "first-byte": lambda: first_byte.measure(serious, open_files),
        "disk": lambda: disk.measure(arguments.runs),
        "overhead": lambda: objects.measure(serious),
        "decision": decision.measure,
        "workers": lambda: workers.measure(arguments.runs, open_files),
        "uncacheable": lambda: uncacheable.measure(serious, arguments.runs, open_files),
        "path": path.measure,
        "writes": lambda: writes.measure(arguments.runs, open_files),
    }
    faults: list[str] = []
    for name in _ALL if arguments.what == "all" else (arguments.what,):
        try:
            section = measures[name]()
        except NotStarted as error:
            print(error, file=sys.stderr)
            return 1
        markdown = section.markdown(where)
        print(markdown, flush=True)
        faults += section.faults
        if arguments.write:
            write(section, markdown)
    for fault in faults:
        print(f"WRONG: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
