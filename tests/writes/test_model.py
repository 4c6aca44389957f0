"""The lanes keep their promises in random histories; and every mutant of them is caught."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.writes.model import LanesModel

EXAMPLES = int(os.environ.get("LOCKGATE_MODEL_EXAMPLES", "40"))
"""Histories; raise it for a long search."""

PHASES = (
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
    *((Phase.shrink,) if "LOCKGATE_MODEL_SHRINK" in os.environ else ()),
)
"""A history is printed as it is found; shrinking it takes minutes, and is asked for by hand."""

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.slow
def test_the_promises_hold_in_random_histories() -> None:
    run_state_machine_as_test(
        LanesModel,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=QUIET,
            phases=PHASES,
        ),
    )
