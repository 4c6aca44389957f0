"""The memory that bodies on their way to the cache may take, over all fills.

A fill runs at the origin's speed, whatever its clients do, and holds what came until it is stored. A
thousand large objects asked for at once would hold a thousand times the largest storable size: so there
is one budget for all, and a fill that finds it spent is passed on at its clients' pace and not stored.
"""

from __future__ import annotations


class FillBudget:
    """Octets that may be held by fills."""

    __slots__ = ("_limit_bytes", "refused", "taken_bytes")

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.taken_bytes = 0
        self.refused = 0

    def __repr__(self) -> str:
        return f"<FillBudget {self.taken_bytes}/{self._limit_bytes}>"

    def take(self, octets: int) -> bool:
        """Account for octets that came; False, and nothing is taken, if they are too many."""
        if self.taken_bytes + octets > self._limit_bytes:
            self.refused += 1
            return False
        self.taken_bytes += octets
        return True

    def give_back(self, octets: int) -> None:
        """They are stored, or gone."""
        self.taken_bytes -= octets
