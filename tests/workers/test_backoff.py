"""How long a slot waits for its next worker."""

from __future__ import annotations

from proxy.workers.backoff import FIRST_S, STEADY_S, Backoff


def test_the_delay_doubles_while_workers_fail_at_once_up_to_its_limit() -> None:
    backoff = Backoff(max_s=1.0)
    delays = []
    for _ in range(6):
        backoff = backoff.after(served_s=0.0)
        delays.append(backoff.delay_s)
    assert delays == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S, 1.0, 1.0]


def test_one_that_served_for_a_while_starts_the_series_anew() -> None:
    backoff = Backoff(max_s=10.0, failures=5).after(served_s=STEADY_S)
    assert backoff.delay_s == FIRST_S


def test_nothing_is_waited_for_before_the_first() -> None:
    assert Backoff(max_s=10.0).delay_s == 0.0


def test_a_thousand_failures_are_no_overflow() -> None:
    assert Backoff(max_s=10.0, failures=5000).delay_s == 10.0
