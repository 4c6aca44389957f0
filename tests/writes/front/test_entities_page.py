"""What `docs/entities.md` says of requests and their entities is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.http.fields import Fields, Pair
from proxy.writes.front.entities import EntityRules, compile_rule

PAGE = Path(__file__).parents[3] / "docs" / "entities.md"
_HEAD = "| `path` | `keys` | request | entities |"
_REQUEST = re.compile(r"`[A-Z]+ (\S+)`(?: of `(.+)`)?(?: with `(.+)`)?")


def rows() -> Iterator[list[str]]:
    lines = iter(PAGE.read_text(encoding="utf-8").splitlines())
    while next(lines) != _HEAD:
        pass
    next(lines)
    while line := next(lines):
        yield [cell.strip() for cell in line.strip("|").split("|")]


def quoted(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


@pytest.mark.parametrize(("path", "keys", "request_", "entities"), list(rows()))
def test_a_row_is_so(path: str, keys: str, request_: str, entities: str) -> None:
    match = _REQUEST.fullmatch(request_)
    assert match is not None, request_
    target, host, body = match.groups()
    pairs: list[Pair] = [(b"Content-Type", b"application/json")]
    if host is not None:
        pairs.append((b"Host", host.encode()))
    asked, _, query = target.encode().partition(b"?")
    rules = EntityRules([compile_rule(quoted(path)[0], keys=quoted(keys))])
    found = rules.entities_of(asked, query, Fields(pairs), (body or "").encode())
    if found is None:
        assert entities.startswith("none")
    else:
        assert found.keys == quoted(entities)
