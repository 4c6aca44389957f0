from __future__ import annotations

import pytest

from loadtest.outcomes import Outcome, outcome_of


@pytest.mark.parametrize(
    ("field", "outcome"),
    [
        pytest.param("", Outcome.DIRECT, id="no-cache-spoke"),
        pytest.param("Lockgate; hit; ttl=59", Outcome.HIT, id="hit"),
        pytest.param("Lockgate; fwd=uri-miss; fwd-status=200; stored", Outcome.LEADER, id="leader"),
        pytest.param("Lockgate; fwd=uri-miss; collapsed; ttl=60", Outcome.COLLAPSED, id="collapsed"),
        pytest.param("Lockgate; fwd=uri-miss; collapsed=?1", Outcome.COLLAPSED, id="collapsed-in-full"),
        pytest.param("Lockgate; fwd=uri-miss; collapsed=?0", Outcome.LEADER, id="not-collapsed"),
        pytest.param("Lockgate; fwd=method", Outcome.PASSED, id="passed"),
        pytest.param("Inner; hit, Outer; fwd=miss", Outcome.LEADER, id="the-nearest-cache-counts"),
    ],
)
def test_an_outcome_is_read_from_cache_status(field: str, outcome: Outcome) -> None:
    assert outcome_of(field) is outcome
