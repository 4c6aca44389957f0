from __future__ import annotations

from collections import Counter

import pytest

from origin_stub.lists.faults import BadFault, Fault, FaultKind, Faults, read_fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lose=0.001", Fault(FaultKind.LOSE, 0.001)),
        ("fail=0.5", Fault(FaultKind.FAIL, 0.5, 500)),
        ("fail=1:503", Fault(FaultKind.FAIL, 1, 503)),
        ("late=0:1.5", Fault(FaultKind.LATE, 0, 1.5)),
        ("refuse=0.1", Fault(FaultKind.REFUSE, 0.1, 0.3)),
    ],
)
def test_a_fault_is_a_kind_a_rate_and_perhaps_a_value(text: str, fault: Fault) -> None:
    assert read_fault(text) == fault


@pytest.mark.parametrize(
    "text", ["", "lose", "lose=", "lose=x", "lose=2", "lose=-1", "break=0.1", "late=0.1:"]
)
def test_what_is_no_fault_is_refused(text: str) -> None:
    if text == "late=0.1:":
        assert read_fault(text).value == 2
        return
    with pytest.raises(BadFault, match=r"KIND=RATE|share of 1"):
        read_fault(text)


def test_faults_come_at_their_rates_and_again_with_the_same_seed() -> None:
    faults = [Fault(FaultKind.LOSE, 0.1), Fault(FaultKind.DROP, 0.3)]
    draws = [[one.draw() for _ in range(10_000)] for one in (Faults(faults, 7), Faults(faults, 7))]
    assert draws[0] == draws[1]
    counts = Counter(draws[0])
    assert 800 < counts[faults[0]] < 1200
    assert 2700 < counts[faults[1]] < 3300


def test_without_faults_nothing_goes_wrong() -> None:
    assert Faults([], 1).draw() is None


def test_rates_above_one_in_all_are_refused() -> None:
    with pytest.raises(BadFault, match=r"1\.2"):
        Faults([Fault(FaultKind.LOSE, 0.6), Fault(FaultKind.DROP, 0.6)], 1)
