"""What the admin listener answers about writes, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def writes_lines(writes: Sequence[Mapping[str, Any]], *, now: float) -> list[str]:
    """Writes, one a line, the oldest id first."""
    rows = [
        (
            write["id"],
            write["state"],
            str(write["attempts"]),
            _age(write["accepted_at"], now),
            str(write.get("ahead", "")),
            _request(write),
            _keys(write),
        )
        for write in writes
    ]
    return _table(("ID", "STATE", "TRIES", "AGE", "AHEAD", "REQUEST", "KEYS"), rows) or ["no writes"]


def write_lines(write: Mapping[str, Any]) -> list[str]:
    """One write: its state first, then what is known of it."""
    rows = list(_known(write))
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {_text(value)}" for name, value in rows]


def _known(write: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "write", write["id"]
    yield "state", write.get("state", "dead letter; how it ended is not known any more")
    if write.get("dead_letter"):
        yield "dead letter", "parked: replay or discard it"
    problem = write["problem"]
    if problem is not None:
        yield "problem", _problem(problem)
    yield "request", f"{write['method']} {write['target']}"
    yield "route", write["route"]
    for key in write["keys"]:
        yield "key", key
    for name, value in (
        ("mode", write.get("mode")),
        ("attempts", write.get("attempts")),
        ("status", write.get("status")),
        ("phase", write.get("phase")),
        ("ahead", write.get("ahead")),
        ("rests", None if write.get("rests_s") is None else f"{write['rests_s']:g} s more"),
        ("accepted", write.get("accepted_at")),
        ("not after", write.get("not_after")),
        ("started", write.get("started_at")),
        ("finished", write.get("finished_at")),
        ("dead since", write.get("dead_at")),
    ):
        if value is not None:
            yield name, str(value)


def dead_lines(letters: Sequence[Mapping[str, Any]], *, now: float) -> list[str]:
    """Dead letters, one a line."""
    rows = [
        (
            letter["id"],
            _age(letter["dead_at"], now),
            _request(letter),
            _keys(letter),
            _problem(letter["problem"]),
        )
        for letter in letters
    ]
    return _table(("ID", "AGE", "REQUEST", "KEYS", "PROBLEM"), rows) or ["no dead letters"]


def paused_lines(keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """Paused keys, one a line, and why they are."""
    rows = [
        (
            _text(key["key"]),
            str(key["queued"]),
            "until a restart only: it could not be written down"
            if key["problem"] is None
            else _problem(key["problem"]),
        )
        for key in keys
    ]
    return _table(("KEY", "QUEUED", "REASON"), rows) or ["no paused keys"]


def done_lines(answer: Mapping[str, Any]) -> list[str]:
    """What an order did."""
    if "cancelled" in answer:
        return [f"cancelled {answer['id']}"]
    if "discarded" in answer:
        return [f"discarded {answer['id']}"]
    if "replays" in answer:
        return [f"replayed {answer['replays']} as {answer['id']}, behind what waits"]
    key, queued = _text(answer["key"]), f"{answer['queued']} queued"
    if "skipped" in answer:
        return [f"skipped {answer['skipped']} of {key}, which becomes a dead letter; {queued}"]
    if answer["paused"]:
        return [f"paused {key}; {queued}"]
    return [f"resumed {key}; {queued}" if answer["was_paused"] else f"{key} was not paused; {queued}"]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in (head, *rows))
    return [line.rstrip() for line in lines]


def _request(write: Mapping[str, Any]) -> str:
    return _text(f"{write['method']} {write['target']}")


def _keys(write: Mapping[str, Any]) -> str:
    return ", ".join(map(_text, write["keys"]))


def _problem(problem: Mapping[str, Any]) -> str:
    status = "" if problem["status"] is None else f" ({problem['status']})"
    return _text(f"{problem['type']}{status}: {problem['detail']}")


def _age(at: str, now: float) -> str:
    """In the largest unit of which there is one at least."""
    age_s = max(0.0, now - datetime.fromisoformat(at).timestamp())
    size, unit = next((one for one in _UNITS if age_s >= one[0]), _UNITS[-1])
    return f"{int(age_s // size)}{unit}"


def _text(value: str) -> str:
    """As it can be printed: keys and targets hold what clients sent."""
    return value if value.isprintable() else ascii(value)
