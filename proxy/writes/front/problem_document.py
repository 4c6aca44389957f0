"""What a client is told when its write did not go well: RFC 9457, with types that stay.

`type` is `urn:lockgate:problem:` and the name of the ProblemType; the members beside those of the RFC:

    write            the write's id                     state        where it is, as in its status
    origin_status    the origin's last answer           expires_at   until when the end is known, Unix seconds
    retry_safe       whether the same request may be sent again without being applied twice: with the same
                     Idempotency-Key, if it had one. Absent where the request itself has to be another one

504 means that nobody knows what became of the write, and nothing else; all 503 mean that it was not executed.
The origin's 401 to a stored request is our 502: a 401 of ours would challenge the request that asks for the
outcome (RFC 9110 §15.5.2), which has nothing to do with the credentials that failed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from proxy.errors import (
    BodyTooLarge,
    ClientError,
    EntityMissing,
    IdempotencyKeyMalformed,
    IdempotencyKeyMissing,
    LaneFull,
    ProxyError,
    QueueFull,
    QueueUnavailable,
)
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State

MEDIA_TYPE: Final = b"application/problem+json"
TYPE_PREFIX: Final = "urn:lockgate:problem:"


@dataclass(frozen=True, slots=True)
class Description:
    """What is always said of a type; `detail` where the problem itself has no words."""

    status: int
    title: str
    detail: str
    retry_safe: bool | None = None


DESCRIPTIONS: Final = {
    ProblemType.LANE_FULL: Description(
        429, "Too many writes of this entity wait", "The write was not taken in. Come again later.", True
    ),
    ProblemType.QUEUE_FULL: Description(
        503, "Too many writes wait", "The write was not taken in. Come again later.", True
    ),
    ProblemType.QUEUE_UNAVAILABLE: Description(
        503, "Writes cannot be kept now", "The write was not taken in. Come again later.", True
    ),
    ProblemType.IDEMPOTENCY_MISMATCH: Description(
        422,
        "The Idempotency-Key was used with another request",
        "A key stands for one request. Take a new one for another request.",
    ),
    ProblemType.IDEMPOTENCY_IN_PROGRESS: Description(
        409,
        "The write with this Idempotency-Key still runs",
        "Ask for its outcome at Location, or come again later with the same key.",
        True,
    ),
    ProblemType.TOO_LARGE: Description(
        413, "The body is too large to be queued", "The write was not taken in. Send a smaller body."
    ),
    ProblemType.UNKNOWN_OUTCOME: Description(
        504,
        "Nobody knows what became of the write",
        "It was sent to the origin, and may have been applied. Look before it is sent again.",
        False,
    ),
    ProblemType.ORIGIN_UNREACHABLE: Description(
        502, "The origin could not be reached", "The write was not executed.", True
    ),
    ProblemType.ORIGIN_FAILED: Description(
        502,
        "The origin failed to execute the write",
        "It answered each attempt with an error, or kept asking to come later.",
        False,
    ),
    ProblemType.CREDENTIALS_REFUSED: Description(
        502,
        "The origin does not take the credentials of the write",
        "The write was not executed. Send it again with credentials that are valid for longer.",
        True,
    ),
    ProblemType.ROUTE_GONE: Description(
        503,
        "No route takes the write any more",
        "The write was not executed. The configuration has changed.",
        True,
    ),
    ProblemType.EXPIRED: Description(
        503, "The write's time was over before it was sent", "The write was not executed.", True
    ),
    ProblemType.CANCELLED: Description(503, "The write was taken back", "The write was not executed.", True),
    ProblemType.SKIPPED: Description(
        502, "An operator gave the write up", "Attempts that were made before failed.", False
    ),
    ProblemType.ENTITY_MISSING: Description(
        400, "The request does not say what it changes", "The write was not taken in."
    ),
    ProblemType.IDEMPOTENCY_KEY_MISSING: Description(
        400,
        "A write needs an Idempotency-Key here",
        "The write was not taken in. Send a new key with each write.",
    ),
    ProblemType.IDEMPOTENCY_KEY_MALFORMED: Description(
        400, "The Idempotency-Key cannot be read", "The write was not taken in."
    ),
    ProblemType.NOT_FOUND: Description(404, "No such write", "It never was, or is not known any more."),
    ProblemType.FORBIDDEN: Description(
        403, "The write is another's", "Only whose it is may see and cancel it."
    ),
    ProblemType.METHOD_NOT_ALLOWED: Description(
        405, "The status of a write is read, or deleted to take the write back", "Allow has the methods."
    ),
    ProblemType.PAUSED: Description(
        503, "An operator has paused the entity", "The write waits, and is not executed now.", True
    ),
    ProblemType.NOT_CANCELLABLE: Description(
        409, "The write cannot be taken back any more", "It was sent to the origin, or has ended."
    ),
    ProblemType.GONE: Description(
        410, "The write's end is not known any more", "It was kept for a while only."
    ),
}

_ERRORS: Final[tuple[tuple[type[ProxyError], ProblemType], ...]] = (
    (LaneFull, ProblemType.LANE_FULL),
    (QueueFull, ProblemType.QUEUE_FULL),
    (QueueUnavailable, ProblemType.QUEUE_UNAVAILABLE),
    (BodyTooLarge, ProblemType.TOO_LARGE),
    (EntityMissing, ProblemType.ENTITY_MISSING),
    (IdempotencyKeyMissing, ProblemType.IDEMPOTENCY_KEY_MISSING),
    (IdempotencyKeyMalformed, ProblemType.IDEMPOTENCY_KEY_MALFORMED),
)
"""Errors that a write is refused with; the first class that fits counts."""


def problem_of(error: ProxyError) -> Problem | None:
    """The problem that an error is told as; None for one that no write is refused with.

    Of a client's own mistakes all is told, of our side only the kind: there the words name settings.
    """
    for kind, name in _ERRORS:
        if isinstance(error, kind):
            return Problem(name, str(error) if isinstance(error, ClientError) else "")
    return None


def problem_document(
    problem: Problem,
    *,
    write_id: str | None = None,
    state: State | None = None,
    retry_safe: bool | None = None,
    expires_at: float | None = None,
) -> tuple[int, bytes]:
    """Status and body for a problem; the body is of `MEDIA_TYPE`.

    `retry_safe` is given where more is known than the type says: a client whose write has an
    Idempotency-Key may repeat it whatever became of it, since it is given the same end again.

    Source: RFC 9457 §3.
    """
    described = DESCRIPTIONS[problem.type]
    safe = described.retry_safe if retry_safe is None else retry_safe
    members = {
        "type": f"{TYPE_PREFIX}{problem.type.value}",
        "title": described.title,
        "status": described.status,
        "detail": problem.detail or described.detail,
        "write": write_id,
        "state": None if state is None else state.value,
        "origin_status": problem.status,
        "retry_safe": safe,
        "expires_at": None if expires_at is None else round(expires_at, 3),
    }
    told = {name: member for name, member in members.items() if member is not None}
    return described.status, json.dumps(told, separators=(",", ":")).encode()
