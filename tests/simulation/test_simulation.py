"""Thousands of schedules, each held to every invariant.

`LOCKGATE_SIM_SCHEDULES` says how many (20,000 for a long run), `LOCKGATE_SIM_SEED` which ones. A schedule
that fails is made as small as possible and printed as it can be given to `run`.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.simulation.schedule import SCHEDULES, Schedule
from tests.simulation.transitions import Transitions
from tests.simulation.world import run

COUNT = int(os.environ.get("LOCKGATE_SIM_SCHEDULES", "2500"))
SEED = int(os.environ.get("LOCKGATE_SIM_SEED", "20150415"))
LEAST = 100
"""Times that each transition of the table must be taken."""


@pytest.mark.slow
def test_every_schedule_keeps_the_invariants_and_every_transition_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    transitions = Transitions()

    @seed(SEED)
    @settings(
        max_examples=COUNT,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(SCHEDULES)
    def explore(schedule: Schedule) -> None:
        run(schedule, transitions)

    with capsys.disabled():
        print(f"\nsimulation: LOCKGATE_SIM_SEED={SEED} LOCKGATE_SIM_SCHEDULES={COUNT}")
        explore()
        print(transitions.report())
    rare = transitions.rare(LEAST)
    assert not rare, f"taken fewer than {LEAST} times: {rare}"
