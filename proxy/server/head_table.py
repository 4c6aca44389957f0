"""A bounded table of what follows from request heads: what came twice is kept, what came once leaves a hash.

Bounded in octets, in two generations: what is asked for moves to the young one, and when that is full the
old one is dropped. A head enters on second sight, so that heads which come once (a cookie that changes each
time) push nothing out.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Head = TypeVar("Head", bound=Hashable)
Value = TypeVar("Value")

SEEN_ONCE = 65_536
"""Places for heads of which only the hash is kept, until they come again or another takes the place.

A power of two: the place is the end of the hash. Half a mebibyte, where a set of as many takes six.
"""


class HeadTable(Generic[Head, Value]):
    """Values by head. `size_bytes` says what one takes; each generation holds up to `max_bytes`.

    `young` may be looked into directly, on the way of each request; what is not found there, `find` finds.
    """

    __slots__ = ("_max_bytes", "_old", "_seen_once", "_size_bytes", "_young_bytes", "young")

    def __init__(self, *, max_bytes: int, size_bytes: Callable[[Head, Value], int]) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = size_bytes
        self.young: dict[Head, Value] = {}
        self._old: dict[Head, Value] = {}
        self._young_bytes = 0
        self._seen_once = array("q", bytes(8 * SEEN_ONCE))

    def __repr__(self) -> str:
        return f"<HeadTable {len(self.young)} young, {len(self._old)} old>"

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def find(self, head: Head) -> Value | None:
        """The value of this head, which counts as a use."""
        found = self.young.get(head)
        if found is None and self._old:
            found = self._old.pop(head, None)
            if found is not None:
                self.keep(head, found)
        return found

    def came_before(self, head: Head) -> bool:
        """Whether this head was seen already; from now on it was."""
        mark = hash(head)
        place = mark & (SEEN_ONCE - 1)
        if self._seen_once[place] == mark:
            return True
        self._seen_once[place] = mark
        return False

    def keep(self, head: Head, value: Value) -> None:
        """Remember it."""
        self._young_bytes += self._size_bytes(head, value)
        self.young[head] = value
        if self._young_bytes > self._max_bytes:
            self._old, self.young, self._young_bytes = self.young, {}, 0

    def clear(self) -> None:
        """Forget everything that is kept."""
        self.young, self._old, self._young_bytes = {}, {}, 0
