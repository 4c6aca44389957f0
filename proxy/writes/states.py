"""The states of one write, and every way from one to another, written once.

The scheduler moves along this table only, the journal stores these words, the documentation prints it, and
the tests walk it. A lane is held from STARTED until the write is final, RETRY_WAIT included.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a write is."""

    QUEUED = "queued"
    STARTED = "started"
    """An attempt is at the origin, or was when the process ended."""
    RETRY_WAIT = "retry-wait"
    COMMITTED = "committed"
    """The origin applied it; or said 202, and will apply it when it likes."""
    REJECTED = "rejected"
    """The origin answered that it did not apply it."""
    INDETERMINATE = "indeterminate"
    """The origin refused a repetition, perhaps because the attempt before it had been applied."""
    UNKNOWN = "unknown"
    """It was sent, no answer came, and it may not be repeated. Parked as a dead letter."""
    DEAD = "dead"
    """Given up, and not applied as far as the origin's answers tell. Parked as a dead letter."""
    EXPIRED = "expired"
    """Its time was over before it was sent."""
    CANCELLED = "cancelled"
    """Taken back before it was sent."""


class Step(StrEnum):
    """What happens to a write."""

    START = "start"
    COMMIT = "commit"
    REJECT = "reject"
    DOUBT = "doubt"
    RETRY = "retry"
    LOSE = "lose"
    GIVE_UP = "give up"
    EXPIRE = "expire"
    CANCEL = "cancel"


TRANSITIONS: Final[dict[tuple[State, Step], State]] = {
    (State.QUEUED, Step.START): State.STARTED,
    (State.QUEUED, Step.EXPIRE): State.EXPIRED,
    (State.QUEUED, Step.CANCEL): State.CANCELLED,
    (State.QUEUED, Step.GIVE_UP): State.DEAD,  # an operator skips it, or nothing can send it any more
    (State.QUEUED, Step.LOSE): State.UNKNOWN,  # likewise, where an earlier owner may have sent it
    (State.STARTED, Step.COMMIT): State.COMMITTED,
    (State.STARTED, Step.REJECT): State.REJECTED,
    (State.STARTED, Step.DOUBT): State.INDETERMINATE,
    (State.STARTED, Step.RETRY): State.RETRY_WAIT,
    (State.STARTED, Step.LOSE): State.UNKNOWN,
    (State.STARTED, Step.GIVE_UP): State.DEAD,
    (State.RETRY_WAIT, Step.START): State.STARTED,
    (State.RETRY_WAIT, Step.EXPIRE): State.EXPIRED,  # only if no attempt reached the origin, as for CANCEL
    (State.RETRY_WAIT, Step.CANCEL): State.CANCELLED,
    (State.RETRY_WAIT, Step.LOSE): State.UNKNOWN,
    (State.RETRY_WAIT, Step.GIVE_UP): State.DEAD,
}

FINAL: Final = frozenset(State) - {state for state, _ in TRANSITIONS}
"""States that nothing follows."""

NEVER_SENT: Final = frozenset({State.EXPIRED, State.CANCELLED})
"""Final states in which the origin was not asked: an idempotency key is free again."""

MAY_BE_APPLIED: Final = frozenset({State.COMMITTED, State.INDETERMINATE, State.UNKNOWN})
"""Final states after which nothing stored for the write's URLs may be believed."""

DEAD_LETTERS: Final = frozenset({State.DEAD, State.UNKNOWN})
"""Final states that an operator is to see to."""


def after(state: State, step: Step) -> State:
    """The state that follows. A step that the table does not have breaks an invariant."""
    following = TRANSITIONS.get((state, step))
    assert following is not None, f"no step {step.value!r} from state {state.value!r}"
    return following
