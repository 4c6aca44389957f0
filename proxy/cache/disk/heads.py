"""Heads of small objects that were read lately: for the next hit their file is read and nothing is decoded.

Decoding a record, and writing its head anew as clients get it, takes several times what reading the file from
the page cache does. So both are kept with the octets that they were made from, everything after the body; a
file that ends with these same octets has this same head, whatever happened to it meanwhile, and its body is
compared with the checksums in them. So nothing has to be told of replacing, purging or eviction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from cachetools import LRUCache

from proxy.cache.disk.layout import Footer, block_agrees
from proxy.cache.disk.place import Place
from proxy.cache.entry import Entry, HeadMemo
from proxy.coalesce.body import SharedBody

_OVERHEAD_BYTES: Final = 2048
"""Of a head beyond its octets: objects, the field lines as clients get them, its place in the table."""

_NO_BODY: Final = SharedBody.complete([])


@dataclass(frozen=True, slots=True)
class Head:
    """What comes after an object's body, and what was made from it. `entry` has no body of its own."""

    footer: Footer
    trailer: bytes
    entry: Entry

    def of(self, octets: bytes) -> Entry | None:
        """The entry of a whole file, if this is its head and its body is what was written."""
        count = self.footer.body_bytes
        if octets[count:] != self.trailer:
            return None
        body = octets[:count]
        if body and not block_agrees(self.trailer, 0, body):  # the checksums come first, and there is one
            return None
        return self.entry.with_body(SharedBody.complete([body]))


class Heads:
    """Within `max_bytes`; what was not used for longest goes first."""

    def __init__(self, *, max_bytes: int) -> None:
        self._heads: LRUCache[Place, Head] = LRUCache(max_bytes, getsizeof=_size_bytes)

    def __repr__(self) -> str:
        return f"<Heads {len(self._heads)}, {self._heads.currsize} bytes>"

    def __len__(self) -> int:
        return len(self._heads)

    def get(self, place: Place) -> Head | None:
        """The head that was found there last."""
        return self._heads.get(place)

    def keep(self, place: Place, footer: Footer, trailer: bytes, entry: Entry) -> None:
        """Keep the head of an entry that was just read. A soft purge counts from its mark: not of those."""
        if footer.soft or entry.purged_softly:
            return
        entry.memo = entry.memo or HeadMemo()
        head = Head(footer, trailer, replace(entry, body=_NO_BODY))
        if _size_bytes(head) <= self._heads.maxsize:
            self._heads[place] = head

    def drop(self, place: Place) -> None:
        """It is not what lies there."""
        self._heads.pop(place, None)

    def clear(self) -> None:
        """Forget all."""
        self._heads.clear()


def _size_bytes(head: Head) -> int:
    return 2 * len(head.trailer) + _OVERHEAD_BYTES
