"""The ways in which a write may fail, drawn by chance with a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate


class FaultKind(StrEnum):
    """What goes wrong with one write."""

    FAIL = "fail"
    """Answered 500 and not applied; with a number, that status. A 503 has `Retry-After: 0`."""
    DROP = "drop"
    """The connection is closed instead of an answer; not applied."""
    LOSE = "lose"
    """Applied, and the connection is closed instead of an answer."""
    HANG = "hang"
    """Neither applied nor answered; the connection is closed after so many seconds, 10 if it does not say."""
    LATE = "late"
    """Applied and answered only after so many seconds, 2 if it does not say, whoever still waits."""
    CUT = "cut"
    """Applied after so many seconds, 0.5 if it does not say, and the connection closed at once."""
    SLOW = "slow"
    """Takes this many times its delay, 10 if it does not say."""
    REFUSE = "refuse"
    """From this write on the origin accepts no connection for so many seconds, 0.3 if it does not say."""


_VALUES = {
    FaultKind.FAIL: 500.0,
    FaultKind.HANG: 10.0,
    FaultKind.LATE: 2.0,
    FaultKind.CUT: 0.5,
    FaultKind.SLOW: 10.0,
    FaultKind.REFUSE: 0.3,
}


class BadFault(ValueError):
    """A fault that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail, and how likely it is. `value` is what the kind counts."""

    kind: FaultKind
    rate: float
    value: float = 0.0


def read_fault(text: str) -> Fault:
    """A fault from `KIND=RATE` or `KIND=RATE:VALUE`, as `lose=0.001` or `fail=0.01:503`. Raises: BadFault."""
    name, _, numbers = text.partition("=")
    rate_text, _, value_text = numbers.partition(":")
    try:
        kind = FaultKind(name)
        rate = float(rate_text)
        value = float(value_text) if value_text else _VALUES.get(kind, 0.0)
    except ValueError:
        known = ", ".join(FaultKind)
        raise BadFault(f"{text!r} is no fault: write KIND=RATE or KIND=RATE:VALUE, of {known}") from None
    if not 0 <= rate <= 1:
        raise BadFault(f"{text!r}: the rate is a share of 1")
    return Fault(kind, rate, value)


class Faults:
    """Draws at most one fault for each write."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = tuple(faults)
        self._sums = tuple(accumulate(fault.rate for fault in faults))
        self._chance = random.Random(seed)
        if self._sums and self._sums[-1] > 1:
            raise BadFault(f"the rates of all faults come to {self._sums[-1]:g}, which is above 1")

    def draw(self) -> Fault | None:
        """What goes wrong with the next write; None if nothing does."""
        if not self._faults:
            return None
        drawn = self._chance.random()
        for fault, upper in zip(self._faults, self._sums, strict=True):
            if drawn < upper:
                return fault
        return None
