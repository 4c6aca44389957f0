from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.coalesce.refreshing import Refreshing, due_age_s
from proxy.config.settings import RouteCacheSettings
from tests.cache.stored import entry
from tests.origin.manual_clock import ManualClock

CACHE = RouteCacheSettings(refresh_ahead=0.5, refresh_ahead_uses=2)


@given(st.floats(0.1, 1e6), st.floats(0.01, 0.9), st.floats(0, 1))
def test_it_is_due_in_the_last_part_of_the_lifetime_and_before_its_end(
    lifetime_s: float, fraction: float, share: float
) -> None:
    due_s = due_age_s(lifetime_s, fraction=fraction, share=share)
    assert lifetime_s * (1 - fraction) * 0.999 <= due_s < lifetime_s


def test_entries_that_were_stored_together_are_due_at_different_times() -> None:
    clock, shares = ManualClock(), iter([0.0, 1.0])
    refreshing = Refreshing(clock=clock, limit=10, random_share=lambda: next(shares))
    one, other = entry(b"one", lifetime_s=60), entry(b"other", lifetime_s=60)
    clock.advance(31)
    for _ in range(2):
        due = [refreshing.is_due(one, CACHE), refreshing.is_due(other, CACHE)]
    assert due == [True, False]
    clock.advance(15)
    assert refreshing.is_due(other, CACHE)


def test_without_room_nothing_is_due() -> None:
    clock = ManualClock()
    refreshing = Refreshing(clock=clock, limit=0, random_share=lambda: 0.0)
    one = entry(lifetime_s=60)
    clock.advance(59)
    assert not any(refreshing.is_due(one, CACHE) for _ in range(5))
