from __future__ import annotations

import pytest

from proxy.cache.entry import ENTRY_OVERHEAD_BYTES
from proxy.http.fields import LINE_BYTES
from tests.cache.stored import entry


def test_age_counts_from_its_receipt_and_ttl_down_to_below_zero() -> None:
    one = entry(lifetime_s=60.0, requested_mono=1_000.0)
    assert one.current_age_s(1_010.0) == 10.0
    assert one.ttl_s(1_010.0) == 50.0
    assert one.ttl_s(1_070.0) == -10.0


def test_a_clock_that_goes_back_makes_nothing_younger_than_it_came() -> None:
    assert entry(requested_mono=1_000.0).current_age_s(900.0) == 0.0


@pytest.mark.parametrize("now_mono", [1_000.0, 1_059.9, 1_200.0])
def test_a_soft_purge_makes_it_stale_at_once(now_mono: float) -> None:
    one = entry(lifetime_s=60.0, requested_mono=1_000.0)
    one.purged_softly = True
    assert one.ttl_s(now_mono) < 0


def test_its_size_counts_body_head_key_variant_and_bookkeeping() -> None:
    fields = ((b"A", b"bc"),)
    bare = entry(b"key", size=100)
    assert bare.size_bytes() == 100 + len(b"key") + ENTRY_OVERHEAD_BYTES
    assert entry(b"key", size=100, fields=fields).size_bytes() == (
        bare.size_bytes() + len(b"A: bc\r\n") + LINE_BYTES
    )
    assert entry(b"key", (b"de", None), size=100).size_bytes() == bare.size_bytes() + 2
