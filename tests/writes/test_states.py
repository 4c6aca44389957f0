"""The table of a write's states."""

from __future__ import annotations

import pytest

from proxy.writes.states import (
    DEAD_LETTERS,
    FINAL,
    MAY_BE_APPLIED,
    NEVER_SENT,
    TRANSITIONS,
    State,
    Step,
    after,
)


def _reachable(origin: State) -> set[State]:
    found, ahead = {origin}, [origin]
    while ahead:
        here = ahead.pop()
        for (state, _), following in TRANSITIONS.items():
            if state is here and following not in found:
                found.add(following)
                ahead.append(following)
    return found


def test_every_state_is_reached_from_queued() -> None:
    assert _reachable(State.QUEUED) == set(State)


@pytest.mark.parametrize("state", State)
def test_a_write_can_end_from_everywhere(state: State) -> None:
    assert _reachable(state) & FINAL


@pytest.mark.parametrize("step", Step)
def test_every_step_is_taken_somewhere(step: Step) -> None:
    assert any(taken is step for _, taken in TRANSITIONS)


def test_the_final_states_are_those_that_nothing_follows() -> None:
    assert {
        State.COMMITTED, State.REJECTED, State.INDETERMINATE, State.UNKNOWN, State.DEAD, State.EXPIRED,
        State.CANCELLED,
    } == FINAL  # fmt: skip
    assert NEVER_SENT | MAY_BE_APPLIED | DEAD_LETTERS <= FINAL
    assert NEVER_SENT.isdisjoint(MAY_BE_APPLIED | DEAD_LETTERS)


def test_a_step_gives_the_state_of_the_table() -> None:
    assert after(State.QUEUED, Step.START) is State.STARTED
    with pytest.raises(AssertionError, match="no step 'commit' from state 'queued'"):
        after(State.QUEUED, Step.COMMIT)
