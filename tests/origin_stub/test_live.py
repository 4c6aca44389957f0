from __future__ import annotations

from origin_stub.live import LiveChannel
from tests.origin_stub.conftest import MovableClock


def test_the_playlist_slides_with_the_clock(clock: MovableClock) -> None:
    channel = LiveChannel(2.0, 1000, clock)
    newest = channel.newest()
    before = channel.playlist()
    clock.now += 2
    assert channel.newest() == newest + 1
    assert f"segment-{newest}.ts" in before
    assert f"segment-{newest + 1}.ts" not in before
    assert f"segment-{newest + 1}.ts" in channel.playlist()
    assert f"#EXT-X-MEDIA-SEQUENCE:{newest - 4}\n" in channel.playlist()


def test_a_segment_exists_from_its_end_until_it_is_long_past(clock: MovableClock) -> None:
    channel = LiveChannel(2.0, 1000, clock)
    coming = channel.newest() + 1
    assert not channel.has_segment(coming)
    clock.now = channel.appears_at(coming)
    assert channel.has_segment(coming)
    clock.now += 1000
    assert not channel.has_segment(coming)


def test_the_playlist_is_fresh_for_half_a_segment_and_at_least_a_second(clock: MovableClock) -> None:
    assert LiveChannel(2.0, 1000, clock).playlist_lifetime_s == 1
    assert LiveChannel(0.5, 1000, clock).playlist_lifetime_s == 1
    assert LiveChannel(10.0, 1000, clock).playlist_lifetime_s == 5
