from __future__ import annotations

from proxy.cache.fill_budget import FillBudget


def test_octets_are_taken_up_to_the_limit_and_refused_beyond_it() -> None:
    budget = FillBudget(limit_bytes=10)
    assert budget.take(6)
    assert not budget.take(5)
    assert budget.take(4)
    assert (budget.taken_bytes, budget.refused) == (10, 1)


def test_what_is_given_back_may_be_taken_again() -> None:
    budget = FillBudget(limit_bytes=10)
    budget.take(10)
    budget.give_back(10)
    assert budget.take(10)
