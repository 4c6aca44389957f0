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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

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
_TERMS_AT = _TIMES.size
_HEAD_AT = _TERMS_AT + _TERMS.size
_STRINGS_AT = _HEAD_AT + _HEAD.size

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


_Strings = tuple[list[bytes | None], int]
"""Strings, and where they end."""


def _read_strings(octets: bytes, at: int, count: int) -> _Strings:
    """So many strings from `at` on. Every step is checked, and written for speed: each disk hit goes here."""
    found: list[bytes | None] = []
    size = len(octets)
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(octets, at)
        at += 4
        if length == _ABSENT:
            found.append(None)
            continue
        end = at + length
        if end > size:
            raise _Malformed
        found.append(octets[at:end])
        at = end
    return found, at


def _read_list(octets: bytes, at: int) -> _Strings:
    """A list of strings with its length before it."""
    (count,) = _LENGTH.unpack_from(octets, at)
    at += 4
    if 4 * count > len(octets) - at:  # each takes four octets at least
        raise _Malformed
    return _read_strings(octets, at, count)


def decode_record(octets: bytes) -> Record | None:
    """The record; None if the octets are not what `encode_record` writes. Raises nothing."""
    try:
        return _decode(octets)
    except (_Malformed, struct.error):
        return None


def _decode(octets: bytes) -> Record:
    boot, requested_mono, received_mono, received_at, initial_age_s = _TIMES.unpack_from(octets)
    lifetime_s, grace_s, stale_if_error_s, max_stale_s, source, flags = _TERMS.unpack_from(octets, _TERMS_AT)
    status, minor_version = _HEAD.unpack_from(octets, _HEAD_AT)
    (key, reason), at = _read_strings(octets, _STRINGS_AT, 2)
    varies_on, at = _read_list(octets, at)
    variant, at = _read_list(octets, at)
    tags, at = _read_list(octets, at)
    parts, at = _read_list(octets, at)
    numbers = (requested_mono, received_mono, received_at, initial_age_s, lifetime_s, grace_s)
    _require(all(map(math.isfinite, (*numbers, stale_if_error_s, max_stale_s))))
    _require(source < len(_SOURCES) and flags < 4 and len(parts) % 2 == 0 and at == len(octets))
    _require(len(varies_on) == len(variant))
    pairs = zip(_present(parts[::2]), _present(parts[1::2]), strict=True)
    (key, reason) = _present([key, reason])
    return Record(
        key=key,
        varies_on=tuple(_present(varies_on)),
        variant=tuple(variant),
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
        tags=frozenset(_present(tags)),
    )


def _present(strings: Sequence[bytes | None]) -> list[bytes]:
    """All of them. Raises: _Malformed if one is absent."""
    if None in strings:
        raise _Malformed
    return cast("list[bytes]", strings)


def _require(holds: bool) -> None:
    if not holds:
        raise _Malformed
