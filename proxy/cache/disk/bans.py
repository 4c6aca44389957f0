"""Bans: purges that stored objects must still be checked against.

Theory of operation. A purge is one number in a sequence; an object carries the number that was current
when it was committed, its epoch. An object is banned if a purge with a higher number covers it. So a
purge takes effect, and is acknowledged, without looking at a single file: every load asks here. A sweep
then reads what may be covered and removes it (`sweeping.py`), after which the ban is retired.

A ban may be retired when no object older than it can turn up any more: the index is complete, the sweep
has passed, its unlinks are done, and no commit that began before it is still on its way.

Bans by key, place and tag are looked up in tables, so that many of them cost nothing; patterns are tried
one by one. Beyond `max_bans` the older half is replaced by one ban of everything from before: forgetting
is always on the safe side.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import IntEnum

from proxy.cache.disk.place import Place, key_digest, place_of
from proxy.policy.keys import CacheKey, Variant


class Kind(IntEnum):
    """What a purge covers; the number is its code in the log."""

    ALL = 1
    KEY = 2
    PLACE = 3
    TAG = 4
    PATTERN = 5
    WHERE = 6
    """By a function: never in the log; the places that it covered are."""


Where = Callable[[CacheKey, frozenset[bytes]], bool]


@dataclass(frozen=True, slots=True)
class Purge:
    """What is to go, or to become stale (`soft`).

    `subject` is the key's digest, the place, the tag, or the regular expression searched in the key.
    """

    kind: Kind
    subject: bytes = b""
    soft: bool = False
    where: Where | None = field(default=None, compare=False)

    @classmethod
    def all(cls, *, soft: bool = False) -> Purge:
        """Everything."""
        return cls(Kind.ALL, soft=soft)

    @classmethod
    def key(cls, key: CacheKey, *, soft: bool = False) -> Purge:
        """All variants of a key."""
        return cls(Kind.KEY, key_digest(key), soft)

    @classmethod
    def one(cls, key: CacheKey, variant: Variant, *, soft: bool = False) -> Purge:
        """One variant of a key."""
        return cls(Kind.PLACE, packed_place(place_of(key, variant)), soft)

    @classmethod
    def tag(cls, tag: bytes, *, soft: bool = False) -> Purge:
        """Everything with this surrogate key."""
        return cls(Kind.TAG, tag, soft)

    @classmethod
    def pattern(cls, pattern: bytes, *, soft: bool = False) -> Purge:
        """Every key in which this regular expression is found. Raises: re.error."""
        re.compile(pattern)
        return cls(Kind.PATTERN, pattern, soft)

    @classmethod
    def matching(cls, where: Where, *, soft: bool = False) -> Purge:
        """What a function of key and tags accepts; durable only when it has been asked of everything."""
        return cls(Kind.WHERE, soft=soft, where=where)


def packed_place(place: Place) -> bytes:
    """A place as the subject of a purge."""
    return place.key_digest + place.variant_digest.to_bytes(8, "big")


@dataclass(frozen=True, slots=True)
class Ban:
    """The purge that covers an object."""

    sequence: int
    soft: bool


class Bans:
    """The purges not yet retired. Read by threads while the loop adds: no table is ever rebuilt in place."""

    def __init__(self, *, max_bans: int = 100_000) -> None:
        self.sequence = 0
        self._max_bans = max_bans
        self._tables: dict[bool, dict[Hashable, int]] = {False: {}, True: {}}
        self._searched: list[tuple[Ban, Where]] = []
        self._in_order: list[tuple[int, Purge]] = []
        self._running: Counter[int] = Counter()

    def __repr__(self) -> str:
        return f"<Bans sequence={self.sequence} kept={len(self._in_order)}>"

    def __len__(self) -> int:
        return len(self._in_order)

    @property
    def newest(self) -> int:
        """The number of the newest ban that is kept; objects of this epoch or a later one need no look."""
        return self._in_order[-1][0] if self._in_order else 0

    def kept(self) -> list[tuple[int, Purge]]:
        """The bans in order, with their numbers; a snapshot."""
        return list(self._in_order)

    def add(self, purge: Purge, *, sequence: int | None = None) -> int:
        """A purge happened; its number. `sequence` is given when it is read from a log."""
        self.sequence = self.sequence + 1 if sequence is None else max(sequence, self.sequence)
        number = self.sequence if sequence is None else sequence
        self._in_order.append((number, purge))
        if len(self._in_order) > self._max_bans:
            self._merge_oldest()
        if purge.kind in (Kind.PATTERN, Kind.WHERE):
            self._searched.append((Ban(number, purge.soft), purge.where or _searching(purge.subject)))
        else:
            self._tables[purge.soft][purge.kind, purge.subject] = number
        return number

    def covering(self, epoch: int, place: Place, key: CacheKey, tags: frozenset[bytes]) -> Ban | None:
        """The ban that covers an object: a hard one if there is one, else a soft one, else None."""
        if epoch >= self.newest:
            return None
        for soft in (False, True):
            found = self._highest(epoch, place, key, tags, soft)
            if found is not None:
                return Ban(found, soft)
        return None

    def _highest(
        self, epoch: int, place: Place, key: CacheKey, tags: frozenset[bytes], soft: bool
    ) -> int | None:
        table = self._tables[soft]
        subjects: list[Hashable] = [
            (Kind.ALL, b""),
            (Kind.KEY, place.key_digest),
            (Kind.PLACE, packed_place(place)),
            *((Kind.TAG, tag) for tag in tags),
        ]
        numbers = [table.get(subject, 0) for subject in subjects]
        numbers += [
            ban.sequence
            for ban, covers in self._searched
            if ban.soft is soft and ban.sequence > epoch and covers(key, tags)
        ]
        highest = max(numbers)
        return highest if highest > epoch else None

    def enter(self) -> int:
        """A commit begins; the epoch to write, and to give back with `leave`."""
        self._running[self.sequence] += 1
        return self.sequence

    def leave(self, epoch: int) -> None:
        """The commit that began in `epoch` is over."""
        self._running[epoch] -= 1
        if not self._running[epoch]:
            del self._running[epoch]

    def retire(self, swept: int) -> int:
        """Forget the bans up to `swept`, but for those that a running commit must be checked against.

        Gives the number up to which they are forgotten.
        """
        upto = min(swept, min(self._running, default=swept))
        self._forget(upto)
        return upto

    def _merge_oldest(self) -> None:
        half = len(self._in_order) // 2
        newest = self._in_order[half - 1][0]
        self._forget(newest)
        self._in_order.insert(0, (newest, Purge.all()))
        self._tables[False].setdefault((Kind.ALL, b""), newest)

    def _forget(self, upto: int) -> None:
        self._in_order = [(number, purge) for number, purge in self._in_order if number > upto]
        self._searched = [(ban, covers) for ban, covers in self._searched if ban.sequence > upto]
        self._tables = {
            soft: {subject: number for subject, number in table.items() if number > upto}
            for soft, table in self._tables.items()
        }


def _searching(pattern: bytes) -> Where:
    search = re.compile(pattern).search
    return lambda key, _tags: search(key) is not None
