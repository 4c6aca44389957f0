"""Results as Markdown, and their place in `docs/benchmarks.md`."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PAGE = Path("docs/benchmarks.md")

_INTRODUCTION = """\
# Benchmarks

Lockgate beside Varnish and nginx from Debian, before the same origin, on the same machine, in the same
run: one core for the server, the other one for the load. `make bench WRITE=1` measures again and
writes the sections below; `loadtest/bench/candidates.py` has each one's set-up. Ratios are what counts:
absolute times are those of one machine on one day.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the results; `faults` are wrong answers, not slow ones."""

    name: str
    title: str
    text: str
    faults: tuple[str, ...] = ()

    def markdown(self, surroundings: str) -> str:
        """The section under its heading."""
        return f"## {self.title}\n\n{surroundings}\n\n{self.text}\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but words on the right."""
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(_rule(name) for name in header)}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def _rule(name: str) -> str:
    return " --- " if name == "server" else " ---: "


def surroundings(versions: Iterable[str], load_before: float) -> str:
    """Date, machine, versions, and whether the machine did something else."""
    kernel = platform.release().partition("-")[0]
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = ", ".join(
        (
            *versions,
            f"Python {platform.python_version()}",
            f"aiohttp {version('aiohttp')}",
            f"uvloop {version('uvloop')}",
        )
    )
    return (
        f"{date}; {_processor()}, {len(os.sched_getaffinity(0))} cores, Linux {kernel}; {parts}. "
        f"Load average before the run: {load_before:.2f}."
    )


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def write(section: Section, markdown: str) -> None:
    """Put the section between its marks on the page, or at its end if it has none."""
    begin, end = f"<!-- begin: bench {section.name} -->", f"<!-- end: bench {section.name} -->"
    page = PAGE.read_text() if PAGE.exists() else _INTRODUCTION
    block = f"{begin}\n\n{markdown}\n{end}"
    if begin in page and end in page:
        before, _, rest = page.partition(begin)
        page = before + block + rest.partition(end)[2]
    else:
        page = f"{page.rstrip()}\n\n{block}\n"
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)
