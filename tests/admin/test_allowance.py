from __future__ import annotations

import pytest

from proxy.admin.allowance import Allowance
from tests.origin.manual_clock import ManualClock


def test_a_seconds_worth_may_come_at_once_and_then_so_many_a_second() -> None:
    clock = ManualClock()
    allowance = Allowance(per_s=4.0, clock=clock)
    assert [allowance.take() for _ in range(4)] == [0.0] * 4
    assert allowance.take() == pytest.approx(0.25)
    clock.advance(0.5)
    assert [allowance.take() for _ in range(2)] == [0.0, 0.0]
    assert allowance.take() > 0


def test_less_than_one_a_second_allows_one() -> None:
    clock = ManualClock()
    allowance = Allowance(per_s=0.1, clock=clock)
    assert allowance.take() == 0.0
    assert allowance.take() == pytest.approx(10.0)
    clock.advance(10.01)
    assert allowance.take() == 0.0
