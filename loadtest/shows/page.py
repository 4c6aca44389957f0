"""The page of the shows: a section for each, replaced where it is there already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loadtest.shows.report import Report

_INTRODUCTION = """\
# Shows

Runs that show a promise kept, each with a `lockgate serve` and an origin as processes of their own and
clients that speak to it over sockets. What the origin was asked is counted by the origin, and bodies are
compared octet by octet. `make show` plays all of them; `make show WHAT=purge-race SIZE=0.1` one of them, at a
tenth of its size; each is a module of `loadtest/shows` as well, as in `python -m loadtest.shows.purge_race`.
The exit status is 0 only if every sentence below holds.
"""


def write(page: Path, reports: Mapping[str, Report], where: str) -> None:
    """Put the reports into the page; `where` says when and on what they were played."""
    text = page.read_text(encoding="utf-8") if page.exists() else _INTRODUCTION
    for name, report in reports.items():
        text = _with_section(text, name, _section(name, report, where))
    page.write_text(text, encoding="utf-8")


def _section(name: str, report: Report, where: str) -> str:
    title = f"{report.title[0].upper()}{report.title[1:]}"
    return f"## {title}\n\n`make show WHAT={name}`. {where}\n\n{report.markdown()}"


def _with_section(text: str, name: str, section: str) -> str:
    begin, end = f"<!-- begin: show {name} -->", f"<!-- end: show {name} -->"
    block = f"{begin}\n\n{section}\n\n{end}"
    if begin in text and end in text:
        before, _, rest = text.partition(begin)
        return before + block + rest.partition(end)[2]
    return f"{text.rstrip()}\n\n{block}\n"
