"""Counts how seats and flights ended: the table of DESIGN.md, D3, as it was really taken."""

from __future__ import annotations

from collections import Counter
from typing import Final

Transition = tuple[str, str, str]
"""Ending of the flight (or what else decided), role, and what the exchange got."""

TABLE: Final[tuple[Transition, ...]] = (
    ("shared", "leader", "stream"),
    ("shared", "waiter", "stream"),
    ("shared", "waiter", "stream, joined after the head"),
    ("shared", "waiter", "regroup: another variant"),
    ("shared", "waiter", "regroup: a purge in between"),
    ("shared", "waiter", "released"),
    ("shared", "alone", "stream"),
    ("waiting-only", "leader", "stream"),
    ("waiting-only", "waiter", "stream"),
    ("waiting-only", "waiter", "released"),
    ("not-for-sharing", "leader", "stream"),
    ("not-for-sharing", "waiter", "released"),
    ("not-for-sharing", "waiter", "regroup: the leader's cookie"),
    ("not-for-sharing", "alone", "stream"),
    ("origin-failed", "leader", "its answer"),
    ("origin-failed", "leader", "stale"),
    ("origin-failed", "waiter", "error"),
    ("origin-failed", "waiter", "stale"),
    ("about-leader", "leader", "stream"),
    ("about-leader", "waiter", "regroup: a new leader"),
    ("about-leader", "waiter", "released"),
    ("about-leader", "alone", "stream"),
    ("unreachable", "leader", "error"),
    ("unreachable", "leader", "stale"),
    ("unreachable", "waiter", "error"),
    ("unreachable", "waiter", "stale"),
    ("body-cut", "leader", "broken off"),
    ("body-cut", "waiter", "broken off"),
    ("body-cut", "alone", "broken off"),
    ("abandoned", "nobody", "-"),
    ("deadline", "waiter", "error"),
    ("deadline", "waiter", "stale"),
    ("deadline", "waiter", "its own request"),
    ("too many", "waiter", "refused"),
    ("known unreachable", "-", "error"),
)


class Transitions:
    """How often each was taken, over all schedules."""

    def __init__(self) -> None:
        self.counts: Counter[Transition] = Counter()
        self.schedules = 0
        self.clients = 0

    def rare(self, least: int) -> list[Transition]:
        """Those of the table that were taken fewer times than that."""
        return [transition for transition in TABLE if self.counts[transition] < least]

    def report(self) -> str:
        """The counts as a table; those that the table does not list come last."""
        others = sorted(transition for transition in self.counts if transition not in TABLE)
        lines = [
            f"  {ending:18} {role:8} {outcome:32} {self.counts[ending, role, outcome]:8}"
            for ending, role, outcome in (*TABLE, *others)
        ]
        return "\n".join([f"{self.schedules} schedules, {self.clients} clients", *lines])
