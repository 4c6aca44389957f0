"""Bans: purges that stored objects must still be checked against.

Theory of operation. A purge is one number in a sequence; an object carries the number that was current
when it was committed, its epoch. An object is banned if a purge with a higher number covers it. So a
purge takes effect, and is acknowledged, without looking at a single file: every load asks here. A sweep
then reads what may be covered and removes it (`sweeping.py`), after which the ban is retired.

A ban may be retired when no object older than it can turn up any more: the index is complete, the sweep
has passed, its unlinks are done, no commit that began before it is still on its way, and no load that
began before the *end of its sweep*: such a load may have read a file that the sweep then removed.

Bans by key, place, tag and target are looked up in tables, so that many of them cost nothing; patterns and
prefixes are tried one by one, and so are targets for an object that answers for other queries than its own.
Beyond `max_bans` the older half is replaced by one ban of everything from before: forgetting is always on
the safe side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import assert_never

from proxy.cache.disk.coverage import Where, covers_safely, encode_searched, target_of
from proxy.cache.disk.place import Place, key_digest, place_of
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.purges import (
    Coverage,
    Everything,
    Matching,
    Prefixed,
    Tagged,
    Targets,
    varies_on_search,
)

Subject = tuple["Kind", bytes | None]


class Kind(IntEnum):
    """What a purge covers; the number is its code in the log."""

    ALL = 1
    KEY = 2
    PLACE = 3
    TAG = 4
    TARGET = 5
    SEARCHED = 6
    WHERE = 7
    """By a function: never in the log; the places that it covered are."""


@dataclass(frozen=True, slots=True)
class Purge:
    """What is to go, or to become stale (`soft`).

    `subject` is the key's digest, the place, the tag, what the keys of the target begin with, or the coverage
    that is asked of each key, encoded; `where` is that coverage.
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
    def target(cls, target: bytes, *, soft: bool = False) -> Purge:
        """Every key of a target, and what declares that it answers for this query, too."""
        return cls(Kind.TARGET, target, soft)

    @classmethod
    def searched(cls, coverage: Prefixed | Matching, *, soft: bool = False) -> Purge:
        """What a coverage accepts that must be asked of each key."""
        return cls(Kind.SEARCHED, encode_searched(coverage), soft, covers_safely(coverage.covers))

    @classmethod
    def matching(cls, where: Where, *, soft: bool = False) -> Purge:
        """What a function of key and tags accepts; durable only when it has been asked of everything."""
        return cls(Kind.WHERE, soft=soft, where=covers_safely(where))

    @classmethod
    def of(cls, coverage: Coverage, *, soft: bool = False) -> tuple[Purge, ...]:
        """The purges that together are this one."""
        match coverage:
            case Everything():
                return (cls.all(soft=soft),)
            case Tagged(labels):
                return tuple(cls.tag(label, soft=soft) for label in sorted(labels))
            case Targets(keys):
                return tuple(cls.target(key, soft=soft) for key in sorted(keys))
            case Prefixed() | Matching():
                return (cls.searched(coverage, soft=soft),)
            case never:
                assert_never(never)


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
        self._tables: dict[bool, dict[Subject, int]] = {False: {}, True: {}}
        self._searched: list[tuple[Ban, Where]] = []
        self._in_order: list[tuple[int, Purge]] = []
        self._running: Counter[int] = Counter()
        self._swept = 0

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
        if purge.where is not None:
            self._searched.append((Ban(number, purge.soft), purge.where))
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
        subjects: list[Subject] = [
            (Kind.ALL, b""),
            (Kind.KEY, place.key_digest),
            (Kind.PLACE, packed_place(place)),
            *((Kind.TAG, tag) for tag in tags),
            (Kind.TARGET, target_of(key)),
        ]
        if varies_on_search(tags):
            subjects += [subject for subject in list(table) if _answers_for(key, tags, subject)]
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

    def enter_load(self) -> int:
        """A load begins; what to give back with `leave`. All bans not yet swept are kept for it."""
        self._running[self._swept] += 1
        return self._swept

    def leave(self, epoch: int) -> None:
        """The commit or load that entered with this number is over."""
        self._running[epoch] -= 1
        if not self._running[epoch]:
            del self._running[epoch]
            self._retire()

    def swept(self, upto: int) -> None:
        """What the bans up to this one cover is gone, or marked: they are retired when nobody needs them."""
        self._swept = max(self._swept, upto)
        self._retire()

    def _retire(self) -> None:
        upto = min(self._swept, min(self._running, default=self._swept))
        if self._in_order and self._in_order[0][0] <= upto:
            self._forget(upto)

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


def _answers_for(key: CacheKey, tags: frozenset[bytes], subject: Subject) -> bool:
    kind, target = subject
    return (
        kind is Kind.TARGET
        and target is not None
        and covers_safely(Targets(frozenset({target})).covers)(key, tags)
    )
