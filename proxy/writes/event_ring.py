"""The last events of all shards, in memory, and those who follow them.

    after ──► [what is older] ──► [the ring: as they come] ──► the reader
                    └──◄ a reader that falls behind the ring is served what is older again ◄──┘

Theory of operation. A follower knows, by shard, the last position it gave, and its place in the ring of
recent events. Events reach the ring in the order of their positions; the ring is cut at a number, and whoever
was behind the cut catches up. So a follower holds no buffer of its own, and one that does not read costs
nothing.

A gap is told where positions are missing: removed for age or number (`floor`), between two generations of
positions, or when a reader names a position that was never given. What is older than the ring, and what a
generation is, a backend says; here nothing is older, and there is one generation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Final

from proxy.writes.events import Gap, LoggedEvent, Positions

RING_EVENTS: Final = 4096
"""Kept in memory; at 3,000 events a second a follower may be away for more than a second."""


class EventRing:
    """An EventLog of what it holds; a backend that keeps more derives its own."""

    def __init__(self, *, ring_events: int = RING_EVENTS) -> None:
        self._ring: deque[LoggedEvent] = deque(maxlen=ring_events)
        self.count = 0
        """Of all that ever were in the ring: the place behind its last one."""
        self._ends: dict[int, int] = {}
        self._floors: dict[int, int] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False
        self.followers = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} events={self.count} followers={self.followers} closed={self._closed}>"

    def begin(self, shards: int, position: int, floors: Mapping[int, int]) -> None:
        """From now on there are events; `position` was the last one that was given."""
        self._ends = dict.fromkeys(range(shards), position)
        self._floors.update(floors)

    def publish(self, events: Sequence[LoggedEvent]) -> None:
        """Events, in the order of their positions."""
        for event in events:
            self._ends[event.event.shard] = event.position
        self._ring.extend(events)
        self.count += len(events)
        self._wake()

    def removed(self, floors: Mapping[int, int]) -> None:
        """Of these shards nothing is kept up to these positions."""
        self._floors.update(floors)

    def close(self) -> None:
        """End all followers."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if not self._waiting:
            return
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    # the port

    def ends(self) -> Positions:
        """The last position of each shard."""
        return dict(self._ends)

    async def follow(self, after: Positions | None = None) -> AsyncIterator[LoggedEvent | Gap]:
        """Events after these positions, as they come; see the port."""
        seen = dict(self._ends) if after is None else {shard: after.get(shard, 0) for shard in self._ends}
        place = self.count if after is None else -1
        self.followers += 1
        try:
            while not self._closed:
                if place < self.count - len(self._ring):
                    place, goal = self.count, dict(self._ends)
                    async for found in self._catch_up(seen, goal):
                        yield found
                elif place == self.count:
                    await self._wait_news()
                else:
                    event = self._ring[place - self.count]
                    place += 1
                    for found in self._in_turn(event, seen):
                        yield found
        finally:
            self.followers -= 1

    async def _wait_news(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    async def _catch_up(self, seen: dict[int, int], goal: dict[int, int]) -> AsyncIterator[LoggedEvent | Gap]:
        for shard, floor in self._floors.items():
            if 0 < seen[shard] < floor:
                seen[shard] = floor
                yield Gap(shard, floor + 1)
        async for event in self._kept(seen, goal):
            for found in self._in_turn(event, seen):
                yield found
        for shard, end in goal.items():
            if seen[shard] > end or 0 < seen[shard] < self._first_of_generation(end):
                yield Gap(shard, end + 1)
            seen[shard] = end

    def _in_turn(self, event: LoggedEvent, seen: dict[int, int]) -> Iterator[LoggedEvent | Gap]:
        shard = event.event.shard
        if event.position <= seen[shard]:
            return
        if 0 < seen[shard] < self._first_of_generation(event.position):
            yield Gap(shard, event.position)
        seen[shard] = event.position
        yield event

    # what a backend says

    async def _kept(self, seen: Mapping[int, int], goal: Mapping[int, int]) -> AsyncIterator[LoggedEvent]:
        """What there is from the first event that is missed up to the goal, in order; it may be more."""
        for event in tuple(self._ring):
            if event.position <= goal[event.event.shard]:
                yield event

    def _first_of_generation(self, position: int) -> int:
        """Where the generation of a position begins; of the ones before, some may be missing."""
        return 0
