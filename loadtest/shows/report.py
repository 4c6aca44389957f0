"""What a show did and whether it went as promised; and the command line of each."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import uvloop

from loadtest.processes import NotStarted, raise_open_files

_EXIT_FAILED = 1
_EXIT_NOT_STARTED = 2


@dataclass(slots=True)
class Report:
    """Figures in the order in which they came, and the sentences that had to hold."""

    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    checks: list[tuple[str, bool]] = field(default_factory=list)

    def fact(self, name: str, value: str) -> None:
        """A figure to be shown."""
        self.facts.append((name, value))

    def expect(self, sentence: str, *, holds: bool) -> None:
        """A sentence that must hold; if it does not, the show has failed."""
        self.checks.append((sentence, holds))

    @property
    def is_right(self) -> bool:
        """Whether every sentence held, and there was one."""
        return bool(self.checks) and all(holds for _, holds in self.checks)

    def text(self) -> str:
        """For a terminal."""
        width = max((len(name) for name, _ in self.facts), default=0)
        lines = [self.title, ""]
        lines += [f"  {name.ljust(width)}  {value}" for name, value in self.facts]
        lines.append("")
        lines += [f"  {'OK    ' if holds else 'FAILED'}  {sentence}" for sentence, holds in self.checks]
        return "\n".join(lines) + "\n"

    def markdown(self) -> str:
        """For a page: the figures as a table, the sentences as a list."""
        rows = [f"| {name} | {value} |" for name, value in self.facts]
        checks = [f"- {'OK' if holds else '**FAILED**'}: {sentence}." for sentence, holds in self.checks]
        return "\n".join(("| figure | value |", "| --- | ---: |", *rows, "", *checks))


Play = Callable[[float], Awaitable[Report]]
"""Plays one show at a share of its full size (1 is what the promise names)."""


def main(play: Play, about: str | None) -> int:
    """Run one show from the command line; 0 if it went as promised, 1 if not, 2 if nothing started."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_size(parser)
    arguments = parser.parse_args()
    prepare()
    report = run(play, arguments.size)
    if report is None:
        return _EXIT_NOT_STARTED
    print(report.text())
    return 0 if report.is_right else _EXIT_FAILED


def add_size(parser: argparse.ArgumentParser) -> None:
    """The option that all shows have."""
    parser.add_argument("--size", type=float, default=1.0, help="share of the full size (%(default)s)")


def prepare() -> None:
    """Let a signal end the servers as well, and allow as many connections as this user may have."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    raise_open_files()


def run(play: Play, size: float) -> Report | None:
    """Play it; None, and why on standard error, if a server did not start."""

    async def played() -> Report:
        return await play(size)

    try:
        return uvloop.run(played())
    except NotStarted as error:
        print(error, file=sys.stderr)
        return None
