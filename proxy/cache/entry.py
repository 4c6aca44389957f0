"""A stored response with what policy said of it."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.coalesce.body import SharedBody
from proxy.config.settings import ContentCoding
from proxy.http.messages import ResponseHead
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.terms import Terms

ENTRY_OVERHEAD_BYTES = 1024
"""Charged to each entry beyond body and head: objects, table slots, index. An upper bound, checked by
`tests/cache/test_memory.py` against what the interpreter really takes."""


class HeadMemo:
    """The field lines of a head as clients get them: written once, sent to each of a herd.

    `own` are the lines of ours that tell of age and cache, as last written, `own_for` what they tell.
    `compressible` is what policy said of the response once its length was known, `coded` the heads of its
    codings, each with a memo of its own.
    """

    __slots__ = ("coded", "compressible", "lines", "own", "own_for")

    def __init__(self) -> None:
        self.lines: bytes | None = None
        self.own = b""
        self.own_for: object = None
        self.compressible: bool | None = None
        self.coded: dict[ContentCoding, tuple[ResponseHead, HeadMemo]] | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """One variant of one key. Immutable but for `purged_softly`.

    `head` has neither hop-by-hop nor framing fields. Ages count from `received_mono` on the monotonic
    clock, `received_at` is the same moment on the wall clock. `requested_mono` orders entries: a response
    asked for earlier never replaces one asked for later.
    """

    key: CacheKey
    varies_on: tuple[bytes, ...]
    variant: Variant
    head: ResponseHead
    body: SharedBody
    terms: Terms
    initial_age_s: float
    requested_mono: float
    received_mono: float
    received_at: float
    memo: HeadMemo
    tags: frozenset[bytes] = frozenset()
    purged_softly: bool = False

    def current_age_s(self, now_mono: float) -> float:
        """Seconds since the origin generated or validated it (RFC 9111 §4.2.3)."""
        return self.initial_age_s + max(0.0, now_mono - self.received_mono)

    def ttl_s(self, now_mono: float) -> float:
        """Seconds of freshness left; negative when stale."""
        if self.purged_softly:
            return min(-1e-9, self.terms.lifetime_s - self.current_age_s(now_mono))
        return self.terms.lifetime_s - self.current_age_s(now_mono)

    def size_bytes(self) -> int:
        """What it counts for in the tier's bound: body, head, key and bookkeeping."""
        return (
            self.body.received_bytes
            + self.head.fields.size_bytes()
            + len(self.key)
            + sum(len(value or b"") for value in self.variant)
            + ENTRY_OVERHEAD_BYTES
        )
