"""`python -m loadtest.shows`: all shows, one after the other; `make show`."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from loadtest.bench.report import surroundings
from loadtest.shows import (
    freshening,
    purge_race,
    running_ranges,
    soft_purge,
    stale_if_error,
    stale_while_revalidate,
    tag_purge,
    variants,
)
from loadtest.shows.page import write
from loadtest.shows.report import Play, Report, add_size, prepare, run
from proxy import __version__

SHOWS: dict[str, Play] = {
    "stale-while-revalidate": stale_while_revalidate.play,
    "stale-if-error": stale_if_error.play,
    "freshening": freshening.play,
    "variants": variants.play,
    "running-ranges": running_ranges.play,
    "soft-purge": soft_purge.play,
    "tag-purge": tag_purge.play,
    "purge-race": purge_race.play,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.shows",
        description="Show each promise kept, by a Lockgate and an origin in processes of their own.",
    )
    parser.add_argument("--what", choices=(*SHOWS, "all"), default="all")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the results into this page as well")
    add_size(parser)
    return parser.parse_args()


def main() -> int:
    """0 when every show went as promised, 1 when one did not, 2 when a server did not start."""
    arguments = _arguments()
    prepare()
    where = surroundings([f"Lockgate {__version__}"], os.getloadavg()[0])
    reports: dict[str, Report] = {}
    for name in SHOWS if arguments.what == "all" else (arguments.what,):
        began_at = datetime.now(UTC)
        report = run(SHOWS[name], arguments.size)
        if report is None:
            return 2
        print(report.text(), flush=True)
        report.fact("time it took", f"{(datetime.now(UTC) - began_at).total_seconds():.0f} s")
        reports[name] = report
    wrong = [name for name, report in reports.items() if not report.is_right]
    if arguments.write is not None:
        write(arguments.write, reports, where)
    print(f"FAILED: {', '.join(wrong)}" if wrong else f"OK: {', '.join(reports)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
