"""The events of this process, the last ones of them."""

from __future__ import annotations

from proxy.writes.event_ring import RING_EVENTS, EventRing
from proxy.writes.events import CommitEvent, LoggedEvent


class MemoryLog(EventRing):
    """An EventLog that keeps the last events of this process.

    Positions begin at the microseconds since 1970, so that a later process begins above all that this one
    gives: a reader that comes back after a restart is told that something is missing, and nothing twice.
    """

    def __init__(self, *, ring_events: int = RING_EVENTS) -> None:
        super().__init__(ring_events=ring_events)
        self._ring_events = ring_events
        self._last = 0

    def begin_at(self, now: float, *, shards: int) -> int:
        """There are events from now on; the position that they begin behind. `now` is in Unix seconds."""
        self._last = int(now * 1_000_000)
        self.begin(shards, self._last, dict.fromkeys(range(shards), self._last))
        return self._last

    def append(self, event: CommitEvent) -> None:
        """The next event of its shard."""
        self._last += 1
        if len(self._ring) == self._ring_events:
            dropped = self._ring[0]
            self._floors[dropped.event.shard] = dropped.position
        self.publish((LoggedEvent(self._last, event),))
