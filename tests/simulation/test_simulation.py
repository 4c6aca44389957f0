"""Thousands of schedules, each held to every invariant.

`LOCKGATE_SIM_SCHEDULES` says how many (20,000 for a long run), `LOCKGATE_SIM_SEED` which ones: one number
gives the same schedules again. One that fails is made as small as possible, and printed as it can be
added to `test_found.py`.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.simulation.scenes import SCHEDULES, make_schedule
from tests.simulation.schedule import Schedule, code_of, shrunk
from tests.simulation.transitions import Transitions
from tests.simulation.world import run

COUNT = int(os.environ.get("LOCKGATE_SIM_SCHEDULES", "2500"))
SEED = int(os.environ.get("LOCKGATE_SIM_SEED", "20150415"))
LEAST = 100
"""Times that each transition of the table must be taken,"""

ENOUGH = 2_500
"""in this many schedules or more."""


def _violations(schedule: Schedule) -> str:
    try:
        run(schedule)
    except AssertionError as error:
        return str(error)
    return ""


@pytest.mark.slow
def test_every_schedule_keeps_the_invariants_and_every_transition_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    transitions = Transitions()
    with capsys.disabled():
        print(f"\nsimulation: LOCKGATE_SIM_SEED={SEED} LOCKGATE_SIM_SCHEDULES={COUNT}")
    for number in range(COUNT):
        schedule = make_schedule(random.Random(f"{SEED}/{number}").choice)
        try:
            run(schedule, transitions)
        except AssertionError:
            smallest = shrunk(schedule, lambda one: bool(_violations(one)))
            pytest.fail(
                f"schedule {number} of seed {SEED}, at its smallest:\n{code_of(smallest)}\n\n"
                f"{_violations(smallest)}"
            )
    with capsys.disabled():
        print(transitions.report())
    least = LEAST if COUNT >= ENOUGH else 1
    rare = transitions.rare(least)
    assert not rare, f"taken fewer than {least} times in {COUNT} schedules: {rare}"


@seed(SEED)
@settings(
    max_examples=max(50, COUNT // 20),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)
@pytest.mark.slow
@given(SCHEDULES)
def test_schedules_that_hypothesis_makes_up_keep_the_invariants(schedule: Schedule) -> None:
    run(schedule)
