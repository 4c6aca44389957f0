from __future__ import annotations

from proxy.cache.disk.place import place_of
from proxy.cache.purge_count import PurgeCount


def test_what_is_in_both_tiers_counts_once_whichever_is_found_first() -> None:
    count = PurgeCount(both=True)
    count.found(b"a", ())
    count.found_at(place_of(b"a", ()))
    count.found_at(place_of(b"b", ()))
    count.found(b"b", ())
    assert count.entries == 2


def test_variants_count_each() -> None:
    count = PurgeCount(both=True)
    for variant in ((b"de",), (b"fr",), (None,)):
        count.found(b"a", variant)
    assert count.entries == 3


def test_without_a_disk_nothing_is_remembered() -> None:
    count = PurgeCount(both=False)
    count.found(b"a", ())
    count.found(b"b", ())
    assert count.entries == 2
