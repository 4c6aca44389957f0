"""Heads as clients get them, kept for the entries that were asked for lately.

What is written once and sent to each of a herd takes as much as the head that it was written from. Most
stored entries are not asked for now, and the head of one that is asked for again is written in some
microseconds: so memos are kept within a bound, and the oldest goes first. First in, first out is enough:
a popular entry comes back at its next hit, and no hit has to note that it happened.
"""

from __future__ import annotations

from typing import Final

from proxy.cache.entry import Entry, HeadMemo

MEMO_BYTES: Final = 640
"""Of a memo beyond the head: objects, the lines of ours, what they are for, its place here."""


class HotHeads:
    """Memos of entries, within `max_bytes`. An entry that leaves the cache leaves here."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._charged: dict[Entry, int] = {}  # oldest first
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<HotHeads {len(self._charged)} heads, {self._bytes} bytes>"

    def __len__(self) -> int:
        return len(self._charged)

    def memo_of(self, entry: Entry) -> HeadMemo:
        """The entry's memo, a new one if it has none."""
        memo = entry.memo
        if memo is None:
            memo = entry.memo = HeadMemo()
            if entry.in_memory:
                self.add(entry)
        return memo

    def add(self, entry: Entry) -> None:
        """An entry that has a memo lies in memory now."""
        charged = self._charged[entry] = entry.head.fields.size_bytes() + MEMO_BYTES
        self._bytes += charged
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._charged)))

    def discard(self, entry: Entry) -> None:
        """It lies in memory no more. Whoever was given its memo may go on using it."""
        if entry in self._charged:
            self._drop(entry)

    def clear(self) -> None:
        """Every entry went."""
        self._charged.clear()
        self._bytes = 0

    def _drop(self, entry: Entry) -> None:
        self._bytes -= self._charged.pop(entry)
        entry.memo = None
