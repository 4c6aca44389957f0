"""What follows from a response head, remembered for as long as that very object comes again.

Origins repeat themselves, and the same octets are the same object (`origin/response_head.py`), if they are
not too many. An `lru_cache` would ask each field for its hash and compare them all; here it is the object's
place in memory that is looked up, and the object itself that is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from proxy.http.messages import ResponseHead

Derived = TypeVar("Derived")

KNOWN_HEADS = 256
KNOWN_HEAD_BYTES = 4096
"""So many heads are remembered, none longer than that: a mebibyte of octets at most."""


def may_come_again(head: ResponseHead) -> bool:
    """Whether the same octets may be this very head again: a long one is another each time."""
    return head.fields.size_bytes() <= KNOWN_HEAD_BYTES


class Remembered(Generic[Derived]):
    """Calls `derive` once for each head, as far as it remembers: it forgets all when it has `most`.

    `derive` gives the same for the same at any time. What is remembered stays alive, so no other object can
    have its place.
    """

    __slots__ = ("_derive", "_known", "_most")

    def __init__(self, derive: Callable[[ResponseHead], Derived], *, most: int = KNOWN_HEADS) -> None:
        self._derive = derive
        self._most = most
        self._known: dict[int, tuple[ResponseHead, Derived]] = {}

    def __repr__(self) -> str:
        return f"<Remembered {len(self._known)} of {self._derive!r}>"

    def __len__(self) -> int:
        return len(self._known)

    def of(self, head: ResponseHead) -> Derived:
        """What follows from it. Raises: what `derive` raises, each time."""
        found = self._known.get(id(head))
        if found is not None:
            return found[1]
        derived = self._derive(head)
        if may_come_again(head):
            if len(self._known) >= self._most:
                self._known.clear()
            self._known[id(head)] = (head, derived)
        return derived
