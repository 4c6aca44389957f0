"""A stored response with what policy said of it."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.coalesce.body import SharedBody
from proxy.config.settings import ContentCoding
from proxy.http.messages import ResponseHead
from proxy.http.remembered import Remembered
from proxy.http.rendering import shared_phrase
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.terms import Terms, shared_terms


def _pack_head(head: ResponseHead) -> ResponseHead:
    phrase = shared_phrase(head.status, head.reason)
    return ResponseHead(head.status, head.fields.packed(), phrase, head.minor_version)


_packed = Remembered(_pack_head).of
"""The head in little memory; the same object for the same head, which may be that of many entries."""

ENTRY_OVERHEAD_BYTES = 1024
"""Charged to each entry beyond body, head and key: objects, table slots, index.

An upper bound, as are the others, checked by `tests/cache/test_memory.py` against what the interpreter really
takes, and by `tests/cache/test_resident.py` against what the process does: counted too low, a tier of
`max_bytes` would take more than that.
"""

LABEL_OVERHEAD_BYTES = 500
"""Charged to each label: its place in the entry's set and, for one that no other entry has, a table in the
index of places."""

_NO_LABELS: frozenset[bytes] = frozenset()
"""The labels of most entries, the same object for all: an empty set takes 216 octets like any small one."""


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
    """One variant of one key. Immutable but for what purges and hits note: the last six.

    `head` has neither hop-by-hop nor framing fields. Ages count from `received_mono` on the monotonic
    clock, `received_at` is the same moment on the wall clock. `requested_mono` orders entries: a response
    asked for earlier never replaces one asked for later. `epoch` is that of the last purge by which it was
    found not to be covered, `uses` are hits where the route refreshes ahead, at `refresh_age_s` if ever.
    `in_memory` says that the memory tier holds it: a holder of the entry sees when it was replaced or
    removed. `memo` comes and goes, see `HotHeads`.
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
    memo: HeadMemo | None = None
    tags: frozenset[bytes] = frozenset()
    purged_softly: bool = False
    softened_mono: float | None = None
    epoch: int = 0
    uses: int = 0
    refresh_age_s: float | None = None
    in_memory: bool = False

    def pack(self) -> None:
        """Take as little memory as may be, since from here on it is kept."""
        self.head = _packed(self.head)
        self.terms = shared_terms(self.terms)
        self.tags = self.tags or _NO_LABELS

    def with_body(self, body: SharedBody) -> Entry:
        """Another entry of the same head; written out, as each hit of the disk tier makes one."""
        return Entry(
            self.key,
            self.varies_on,
            self.variant,
            self.head,
            body,
            self.terms,
            self.initial_age_s,
            self.requested_mono,
            self.received_mono,
            self.received_at,
            self.memo,
            self.tags,
        )

    def current_age_s(self, now_mono: float) -> float:
        """Seconds since the origin generated or validated it (RFC 9111 §4.2.3)."""
        return self.initial_age_s + max(0.0, now_mono - self.received_mono)

    def soften(self, now_mono: float) -> None:
        """A soft purge: stale from now on, if it was not stale before."""
        if not self.purged_softly:
            self.purged_softly, self.softened_mono = True, now_mono

    def decisive_age_s(self, now_mono: float) -> float:
        """Its age for a decision; of what was purged softly at least its lifetime, and the time since."""
        age_s = self.current_age_s(now_mono)
        if not self.purged_softly:
            return age_s
        since_s = 0.0 if self.softened_mono is None else max(0.0, now_mono - self.softened_mono)
        return max(age_s, self.terms.lifetime_s + since_s)

    def ttl_s(self, now_mono: float) -> float:
        """Seconds of freshness left; negative when stale."""
        ttl_s = self.terms.lifetime_s - self.decisive_age_s(now_mono)
        return min(-1e-9, ttl_s) if self.purged_softly else ttl_s

    def size_bytes(self) -> int:
        """What it counts for in the tier's bound, once it is packed: body, head, key and bookkeeping."""
        return (
            self.body.received_bytes
            + self.head.fields.kept_bytes()
            + len(self.key)
            + sum(len(value or b"") for value in self.variant)
            + sum(len(label) + LABEL_OVERHEAD_BYTES for label in self.tags)
            + ENTRY_OVERHEAD_BYTES
        )
