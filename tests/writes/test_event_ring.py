"""Following what a ring holds, and being told what it holds no more."""

from __future__ import annotations

import asyncio

import pytest

from proxy.writes.event_ring import EventRing
from proxy.writes.events import Gap, LoggedEvent
from tests.writes.backends import event_of, take
from tests.writes.making import make_write


def logged(position: int, shard: int = 0) -> LoggedEvent:
    return LoggedEvent(position, event_of(make_write(shard=shard)))


@pytest.fixture
def ring() -> EventRing:
    ring = EventRing(ring_events=4)
    ring.begin(2, 100, {0: 100, 1: 100})
    return ring


async def test_events_come_in_their_order_to_all_who_follow(ring: EventRing) -> None:
    followers = [ring.follow(None) for _ in range(3)]
    news = [asyncio.ensure_future(take(follower, 2)) for follower in followers]
    await asyncio.sleep(0)
    assert ring.followers == 3
    events = [logged(101), logged(102, shard=1)]
    ring.publish(events)
    assert [await one for one in news] == [events] * 3
    assert ring.ends() == {0: 101, 1: 102}


async def test_who_asks_for_all_gets_what_the_ring_holds_and_then_what_comes(ring: EventRing) -> None:
    first, second = [logged(101), logged(102)], [logged(103)]
    ring.publish(first)
    follower = ring.follow({})
    assert await take(follower, 2) == first
    ring.publish(second)
    assert await take(follower, 1) == second


async def test_who_was_there_last_goes_on_from_there(ring: EventRing) -> None:
    events = [logged(101), logged(102, shard=1), logged(103)]
    ring.publish(events)
    assert await take(ring.follow({0: 101, 1: 100}), 2) == events[1:]


async def test_a_reader_from_before_a_floor_or_from_a_position_never_given_is_told(ring: EventRing) -> None:
    ring.publish([logged(101)])
    ring.removed({0: 101})
    assert await take(ring.follow({0: 50, 1: 999}), 2) == [Gap(0, 102), Gap(1, 101)]


async def test_a_reader_that_fell_behind_is_told_by_the_floor_and_goes_on(ring: EventRing) -> None:
    follower = ring.follow({0: 100, 1: 100})
    begun = asyncio.ensure_future(take(follower, 1))
    await asyncio.sleep(0)
    events = [logged(101 + n) for n in range(10)]
    ring.publish(events[:1])
    assert await begun == events[:1]
    ring.publish(events[1:])
    ring.removed({0: 106})
    assert await take(follower, 5) == [Gap(0, 107), *events[6:]]


async def test_all_who_follow_end_when_it_is_closed(ring: EventRing) -> None:
    ending = [asyncio.ensure_future(anext(ring.follow(None), None)) for _ in range(2)]
    await asyncio.sleep(0)
    ring.close()
    assert await asyncio.gather(*ending) == [None, None]
    assert ring.followers == 0
