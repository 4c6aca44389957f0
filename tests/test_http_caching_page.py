"""Holds docs/http-caching.md to the code: all sections, only tests that exist, every departure."""

from __future__ import annotations

import ast
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

from proxy.config.settings import RouteSettings
from proxy.config.shape import sections_of
from proxy.policy.profile import TABLE

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/http-caching.md").read_text(encoding="utf-8")

# The sections of RFC 9111 as its table of contents has them.
_CONTENTS = """
    1 1.1 1.2 1.2.1 1.2.2 2 3 3.1 3.2 3.3 3.4 3.5 4 4.1 4.2 4.2.1 4.2.2 4.2.3 4.2.4 4.3 4.3.1 4.3.2 4.3.3
    4.3.4 4.3.5 4.4 5 5.1 5.2 5.2.1 5.2.1.1 5.2.1.2 5.2.1.3 5.2.1.4 5.2.1.5 5.2.1.6 5.2.1.7 5.2.2 5.2.2.1
    5.2.2.2 5.2.2.3 5.2.2.4 5.2.2.5 5.2.2.6 5.2.2.7 5.2.2.8 5.2.2.9 5.2.2.10 5.2.3 5.2.4 5.3 5.4 5.5 6 7
    7.1 7.2 7.3 8 8.1 8.2 8.3 9 9.1 9.2
"""
SECTIONS = _CONTENTS.split()

STANDINGS = ("done", "option", "not yet", "not done", "none")
NEED_A_TEST = ("done", "option", "not yet")
NEED_NONE = frozenset({"5.2.1", "5.2.2", "7"})  # they say "see below"

BODY = PAGE.partition("\n## RFC 9111\n")[2].partition("\n## Departures\n")[0]
DEPARTURES = PAGE.partition("\n## Departures\n")[2]


@cache
def existing_tests() -> frozenset[str]:
    names = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        if path.name == Path(__file__).name:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                names.add(node.name)
    return frozenset(names)


def lines_by_heading() -> list[tuple[str, str]]:
    found, heading = [], "RFC 9111"
    for line in BODY.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("- "):
            found.append((heading, line))
        else:
            assert not line.strip(), f"below {heading!r}, neither a heading nor an item: {line!r}"
    return found


LINES = lines_by_heading()


def test_every_section_of_the_rfc_is_there_in_its_order() -> None:
    rfc = BODY.partition("\n## RFC 9110\n")[0]
    assert re.findall(r"^### ([0-9.]+) ", rfc, re.MULTILINE) == SECTIONS


def test_every_section_says_something() -> None:
    headings = {heading for heading, _ in LINES}
    assert {heading.split()[0] for heading in headings if heading[0].isdigit()} == set(SECTIONS)


@pytest.mark.parametrize(("heading", "line"), LINES)
def test_a_line_says_how_it_stands_and_names_its_tests(heading: str, line: str) -> None:
    match = re.match(r"- \*\*([a-z ]+)\*\* ", line)
    assert match, f"it does not begin with one of {STANDINGS}"
    assert match[1] in STANDINGS
    named = re.findall(r"`(test_\w+)`", line)
    unknown = set(named) - existing_tests()
    assert not unknown, "no such tests"
    assert named or match[1] not in NEED_A_TEST or heading.split()[0] in NEED_NONE, "no test is named"


def test_the_settings_named_as_options_exist() -> None:
    known = {
        f"{path}.{name}".lstrip(".")
        for path, model in sections_of(RouteSettings)
        for name in model.model_fields
    }
    options = (line for _, line in LINES if line.startswith("- **option**"))
    named = {
        name for line in options for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)`", line.partition("(")[0])
    }
    assert named <= known


def test_every_choice_of_the_profiles_is_there_with_its_section() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([0-9.]+) \|", DEPARTURES, re.MULTILINE))
    assert rows == {name: choice.section for name, choice in TABLE.items()}


def departing_modules() -> set[str]:
    """Modules in which a comment or docstring calls something a departure."""
    found = set()
    for path in (ROOT / "proxy").rglob("*.py"):
        with path.open("rb") as file:
            texts = [
                token.string
                for token in tokenize.tokenize(file.readline)
                if token.type in (tokenize.COMMENT, tokenize.STRING)
            ]
        said = any(re.search(r"\b(?:a|the)\s+departure\b", text, re.IGNORECASE) for text in texts)
        if said:
            found.add(path.relative_to(ROOT).as_posix())
    return found


def test_every_departure_that_the_code_marks_is_listed() -> None:
    assert set(re.findall(r"^\| `(proxy/\S+\.py)` \|", DEPARTURES, re.MULTILINE)) == departing_modules()
