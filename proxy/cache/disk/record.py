"""What is kept of an entry beside its body, and how ages survive a restart.

Times. An entry's age counts on the monotonic clock, which starts anew when the machine does. So a record
keeps both readings and the boot they belong to. In the same boot the monotonic one is believed: a step of
the wall clock changes no age, across restarts of the proxy. After another boot only the wall clock is left;
if it shows a time before the record's own, it was set back, the true age is unknown, and the entry is
given back as purged softly: it may be used after a validation, or where stale is allowed.

A soft purge counts from when the file was marked (its time of modification), or from now if it was not
yet. Where the clock was set back since, it counts from when the response came: all of its grace is used.

The encoding is our own: numbers of fixed size and octet strings with their length, so that nothing in a
file is ever executed or trusted, and equal records are equal octets.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proxy.cache.entry import Entry
from proxy.coalesce.body import SharedBody
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.policy.freshness import LifetimeSource
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.terms import Terms

_TIMES = struct.Struct(">8sdddd")
_TERMS = struct.Struct(">ddddBB")
_HEAD = struct.Struct(">HB")
_LENGTH = struct.Struct(">I")
_ABSENT = 0xFFFFFFFF

_SOURCES = tuple(LifetimeSource)


@dataclass(frozen=True, slots=True)
class Moment:
    """Both clocks at one instant, and the boot that the monotonic one counts from (8 octets)."""

    now: float
    mono: float
    boot: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """An entry without its body. `requested_mono` and `received_mono` belong to the boot `boot`."""

    key: CacheKey
    varies_on: tuple[bytes, ...]
    variant: Variant
    head: ResponseHead
    terms: Terms
    initial_age_s: float
    requested_mono: float
    received_mono: float
    received_at: float
    boot: bytes
    tags: frozenset[bytes]

    @classmethod
    def of(cls, entry: Entry, *, boot: bytes) -> Record:
        """The record of an entry that came in this boot."""
        return cls(
            key=entry.key,
            varies_on=entry.varies_on,
            variant=entry.variant,
            head=entry.head,
            terms=entry.terms,
            initial_age_s=entry.initial_age_s,
            requested_mono=entry.requested_mono,
            received_mono=entry.received_mono,
            received_at=entry.received_at,
            boot=boot,
            tags=entry.tags,
        )

    def entry(
        self, body: SharedBody, *, at: Moment, soft: bool = False, soft_since: float | None = None
    ) -> Entry:
        """The entry again, its times in terms of the present boot.

        `soft_since` is when its file was marked as purged softly, on the wall clock; None if it was not.
        """
        received_mono, clock_set_back = self.received_mono, False
        if self.boot != at.boot:
            received_mono = at.mono - max(0.0, at.now - self.received_at)
            clock_set_back = self.received_at > at.now
        softened_mono = at.mono if soft else None
        if soft_since is not None:
            softened_mono = at.mono - (at.now - soft_since) if soft_since <= at.now else received_mono
        if clock_set_back:
            softened_mono = received_mono
        return Entry(
            key=self.key,
            varies_on=self.varies_on,
            variant=self.variant,
            head=self.head,
            body=body,
            terms=self.terms,
            initial_age_s=self.initial_age_s,
            requested_mono=received_mono - (self.received_mono - self.requested_mono),
            received_mono=received_mono,
            received_at=self.received_at,
            tags=self.tags,
            purged_softly=softened_mono is not None,
            softened_mono=softened_mono,
        )


def encode_record(record: Record) -> bytes:
    """The record's octets."""
    terms, head = record.terms, record.head
    flags = terms.always_revalidate | terms.with_authorization << 1
    parts = [
        _TIMES.pack(
            record.boot, record.requested_mono, record.received_mono, record.received_at, record.initial_age_s
        ),
        _TERMS.pack(
            terms.lifetime_s, terms.grace_s, terms.stale_if_error_s, terms.max_stale_s,
            _SOURCES.index(terms.source), flags,
        ),
        _HEAD.pack(head.status, head.minor_version),
        _string(record.key),
        _string(head.reason),
        *_strings(record.varies_on),
        *_strings(record.variant),
        *_strings(tuple(sorted(record.tags))),
        *_strings(tuple(part for pair in head.fields for part in pair)),
    ]  # fmt: skip
    return b"".join(parts)


def _string(value: bytes | None) -> bytes:
    return _LENGTH.pack(_ABSENT) if value is None else _LENGTH.pack(len(value)) + value


def _strings(values: tuple[bytes | None, ...]) -> Iterator[bytes]:
    yield _LENGTH.pack(len(values))
    yield from map(_string, values)


class _Malformed(Exception):
    """The octets are no record; never leaves this module."""


class _Octets:
    """A cursor that checks every step."""

    __slots__ = ("_at", "_octets")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._octets):
            raise _Malformed
        taken, self._at = self._octets[self._at : end], end
        return taken

    def optional(self) -> bytes | None:
        (length,) = _LENGTH.unpack(self.take(4))
        return None if length == _ABSENT else self.take(length)

    def string(self) -> bytes:
        value = self.optional()
        if value is None:
            raise _Malformed
        return value

    def several(self, one: Callable[[], bytes | None]) -> list[bytes | None]:
        (count,) = _LENGTH.unpack(self.take(4))
        return [one() for _ in range(self._at_most(count))]

    def strings(self) -> list[bytes]:
        (count,) = _LENGTH.unpack(self.take(4))
        return [self.string() for _ in range(self._at_most(count))]

    def _at_most(self, count: int) -> int:
        if 4 * count > len(self._octets) - self._at:  # each takes four octets at least
            raise _Malformed
        return int(count)

    def finish(self) -> None:
        if self._at != len(self._octets):
            raise _Malformed


def decode_record(octets: bytes) -> Record | None:
    """The record; None if the octets are not what `encode_record` writes. Raises nothing."""
    try:
        return _decode(_Octets(octets))
    except _Malformed:
        return None


def _decode(octets: _Octets) -> Record:
    boot, requested_mono, received_mono, received_at, initial_age_s = _TIMES.unpack(octets.take(_TIMES.size))
    lifetime_s, grace_s, stale_if_error_s, max_stale_s, source, flags = _TERMS.unpack(
        octets.take(_TERMS.size)
    )
    status, minor_version = _HEAD.unpack(octets.take(_HEAD.size))
    key, reason = octets.string(), octets.string()
    varies_on = tuple(octets.strings())
    variant = tuple(octets.several(octets.optional))
    tags = octets.strings()
    parts = octets.strings()
    octets.finish()
    numbers = (requested_mono, received_mono, received_at, initial_age_s, lifetime_s, grace_s)
    _require(all(map(math.isfinite, (*numbers, stale_if_error_s, max_stale_s))))
    _require(source < len(_SOURCES) and flags < 4 and len(parts) % 2 == 0)
    _require(len(varies_on) == len(variant))
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return Record(
        key=key,
        varies_on=varies_on,
        variant=variant,
        head=ResponseHead(status, Fields(pairs), reason, minor_version),
        terms=Terms(
            lifetime_s=lifetime_s,
            source=_SOURCES[source],
            grace_s=grace_s,
            stale_if_error_s=stale_if_error_s,
            max_stale_s=max_stale_s,
            always_revalidate=bool(flags & 1),
            with_authorization=bool(flags & 2),
        ),
        initial_age_s=initial_age_s,
        requested_mono=requested_mono,
        received_mono=received_mono,
        received_at=received_at,
        boot=boot,
        tags=frozenset(tags),
    )


def _require(holds: bool) -> None:
    if not holds:
        raise _Malformed
