"""Which target is chosen, and which ones are left out."""

from __future__ import annotations

from collections import Counter

import pytest

from proxy.origin.address import parse_address
from proxy.origin.balancer import Balancer, Target


def targets(count: int) -> tuple[Target, ...]:
    address = parse_address("http://shop.example")
    return tuple(Target(address, f"10.0.0.{number}") for number in range(count))


@pytest.fixture
def balancer() -> Balancer:
    return Balancer(fail_after=2, fail_for_s=10)


def test_the_least_outstanding_is_chosen(balancer: Balancer) -> None:
    found = targets(3)
    found[0].outstanding, found[1].outstanding, found[2].outstanding = 2, 1, 2
    assert all(balancer.choose(found, (), now=0) is found[1] for _ in range(5))


def test_ties_go_round(balancer: Balancer) -> None:
    found = targets(3)
    counts = Counter(str(balancer.choose(found, (), now=0)) for _ in range(30))
    assert set(counts.values()) == {10}


def test_what_was_tried_is_not_chosen_again(balancer: Balancer) -> None:
    found = targets(2)
    assert balancer.choose(found, {found[0]}, now=0) is found[1]
    assert balancer.choose(found, set(found), now=0) is None
    assert balancer.choose((), (), now=0) is None


def test_a_target_is_left_out_after_failures_in_a_row_and_a_success_between_them_counts_anew(
    balancer: Balancer,
) -> None:
    found = targets(1)
    assert not balancer.failed(found[0], now=0)
    balancer.connected(found[0])
    assert not balancer.failed(found[0], now=0)
    assert balancer.choose(found, (), now=0) is found[0]
    assert balancer.failed(found[0], now=0)
    assert balancer.choose(found, (), now=9.9) is None


def test_after_its_time_exactly_one_request_tries_it_before_all_others(balancer: Balancer) -> None:
    found = targets(2)
    for _ in range(2):
        balancer.failed(found[0], now=0)
    found[0].outstanding = 99
    assert balancer.choose(found, (), now=10) is found[0]
    assert balancer.choose(found, (), now=10) is found[1]
    balancer.connected(found[0])
    found[0].outstanding = 0
    assert balancer.choose(found, {found[1]}, now=10) is found[0]


def test_a_trial_that_fails_leaves_it_out_again(balancer: Balancer) -> None:
    found = targets(1)
    for _ in range(2):
        balancer.failed(found[0], now=0)
    assert balancer.choose(found, (), now=10) is found[0]
    assert balancer.failed(found[0], now=11)
    assert balancer.choose(found, (), now=20.9) is None
    assert balancer.choose(found, (), now=21) is found[0]


def test_a_trial_that_was_given_up_is_for_the_next_one(balancer: Balancer) -> None:
    found = targets(1)
    for _ in range(2):
        balancer.failed(found[0], now=0)
    assert balancer.choose(found, (), now=10) is found[0]
    balancer.gave_up(found[0])
    assert balancer.choose(found, (), now=10) is found[0]


def test_a_target_names_its_address() -> None:
    assert str(targets(1)[0]) == "http://shop.example (10.0.0.0)"
    assert str(Target(parse_address("unix:/run/x"), "/run/x")) == "unix:/run/x"
    assert "left_out_until=None" in repr(targets(1)[0])
