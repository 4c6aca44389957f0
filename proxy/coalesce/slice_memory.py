"""What is remembered of URLs that are fetched in slices, in bounded tables.

    whole     for some time after an origin gave no usable slice the URL is fetched in one piece
    current   the newest representation that was met: older ones are dropped when they are met, and its length
              tells which slice a request wants first
    begun     the slice that a URL of which nothing is known is being asked for: who comes meanwhile waits for
              the head of that one, so that it is learnt once how the URL is to be fetched

Every table drops its least recently used key when full: the price is a fetch more, never a wrong answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from cachetools import LRUCache

from proxy.cache.entry import Entry
from proxy.clock import Clock
from proxy.coalesce.answer import Answer
from proxy.coalesce.flight import Flight
from proxy.http.messages import ResponseHead
from proxy.policy.key_parts import whole_key
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.partial import Representation, representation_of, slice_label


@dataclass(frozen=True, slots=True)
class Known:
    """A representation that was met, under the key of the whole.

    `label` is that of its slices (`partial.slice_label`), `number` that of one, asked for at `asked_mono`.
    """

    key: CacheKey
    variant: Variant
    representation: Representation
    label: bytes
    asked_mono: float
    number: int


def known_from(answer: Answer, number: int) -> Known | None:
    """What an answer to a request for this slice tells; None if it is no slice, or not for sharing."""
    if answer.age_s is None:
        return None
    if answer.entry is not None:
        return known_of_entry(answer.entry, number)
    assert answer.seat is not None, "an answer is stored or of a flight"
    flight = answer.seat.flight
    assert isinstance(flight, Flight), "whose seats the coalescer gives"
    return _known(answer.head, flight.key, flight.variant, flight.asked_mono, number)


def known_of_entry(entry: Entry, number: int) -> Known | None:
    """What the stored slice of this number tells; None if it is none."""
    return _known(entry.head, entry.key, entry.variant, entry.requested_mono, number)


def _known(
    head: ResponseHead, key: CacheKey, variant: Variant, asked_mono: float, number: int
) -> Known | None:
    representation = representation_of(head) if head.status == 206 else None
    if representation is None:
        return None
    key = whole_key(key)
    return Known(key, variant, representation, slice_label(key, representation), asked_mono, number)


class SliceMemory:
    """Bounded memory of sliced URLs, by the keys of the whole; times in monotonic seconds of `clock`."""

    def __init__(self, *, clock: Clock, max_keys: int) -> None:
        self._clock = clock
        self._whole: LRUCache[CacheKey, float] = LRUCache(maxsize=max_keys)
        self._current: LRUCache[tuple[CacheKey, Variant], Known] = LRUCache(maxsize=max_keys)
        self._begun: LRUCache[CacheKey, int] = LRUCache(maxsize=max_keys)

    def __repr__(self) -> str:
        return f"<SliceMemory {len(self._current)} in slices, {len(self._whole)} whole>"

    def is_whole(self, key: CacheKey) -> bool:
        """Whether the URL is to be fetched in one piece now."""
        until_mono = self._whole.get(key)
        return until_mono is not None and self._clock.mono() < until_mono

    def mark_whole(self, key: CacheKey, *, for_s: float) -> None:
        """The origin gave no usable slice."""
        self._whole[key] = self._clock.mono() + for_s

    def current(self, key: CacheKey, variant: Variant) -> Known | None:
        """The newest representation, as far as known."""
        return self._current.get((key, variant))

    def learn(self, known: Known) -> None:
        """A slice of the newest representation was met."""
        self._current[known.key, known.variant] = known

    def forget(self, key: CacheKey, variant: Variant) -> None:
        """It is no more; what took its place is not known yet."""
        self._current.pop((key, variant), None)

    def begun(self, key: CacheKey) -> int | None:
        """The slice that the URL was asked for first, when nothing was known of it."""
        return self._begun.get(key)

    def begin(self, key: CacheKey, number: int) -> None:
        """The URL is asked for this slice, and nothing is known of it."""
        self._begun[key] = number
