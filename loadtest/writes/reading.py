"""What an answer tells a client about its write: pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from loadtest.writes.http_client import Reply


class Word(StrEnum):
    """What the client knows from now on."""

    OK = "ok"
    """It was applied."""
    ACCEPTED = "accepted"
    """It was promised, and its state can be asked for."""
    FAIL = "fail"
    """It was not applied, and never will be."""
    INFO = "info"
    """Nobody knows."""
    AGAIN = "again"
    """Nobody knows yet: the same key is at work."""
    PENDING = "pending"
    """Of a state: no end yet."""
    LOST = "lost"
    """Of a state: it is not known any more."""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer, read. `versions` are those that the write made, by key, if it says."""

    word: Word
    why: str = ""
    location: str = ""
    versions: dict[str, int] | None = None


_UNSURE_PROBLEMS = frozenset({"unknown-outcome", "origin-failed"})
_IN_PROGRESS = "idempotency-in-progress"

_STATES = {
    "queued": Word.PENDING,
    "started": Word.PENDING,
    "retry-wait": Word.PENDING,
    "committed": Word.OK,
    "rejected": Word.FAIL,
    "expired": Word.FAIL,
    "cancelled": Word.FAIL,
    "indeterminate": Word.INFO,
    "unknown": Word.INFO,
    "dead": Word.INFO,
}
"""`dead` is not known to be unapplied: an origin that answered 5xx may have applied it."""


def read_answer(reply: Reply, write: str) -> Told:
    """What the answer to a write tells. An answer that is another write's is told to be applied nowhere."""
    if reply.status == 202:
        location = reply.fields.get("location", "")
        return Told(Word.ACCEPTED, location=location) if location else Told(Word.INFO, "202 from the origin")
    if reply.status < 300:
        return _applied(reply, write)
    problem = _problem(reply)
    why = f"{reply.status} {problem}".rstrip()
    if problem == _IN_PROGRESS:
        return Told(Word.AGAIN, why)
    if problem:
        return Told(Word.INFO if problem in _UNSURE_PROBLEMS else Word.FAIL, why)
    refused = 400 <= reply.status < 500 or reply.status == 503
    return Told(Word.FAIL if refused else Word.INFO, why)


def _applied(reply: Reply, write: str) -> Told:
    told = _json(reply.body)
    versions = told.get("versions")
    if told.get("write") != write or not isinstance(versions, dict):
        # Version 0 is made by nobody: the checker sees that the answer is not this write's.
        return Told(Word.OK, f"an answer that is not its own: {reply.body[:100]!r}", versions={})
    return Told(Word.OK, versions=versions)


def _problem(reply: Reply) -> str:
    """The last part of a problem's type (RFC 9457); empty for an answer that is none."""
    if not reply.fields.get("content-type", "").startswith("application/problem+json"):
        return ""
    return str(_json(reply.body).get("type", "")).rpartition(":")[2].rpartition("/")[2]


def read_state(reply: Reply) -> Told:
    """What the state of a promised write tells."""
    if reply.status in (404, 410):
        return Told(Word.LOST, f"{reply.status} for its state")
    if reply.status != 200:
        return Told(Word.PENDING, f"{reply.status} for its state")
    state = str(_json(reply.body).get("state"))
    return Told(_STATES.get(state, Word.LOST), state)


def _json(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
