"""What follows from a value, remembered for as long as that very object comes again.

For heads: origins repeat themselves, and the same octets are the same object (`origin/response_head.py`). An
`lru_cache` would ask each field for its hash and compare them all; here it is the object's place in memory
that is looked up, and the object itself that is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")
Derived = TypeVar("Derived")


class Remembered(Generic[Value, Derived]):
    """Calls `derive` once for each object, as far as it remembers: it forgets all when it has `most`.

    `derive` gives the same for the same at any time. What is remembered stays alive, so no other object can
    have its place.
    """

    __slots__ = ("_derive", "_known", "_most")

    def __init__(self, derive: Callable[[Value], Derived], *, most: int = 256) -> None:
        self._derive = derive
        self._most = most
        self._known: dict[int, tuple[Value, Derived]] = {}

    def __repr__(self) -> str:
        return f"<Remembered {len(self._known)} of {self._derive!r}>"

    def of(self, value: Value) -> Derived:
        """What follows from it. Raises: what `derive` raises, each time."""
        found = self._known.get(id(value))
        if found is not None:
            return found[1]
        derived = self._derive(value)
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[id(value)] = (value, derived)
        return derived
