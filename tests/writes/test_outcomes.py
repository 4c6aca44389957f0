"""What an attempt came to, and what follows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import (
    OriginConnectTimeout,
    OriginOverloaded,
    OriginProtocolError,
    OriginTimeout,
    OriginUnreachable,
    ProxyError,
)
from proxy.writes.outcomes import (
    EFFECTS,
    Again,
    Doubt,
    Effect,
    Ended,
    Kind,
    Reading,
    conclude,
    read_answer,
    read_error,
)
from proxy.writes.problem import ProblemType
from proxy.writes.states import DEAD_LETTERS, MAY_BE_APPLIED, State, Step, after


@pytest.mark.parametrize(
    ("status", "retry_after_s", "kind"),
    [
        pytest.param(200, None, Kind.APPLIED, id="200"),
        pytest.param(204, None, Kind.APPLIED, id="204"),
        pytest.param(303, None, Kind.APPLIED, id="a-form-that-was-taken-leads-on"),
        pytest.param(202, None, Kind.ACCEPTED, id="the-origins-own-202"),
        pytest.param(307, None, Kind.REFUSED, id="307-asks-to-send-it-elsewhere"),
        pytest.param(308, None, Kind.REFUSED, id="308"),
        pytest.param(400, None, Kind.REFUSED, id="400"),
        pytest.param(409, None, Kind.REFUSED, id="409"),
        pytest.param(408, None, Kind.LATER, id="408"),
        pytest.param(425, None, Kind.LATER, id="425"),
        pytest.param(429, None, Kind.LATER, id="429"),
        pytest.param(503, 3.0, Kind.LATER, id="503-that-names-a-time"),
        pytest.param(503, None, Kind.FAILED, id="503-that-does-not"),
        pytest.param(500, None, Kind.FAILED, id="500"),
        pytest.param(502, None, Kind.UNKNOWN, id="a-gateways-502"),
        pytest.param(504, 3.0, Kind.UNKNOWN, id="a-gateways-504"),
    ],
)
def test_a_status_is_read(status: int, retry_after_s: float | None, kind: Kind) -> None:
    reading = read_answer(status, retry_after_s=retry_after_s)
    assert (reading.kind, reading.status, reading.retry_after_s) == (kind, status, retry_after_s or 0.0)


@pytest.mark.parametrize(
    ("error", "sent", "kind"),
    [
        (OriginUnreachable("refused"), False, Kind.NOT_SENT),
        (OriginConnectTimeout("late"), False, Kind.NOT_SENT),
        (OriginOverloaded("full"), False, Kind.NOT_SENT),
        (OriginTimeout("silent"), True, Kind.UNKNOWN),
        (OriginProtocolError("cut"), True, Kind.UNKNOWN),
        (ProxyError("the lease is over"), False, Kind.NOT_SENT),
    ],
)
def test_an_error_is_read(error: ProxyError, sent: bool, kind: Kind) -> None:
    assert read_error(error, sent=sent).kind is kind


@pytest.mark.parametrize(
    ("kind", "doubt", "repeatable", "expected"),
    [
        (Kind.LATER, Doubt.NONE, False, Again(0.0, Doubt.NONE)),
        (Kind.NOT_SENT, Doubt.UNKNOWN, True, Again(0.0, Doubt.UNKNOWN)),
        (Kind.FAILED, Doubt.NONE, True, Again(0.0, Doubt.FAILED)),
        (Kind.FAILED, Doubt.UNKNOWN, True, Again(0.0, Doubt.UNKNOWN)),
        (Kind.UNKNOWN, Doubt.NONE, True, Again(0.0, Doubt.UNKNOWN)),
    ],
)
def test_it_is_tried_again_where_that_does_no_harm(
    kind: Kind, doubt: Doubt, repeatable: bool, expected: Again
) -> None:
    reading = Reading(kind, "told")
    assert (
        conclude(reading, doubt=doubt, repeatable=repeatable, another=True, client_is_told=False) == expected
    )


@pytest.mark.parametrize(
    ("reading", "doubt", "another", "step", "problem"),
    [
        pytest.param(read_answer(200), Doubt.UNKNOWN, True, Step.COMMIT, None, id="applied-after-all"),
        pytest.param(read_answer(422), Doubt.NONE, True, Step.REJECT, None, id="rejected"),
        pytest.param(
            read_answer(412),
            Doubt.UNKNOWN,
            True,
            Step.DOUBT,
            ProblemType.UNKNOWN_OUTCOME,
            id="412-to-a-repetition",
        ),
        pytest.param(
            read_answer(404),
            Doubt.FAILED,
            True,
            Step.DOUBT,
            ProblemType.UNKNOWN_OUTCOME,
            id="404-after-500",
        ),
        pytest.param(
            read_answer(401), Doubt.NONE, True, Step.GIVE_UP, ProblemType.CREDENTIALS_REFUSED, id="401"
        ),
        pytest.param(
            read_answer(500), Doubt.NONE, True, Step.GIVE_UP, ProblemType.ORIGIN_FAILED, id="a-post-and-500"
        ),
        pytest.param(
            read_answer(502), Doubt.NONE, True, Step.LOSE, ProblemType.UNKNOWN_OUTCOME, id="a-post-and-502"
        ),
        pytest.param(
            read_answer(429), Doubt.NONE, False, Step.GIVE_UP, ProblemType.ORIGIN_FAILED, id="429-to-the-last"
        ),
        pytest.param(
            read_error(OriginUnreachable("no"), sent=False),
            Doubt.NONE,
            False,
            Step.GIVE_UP,
            ProblemType.ORIGIN_UNREACHABLE,
            id="unreachable-to-the-last",
        ),
        pytest.param(
            read_error(OriginUnreachable("no"), sent=False),
            Doubt.UNKNOWN,
            False,
            Step.LOSE,
            ProblemType.UNKNOWN_OUTCOME,
            id="unreachable-after-an-unknown-one",
        ),
    ],
)
def test_what_may_not_be_repeated_ends(
    reading: Reading, doubt: Doubt, another: bool, step: Step, problem: ProblemType | None
) -> None:
    ended = conclude(reading, doubt=doubt, repeatable=False, another=another, client_is_told=False)
    assert isinstance(ended, Ended)
    assert (ended.step, ended.problem and ended.problem.type) == (step, problem)


def test_a_client_that_waits_gets_the_401_itself() -> None:
    ended = conclude(read_answer(401), doubt=Doubt.NONE, repeatable=True, another=True, client_is_told=True)
    assert ended == Ended(Step.REJECT)


READINGS = st.one_of(
    st.builds(read_answer, st.integers(200, 599), retry_after_s=st.none() | st.floats(0, 9)),
    st.builds(read_error, st.sampled_from([OriginUnreachable("x"), OriginTimeout("x")]), sent=st.booleans()),
)


@given(READINGS, st.sampled_from(Doubt), st.booleans(), st.booleans(), st.booleans())
def test_nothing_that_may_be_applied_is_called_otherwise(
    reading: Reading, doubt: Doubt, repeatable: bool, another: bool, told: bool
) -> None:
    conclusion = conclude(reading, doubt=doubt, repeatable=repeatable, another=another, client_is_told=told)
    if isinstance(conclusion, Again):
        assert conclusion.doubt >= doubt
        assert another
        assert repeatable or reading.kind in (Kind.LATER, Kind.NOT_SENT)
        return
    state = after(State.STARTED, conclusion.step)
    if doubt is Doubt.UNKNOWN or reading.kind is Kind.UNKNOWN:
        assert state in MAY_BE_APPLIED
    if state in MAY_BE_APPLIED:
        assert doubt is not Doubt.NONE or EFFECTS[reading.kind] in (
            Effect.INVALIDATE,
            Effect.INVALIDATE_AND_HOLD,
        )
    assert (conclusion.problem is None) == (state not in DEAD_LETTERS | {State.INDETERMINATE})
