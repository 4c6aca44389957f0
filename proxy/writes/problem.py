"""What went wrong with a write: a stable type, and words for a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ProblemType(StrEnum):
    """Stable names, also the last part of the `type` of an RFC 9457 problem."""

    LANE_FULL = "lane-full"
    QUEUE_FULL = "queue-full"
    QUEUE_UNAVAILABLE = "queue-unavailable"
    IDEMPOTENCY_MISMATCH = "idempotency-mismatch"
    IDEMPOTENCY_IN_PROGRESS = "idempotency-in-progress"
    TOO_LARGE = "too-large"
    UNKNOWN_OUTCOME = "unknown-outcome"
    """It was sent and may have been applied."""
    ORIGIN_UNREACHABLE = "origin-unreachable"
    """No attempt reached the origin."""
    ORIGIN_FAILED = "origin-failed"
    """The origin answered 5xx, or kept asking us to come later."""
    CREDENTIALS_REFUSED = "credentials-refused"
    """The origin answered 401 to a write whose client has left."""
    ROUTE_GONE = "route-gone"
    """No route of the configuration has its name any more."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    """An operator gave it up."""
    ENTITY_MISSING = "entity-missing"
    """The request does not say what it changes."""
    IDEMPOTENCY_KEY_MISSING = "idempotency-key-missing"
    IDEMPOTENCY_KEY_MALFORMED = "idempotency-key-malformed"
    NOT_FOUND = "not-found"
    """No such write, or none that is known any more."""
    FORBIDDEN = "forbidden"
    """It is another principal's."""
    METHOD_NOT_ALLOWED = "method-not-allowed"
    NOT_CANCELLABLE = "not-cancellable"
    """It was sent, or has ended."""
    GONE = "gone"
    """It ended, and how is not known any more."""
    PAUSED = "paused"
    """An operator wants nothing of its key to be started."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a write did not end well. `status` is the origin's last answer, None without one."""

    type: ProblemType
    detail: str
    status: int | None = None
