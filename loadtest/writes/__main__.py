"""`python -m loadtest.writes`: one subcommand for each way of looking at writes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from loadtest.writes import checker, counter, crash, driver, plain, read_your_writes

_Command = tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int], str]

_COMMANDS: dict[str, _Command] = {
    "checker": (checker.add_arguments, checker.main, "say what is wrong in histories"),
    "drive": (driver.add_arguments, driver.main, "write, and keep a history"),
    "crash": (crash.add_arguments, crash.main, "the same while the proxy is killed again and again"),
    "counter": (counter.add_arguments, counter.main, "many clients add one to a number"),
    "read-your-writes": (
        read_your_writes.add_arguments,
        read_your_writes.main,
        "write, then read, while others read",
    ),
    "plain": (plain.add_arguments, plain.main, "that the checker sees what passes without a queue"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the subcommand."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.writes", description="Look at a proxy's order of writes from outside."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (add_arguments, _, help_text) in _COMMANDS.items():
        add_arguments(commands.add_parser(name, help=help_text))
    arguments = parser.parse_args(argv)
    return _COMMANDS[arguments.command][1](arguments)


if __name__ == "__main__":
    sys.exit(main())
