"""Kept connections: the last one used is the first one taken, so that the rest can grow old and go."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from proxy.clock import Clock
from proxy.origin.balancer import Target
from proxy.origin.connection import OriginConnection

FRESH_IDLE_S = 1.0
"""A request that must not be sent twice takes a kept connection only if it was idle for less: an origin
that closes idle connections does so after seconds, and the race would lose the request (DESIGN, trap 1)."""


class ConnectionPool:
    """Idle connections over all targets of an origin, bounded in number and in age."""

    __slots__ = ("_clock", "_closed", "_idle_timeout_s", "_max_idle", "_oldest_first", "_timer")

    def __init__(self, *, max_idle: int, idle_timeout_s: float, clock: Clock) -> None:
        self._max_idle = max_idle
        self._idle_timeout_s = idle_timeout_s
        self._clock = clock
        self._oldest_first: OrderedDict[OriginConnection, None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._oldest_first)

    def take(self, target: Target, *, fresh_only: bool) -> OriginConnection | None:
        """A connection on which nothing has come since it was put here; None if there is none.

        `fresh_only` takes one that was idle for less than FRESH_IDLE_S.
        """
        now = self._clock.mono()
        while target.idle:
            connection = target.idle[-1]
            age_s = now - connection.idle_since
            if fresh_only and age_s >= FRESH_IDLE_S:
                return None  # the others are older still
            target.idle.pop()
            del self._oldest_first[connection]
            if age_s <= self._idle_timeout_s and connection.silent():
                return connection
            connection.drop()
        return None

    def put(self, connection: OriginConnection) -> None:
        """Keep it, and close the oldest where that is one too many."""
        if self._closed or self._max_idle == 0 or connection.closing:
            connection.drop()
            return
        connection.reused = True
        connection.idle_since = self._clock.mono()
        self._oldest_first[connection] = None
        connection.target.idle.append(connection)
        if len(self._oldest_first) > self._max_idle:
            self._close_oldest()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._idle_timeout_s, self._close_aged)

    def forget(self, connection: OriginConnection) -> None:
        """It was closed while it was idle, by either side."""
        if connection in self._oldest_first:
            del self._oldest_first[connection]
            connection.target.idle.remove(connection)

    def close_target(self, target: Target) -> None:
        """Close what is kept to a target that is left out or gone."""
        while target.idle:
            connection = target.idle.pop()
            del self._oldest_first[connection]
            connection.drop()

    def close(self) -> None:
        """Close all, and keep none from now on."""
        self._closed = True
        while self._oldest_first:
            self._close_oldest()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_oldest(self) -> None:
        connection, _ = self._oldest_first.popitem(last=False)
        oldest = connection.target.idle.popleft()
        assert oldest is connection, "each target's connections are in the order of all"
        connection.drop()

    def _close_aged(self) -> None:
        self._timer = None
        now = self._clock.mono()
        while self._oldest_first:
            connection = next(iter(self._oldest_first))
            left_s = connection.idle_since + self._idle_timeout_s - now
            if left_s > 0:
                # At least a tick, where the injected clock stands still.
                self._timer = asyncio.get_running_loop().call_later(max(left_s, 0.05), self._close_aged)
                return
            self._close_oldest()
