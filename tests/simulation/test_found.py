"""Schedules that once broke an invariant, as small as they were made."""

from __future__ import annotations

import pytest

from proxy.config.settings import OnWaitTimeout
from tests.simulation import kinds
from tests.simulation.schedule import (
    AUTHORIZATION,
    CONDITIONAL,
    FAR,
    GERMAN,
    HEAD,
    IMPATIENT,
    NO_CACHE,
    TAIL,
    Behave,
    Join,
    Schedule,
    Setup,
    Spec,
)
from tests.simulation.world import run

FETCHES = Setup(wait_timeout_s=0.5, on_wait_timeout=OnWaitTimeout.FETCH)

FOUND = {
    "behind-a-flight-past-the-deadline": Schedule(
        (Behave(answers=(Spec(delay_s=2.0),)), Join(), Join(traits=IMPATIENT)), FETCHES
    ),
    "a-head-request-revalidates-behind": Schedule(
        (
            Behave(answers=(Spec(kinds.LIVE), Spec(kinds.LIVE))),
            Join(),
            Join(6.0, traits=HEAD),
            Join(0.05),
            Join(0.3),
            Join(0.3),
        )
    ),
    "an-error-without-vary-hides-the-variants": Schedule(
        (
            Behave(answers=(Spec(kinds.VARY), Spec(kinds.ERROR))),
            Join(traits=GERMAN),
            Join(6.0, traits=GERMAN),
            Join(0.3, traits=GERMAN),
        )
    ),
    "an-answer-for-one-client-hides-what-is-stored": Schedule(
        (
            Behave(answers=(Spec(), Spec(kinds.VARY), Spec(kinds.ERROR))),
            Join(),
            Join(0.3, traits=AUTHORIZATION),
            Join(6.0),
        )
    ),
    "what-a-timed-out-waiter-finds-fresh-is-a-hit": Schedule(
        (
            Behave(answers=(Spec(kinds.HANGS),)),
            Join(count=2),
            Behave(0.3, answers=(Spec(kinds.STRICT),)),
            Join(traits=NO_CACHE, leave_s=0.01),
            Join(traits=AUTHORIZATION),
        ),
        FETCHES,
    ),
    "a-range-of-a-body-too-large-to-keep": Schedule(
        (
            Behave(answers=(Spec(kinds.VARY),)),
            Join(),
            Behave(8.0, answers=(Spec(size=60_000),)),
            Join(traits=TAIL),
        )
    ),
    "a-part-marks-the-whole": Schedule(
        (Behave(answers=(Spec(size=60_000),)), Join(traits=FAR), Join(1.0, count=2))
    ),
    "a-clients-own-condition-marks-the-key": Schedule(
        (
            Behave(answers=(Spec(kinds.PRIVATE), Spec())),
            Join(),
            Join(9.5, traits=CONDITIONAL),
            Join(1.0, count=2),
        )
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_schedule_that_once_broke_an_invariant_keeps_it(name: str) -> None:
    run(FOUND[name])
