"""What an attempt came to, and what follows: pure.

First it is read (`read_answer`, `read_error`), then concluded (`conclude`). The kinds:

    kind      when                                         applied?   the cache
    APPLIED   2xx, 3xx less 307 and 308                    yes        invalidated
    ACCEPTED  202                                          later      invalidated, not stored for a while
    REFUSED   307, 308, 4xx                                no         –
    LATER     408, 425, 429, and 503 with Retry-After      no         –
    FAILED    other 5xx                                    hardly     made stale
    UNKNOWN   502, 504, and no answer to what was sent     who knows  invalidated, not stored for a while
    NOT_SENT  no connection, no slot, the lease was over   no         –

The head decides: a 2xx whose body is cut is as applied as another one. 502 and 504 are a gateway's: the
server behind it may be at it still.

Doubt. What an attempt left open, later ones of the same write have to bear: after an UNKNOWN one, and after
a FAILED one, any 4xx may be the echo of its own success (If-Match of a PUT no longer holds: 412; DELETE
finds nothing: 404), or of what changed since (401: the token ran out). It says nothing of the first, so
the end is *indeterminate*. A departure: of the 4xx, RFC 9110 has none mean that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Final

from proxy.errors import OriginConnectTimeout, OriginOverloaded, OriginUnreachable, ProxyError
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import Step


class Kind(StrEnum):
    """What an attempt came to."""

    APPLIED = "applied"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    LATER = "later"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_SENT = "not-sent"


class Effect(StrEnum):
    """What the cache is to do about it."""

    NONE = "none"
    SOFTEN = "soften"
    INVALIDATE = "invalidate"
    INVALIDATE_AND_HOLD = "invalidate-and-hold"
    """It may take effect later still: what is read meanwhile is not stored."""


class Doubt(IntEnum):
    """What the attempts so far leave open, the worst of them."""

    NONE = 0
    FAILED = 1
    UNKNOWN = 2


EFFECTS: Final = {
    Kind.APPLIED: Effect.INVALIDATE,
    Kind.ACCEPTED: Effect.INVALIDATE_AND_HOLD,
    Kind.REFUSED: Effect.NONE,
    Kind.LATER: Effect.NONE,
    Kind.FAILED: Effect.SOFTEN,
    Kind.UNKNOWN: Effect.INVALIDATE_AND_HOLD,
    Kind.NOT_SENT: Effect.NONE,
}

_DOUBTS: Final = {Kind.FAILED: Doubt.FAILED, Kind.UNKNOWN: Doubt.UNKNOWN}

_NOTHING_SENT: Final = (OriginUnreachable, OriginConnectTimeout, OriginOverloaded)
_NOT_APPLIED_3XX: Final = frozenset({307, 308})
_LATER: Final = frozenset({408, 425, 429})
_GATEWAYS: Final = frozenset({502, 504})


@dataclass(slots=True)
class Reading:
    """One attempt, read. `status` is None without an answer."""

    kind: Kind
    detail: str
    status: int | None = None
    retry_after_s: float = 0.0


@dataclass(slots=True)
class Again:
    """Another attempt, in place."""

    at_least_s: float
    doubt: Doubt


@dataclass(slots=True)
class Ended:
    """The write is over."""

    step: Step
    problem: Problem | None = None


Conclusion = Again | Ended

_COMMITTED: Final = Ended(Step.COMMIT)


@lru_cache(maxsize=256)
def read_answer(status: int, *, retry_after_s: float | None = None) -> Reading:
    """What the head of an answer says. `retry_after_s` is None without a (readable) Retry-After."""
    return Reading(
        _kind_of(status, retry_after_s), f"the origin answered {status}", status, retry_after_s or 0.0
    )


def _kind_of(status: int, retry_after_s: float | None) -> Kind:
    if status == 202:
        return Kind.ACCEPTED
    if status < 400:
        return Kind.REFUSED if status in _NOT_APPLIED_3XX else Kind.APPLIED
    if status in _LATER or (status == 503 and retry_after_s is not None):
        return Kind.LATER
    if status < 500:
        return Kind.REFUSED
    return Kind.UNKNOWN if status in _GATEWAYS else Kind.FAILED


def read_error(error: ProxyError, *, sent: bool) -> Reading:
    """What it means that no head came; `sent` if an octet of the request may have left."""
    unsent = isinstance(error, _NOTHING_SENT) or not sent
    return Reading(Kind.NOT_SENT if unsent else Kind.UNKNOWN, str(error) or type(error).__name__)


def conclude(
    reading: Reading, *, doubt: Doubt, repeatable: bool, another: bool, client_is_told: bool
) -> Conclusion:
    """What follows from an attempt.

    `doubt` is what those before it left; `repeatable` if a second application does no harm; `another` if
    attempts and time are left; `client_is_told` if somebody waits for the answer, as in sync mode.
    """
    match reading.kind:
        case Kind.APPLIED | Kind.ACCEPTED:
            return _COMMITTED
        case Kind.REFUSED:
            return _refused(reading, doubt, client_is_told)
        case Kind.LATER | Kind.NOT_SENT if another:
            return Again(reading.retry_after_s, doubt)
        case Kind.FAILED | Kind.UNKNOWN if another and repeatable:
            return Again(reading.retry_after_s, doubt_left(doubt, reading))
        case _:
            return given_up(reading, doubt=doubt_left(doubt, reading))


def doubt_left(doubt: Doubt, reading: Reading) -> Doubt:
    """What is open after this attempt, where those before it left `doubt`."""
    return max(doubt, _DOUBTS.get(reading.kind, Doubt.NONE))


def _refused(reading: Reading, doubt: Doubt, client_is_told: bool) -> Ended:
    if doubt is not Doubt.NONE:
        detail = f"{reading.detail} to a repetition; an attempt before may have been applied"
        return Ended(Step.DOUBT, Problem(ProblemType.UNKNOWN_OUTCOME, detail, reading.status))
    if reading.status == 401 and not client_is_told:
        detail = "the origin does not take the credentials that the write was accepted with"
        return Ended(Step.GIVE_UP, Problem(ProblemType.CREDENTIALS_REFUSED, detail, 401))
    return Ended(Step.REJECT)


def given_up(reading: Reading, *, doubt: Doubt) -> Ended:
    """The end of a write that is not tried again: unknown if any attempt was."""
    if doubt is Doubt.UNKNOWN:
        return Ended(Step.LOSE, Problem(ProblemType.UNKNOWN_OUTCOME, reading.detail, reading.status))
    unasked = reading.status is None
    kind = ProblemType.ORIGIN_UNREACHABLE if unasked else ProblemType.ORIGIN_FAILED
    return Ended(Step.GIVE_UP, Problem(kind, reading.detail, reading.status))
