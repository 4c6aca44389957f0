"""The table at the head of the module, beside the one that the simulation counts."""

from __future__ import annotations

from proxy.coalesce import outcomes
from proxy.coalesce.outcomes import Ending, Role
from tests.simulation.transitions import TABLE


def test_every_ending_is_in_the_table_of_the_module() -> None:
    assert outcomes.__doc__ is not None
    lines = outcomes.__doc__.splitlines()
    assert {ending.name for ending in Ending} == {line.split()[0] for line in lines if line[:1].isupper()} & {
        ending.name for ending in Ending
    }


def test_every_ending_and_role_is_counted_by_the_simulation() -> None:
    assert {str(ending) for ending in Ending} <= {ending for ending, _, _ in TABLE}
    assert {str(role) for role in Role} <= {role for _, role, _ in TABLE}
