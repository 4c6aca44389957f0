"""What was recalled from disk lately: whether to take it into memory, in the place of something else.

An entry that is asked for again before as many others were recalled as memory holds would have been found
there, had it been taken in. One that is not would only have driven out others, at more than the cost of
reading it: a working set that is too large for memory is not moved through it in a circle.
"""

from __future__ import annotations

from typing import Final

from proxy.policy.keys import CacheKey, Variant

FEWEST: Final = 16
"""Recalls within which an entry is asked for again, however small memory is."""


class Recalled:
    """The order of recalls, as far back as it matters."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}  # by hashes of places: oldest first
        self._count = 0

    def __repr__(self) -> str:
        return f"<Recalled {len(self._numbers)} of {self._count}>"

    def again(self, key: CacheKey, variant: Variant, *, within: int) -> bool:
        """Note a recall; whether it comes within so many of the last one of the same entry."""
        within = max(FEWEST, within)
        self._count += 1
        place = hash((key, variant))
        before = self._numbers.pop(place, None)
        if before is not None and self._count - before <= within:
            return True
        self._numbers[place] = self._count
        while len(self._numbers) > within:
            del self._numbers[next(iter(self._numbers))]
        return False
