"""The index of the disk tier: what lies there, in numbers.

Theory of operation. The index is a *hint*: whatever it says, a file is believed only after its own
footer, record and checksums were read (`loading.py`). So it may err towards too much (a file that is
gone) at the price of a miss, and keeps neither keys nor heads.

Columns of numbers hold the slots; a table leads from a key's digest to its first slot, `next` to those of
its other variants, newest first. Measured at a million keys of one variant each: 212 octets a slot, 64 of
them for the digest (`loadtest/bench/disk_index.py`); keys that vary take about 100 more for the names.

Eviction is second chance: a hand goes round the slots, takes those not used since it last passed, and
gives the others another round. It is LRU near enough, a hit costs one bit, and nothing is relinked. One
step of the hand looks at no more than `MAX_LOOKS` slots: then the next one goes, used or not.

Not thread-safe: the event loop owns it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from proxy.cache.disk.place import Place

MAX_LOOKS = 1000

_FREE, _USED, _TOUCHED, _SOFT = 0, 1, 2, 4
_NOT_OF_THIS_PROCESS = float("-inf")
"""When a response was asked for that an earlier process stored: before all of this one's."""


class Indexed(NamedTuple):
    """What is known of one object. `allocated_bytes` is what it takes of the file system."""

    place: Place
    allocated_bytes: int
    epoch: int
    fingerprint: int
    varies_on: tuple[bytes, ...] = ()
    requested_mono: float = _NOT_OF_THIS_PROCESS
    soft: bool = False

    @property
    def of_this_process(self) -> bool:
        """Whether it was stored since the start."""
        return self.requested_mono != _NOT_OF_THIS_PROCESS


class Index:
    """Objects by place, within what eviction leaves."""

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}
        self._varies_on: dict[bytes, tuple[bytes, ...]] = {}
        self._digests: list[bytes] = []
        self._variants = array("Q")
        self._next = array("i")
        self._sizes = array("Q")
        self._epochs = array("Q")
        self._fingerprints = array("Q")
        self._requested = array("d")
        self._flags = bytearray()
        self._free = array("i")
        self._hand = 0
        self.allocated_bytes = 0
        self._count = 0

    def __repr__(self) -> str:
        return f"<Index {self._count} objects, {self.allocated_bytes} bytes>"

    def __len__(self) -> int:
        return self._count

    @property
    def slots(self) -> int:
        """Upper bound of slot numbers, for walking in slices with `between`."""
        return len(self._flags)

    def has(self, place: Place, *, touch: bool = False) -> bool:
        """Whether there is an object at this place; `touch` counts as a use."""
        slot = self._slot(place)
        if slot < 0:
            return False
        if touch:
            self._flags[slot] |= _TOUCHED
        return True

    def has_key(self, key_digest: bytes) -> bool:
        """Whether there is an object of this key."""
        return key_digest in self._first

    def get(self, place: Place, *, touch: bool = False) -> Indexed | None:
        """What is known of the object at this place; `touch` counts as a use."""
        slot = self._slot(place)
        if slot < 0:
            return None
        if touch:
            self._flags[slot] |= _TOUCHED
        return self._indexed(slot)

    def varies_on(self, key_digest: bytes) -> tuple[bytes, ...]:
        """The field names by which the key's objects were chosen; empty if they do not vary."""
        return self._varies_on.get(key_digest, ())

    def of_key(self, key_digest: bytes) -> list[Indexed]:
        """Every object of the key, newest first."""
        return [self._indexed(slot) for slot in self._chain(key_digest)]

    def between(self, first: int, last: int) -> Iterator[Indexed]:
        """The objects in slots `first` up to, not including, `last`."""
        for slot in range(first, min(last, len(self._flags))):
            if self._flags[slot]:
                yield self._indexed(slot)

    def suspects(self, first: int, last: int, masks: Sequence[tuple[int, int]]) -> list[Indexed]:
        """The objects in these slots that are older than a mask's number and have all of its bits."""
        if not masks:
            return []
        newest = max(number for number, _ in masks)
        found = []
        for slot in range(first, min(last, len(self._flags))):
            epoch, fingerprint = self._epochs[slot], self._fingerprints[slot]
            if self._flags[slot] and epoch < newest and _has_one(masks, epoch, fingerprint):
                found.append(self._indexed(slot))
        return found

    def insert(self, item: Indexed) -> None:
        """Put it in, in the place of what was there."""
        digest = item.place.key_digest
        if digest in self._first:
            self.remove(item.place)
        slot = self._take_slot()
        head = self._first.get(digest, -1)
        if head >= 0:
            digest = self._digests[head]  # one object for all variants
        self._digests[slot] = digest
        self._variants[slot] = item.place.variant_digest
        self._next[slot] = head
        self._sizes[slot] = item.allocated_bytes
        self._epochs[slot] = item.epoch
        self._fingerprints[slot] = item.fingerprint
        self._requested[slot] = item.requested_mono
        self._flags[slot] = _USED | (_SOFT if item.soft else 0)
        self._first[digest] = slot
        if item.varies_on:
            self._varies_on[digest] = item.varies_on
        else:
            self._varies_on.pop(digest, None)
        self._count += 1
        self.allocated_bytes += item.allocated_bytes

    def soften(self, place: Place) -> None:
        """It was purged softly."""
        slot = self._slot(place)
        if slot >= 0:
            self._flags[slot] |= _SOFT

    def remove(self, place: Place) -> Indexed | None:
        """Take it out; what was known of it."""
        before = -1
        for slot in self._chain(place.key_digest):
            if self._variants[slot] == place.variant_digest:
                item = self._indexed(slot)
                self._unlink(slot, before)
                return item
            before = slot
        return None

    def evict(self) -> Indexed | None:
        """Take out what was not used for longest, near enough; None if there is nothing."""
        if not self._count:
            return None
        looks = 0
        while True:
            slot = self._hand
            self._hand = slot + 1 if slot + 1 < len(self._flags) else 0
            flags = self._flags[slot]
            looks += 1
            if flags and (not flags & _TOUCHED or looks > MAX_LOOKS):
                place = Place(self._digests[slot], self._variants[slot])
                return self.remove(place)
            self._flags[slot] = flags & ~_TOUCHED

    def _slot(self, place: Place) -> int:
        slot = self._first.get(place.key_digest, -1)
        while slot >= 0 and self._variants[slot] != place.variant_digest:
            slot = self._next[slot]
        return slot

    def _chain(self, key_digest: bytes) -> Iterator[int]:
        slot = self._first.get(key_digest, -1)
        while slot >= 0:
            following = self._next[slot]
            yield slot
            slot = following

    def _indexed(self, slot: int) -> Indexed:
        digest, flags = self._digests[slot], self._flags[slot]
        return Indexed(
            place=Place(digest, self._variants[slot]),
            allocated_bytes=self._sizes[slot],
            epoch=self._epochs[slot],
            fingerprint=self._fingerprints[slot],
            varies_on=self._varies_on.get(digest, ()),
            requested_mono=self._requested[slot],
            soft=bool(flags & _SOFT),
        )

    def _take_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._digests.append(b"")
        for column in (self._variants, self._sizes, self._epochs, self._fingerprints):
            column.append(0)
        self._next.append(-1)
        self._requested.append(0.0)
        self._flags.append(_FREE)
        return len(self._flags) - 1

    def _unlink(self, slot: int, before: int) -> None:
        digest, following = self._digests[slot], self._next[slot]
        if before >= 0:
            self._next[before] = following
        elif following >= 0:
            self._first[digest] = following
        else:
            del self._first[digest]
            self._varies_on.pop(digest, None)
        self._digests[slot] = b""
        self._flags[slot] = _FREE
        self._free.append(slot)
        self._count -= 1
        self.allocated_bytes -= self._sizes[slot]


def _has_one(masks: Sequence[tuple[int, int]], epoch: int, fingerprint: int) -> bool:
    return any(epoch < number and fingerprint & mask == mask for number, mask in masks)
