"""When a write is tried again, and which may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.writes.policy import Retry, WritePolicy


@pytest.mark.parametrize(("attempt", "pause_s"), [(1, 0.2), (2, 0.4), (3, 0.8), (9, 30.0), (10_000, 30.0)])
def test_pauses_grow_up_to_the_longest(attempt: int, pause_s: float) -> None:
    assert Retry().pause_s(attempt, chance=1.0) == pytest.approx(pause_s)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 100))
def test_chance_shortens_a_pause_but_not_below_what_the_origin_asks(
    attempt: int, chance: float, asked_s: float
) -> None:
    assert asked_s <= Retry().pause_s(attempt, chance=chance, at_least_s=asked_s) <= max(asked_s, 30.0)


@pytest.mark.parametrize(
    ("method", "idempotent", "may"),
    [("PUT", False, True), ("DELETE", False, True), ("POST", False, False), ("POST", True, True)],
)
def test_what_does_no_harm_twice_may_be_repeated(method: str, idempotent: bool, may: bool) -> None:
    assert WritePolicy(origin="a", origin_idempotent=idempotent).may_repeat(method) is may


def test_a_method_may_be_tried_again_otherwise_than_the_rest() -> None:
    once, often = Retry(max_attempts=1), Retry()
    policy = WritePolicy(origin="a", retry=often, retry_methods={"POST": once})
    assert (policy.retry_of("POST"), policy.retry_of("PUT")) == (once, often)
