"""The events of all shards: in the journal as a ring bounded by age and number, the last ones in memory.

Events reach the ring in memory after they are durable. A reader that falls behind it reads the journal again;
a gap is told where events were removed for age or number, and between two generations of positions
(`database.py`), since after an unclean end some may have been followed that were not kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from proxy.writes.embedded.database import GENERATION_SHIFT, Database
from proxy.writes.embedded.records import events_of
from proxy.writes.event_ring import RING_EVENTS, EventRing
from proxy.writes.events import LoggedEvent

_PAGE: Final = 4
"""Rows read at a time; each has the events of one transaction."""

Row = tuple[int, bytes]
ReadPage = Callable[[Callable[[Database], list[Row]]], Awaitable[list[Row]]]


class EmbeddedLog(EventRing):
    """An EventLog over the journal."""

    def __init__(self, read: ReadPage, *, ring_events: int = RING_EVENTS) -> None:
        super().__init__(ring_events=ring_events)
        self._read = read

    async def _kept(self, seen: Mapping[int, int], goal: Mapping[int, int]) -> AsyncIterator[LoggedEvent]:
        """Events in the journal from the first one that is missed; more than those that are."""
        place = min((seen[shard] for shard, end in goal.items() if seen[shard] < end), default=None)
        last = max(goal.values())
        while place is not None and place < last and not self._closed:
            page = await self._read(_page_after(place))
            if not page:
                return
            for _, octets in page:
                for event in events_of(octets):
                    if event.position <= goal[event.event.shard]:
                        yield event
            place = page[-1][0]

    def _first_of_generation(self, position: int) -> int:
        return position >> GENERATION_SHIFT << GENERATION_SHIFT


def _page_after(place: int) -> Callable[[Database], list[Row]]:
    def read(database: Database) -> list[Row]:
        return database.connection.execute(
            "SELECT last, events FROM event WHERE last > ? ORDER BY last LIMIT ?", (place, _PAGE)
        ).fetchall()

    return read
