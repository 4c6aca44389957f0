"""Entries in one line."""

from __future__ import annotations

from proxy.cache.entry import Entry
from proxy.coalesce.body import SharedBody
from proxy.http.fields import Fields, Pair
from proxy.http.messages import ResponseHead
from proxy.policy.freshness import LifetimeSource
from proxy.policy.keys import Variant
from proxy.policy.terms import Terms


def entry(
    key: bytes = b"key",
    variant: Variant = (),
    *,
    varies_on: tuple[bytes, ...] | None = None,
    size: int = 10,
    fields: tuple[Pair, ...] = (),
    requested_mono: float = 1_000.0,
    lifetime_s: float = 60.0,
    tags: frozenset[bytes] = frozenset(),
) -> Entry:
    """An entry that was asked for at `requested_mono` and came at once."""
    return Entry(
        key=key,
        varies_on=(b"x-lang",) * len(variant) if varies_on is None else varies_on,
        variant=variant,
        head=ResponseHead(200, Fields(fields)),
        body=SharedBody.complete([b"x" * size]),
        terms=Terms(lifetime_s, LifetimeSource.MAX_AGE),
        initial_age_s=0.0,
        requested_mono=requested_mono,
        received_mono=requested_mono,
        received_at=1_800_000_000.0,
        tags=tags,
    )
