"""Refreshing ahead: what is popular is validated shortly before it expires, so that no herd meets it stale.

There is no timer for each key: a hit is the occasion, and what nobody asks for expires in peace. Each entry
draws the age at which it is due once, spread over the last part of its lifetime: entries that were stored
together, at a start or after a purge, are not refreshed together. A refresh is tried once for each entry:
one that fails leaves the entry to expire, and the origin alone.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.cache.entry import Entry
from proxy.clock import Clock
from proxy.coalesce.flight import Flight, State
from proxy.config.settings import RouteCacheSettings


class Refreshing:
    """Which entries are due, and the flights that refresh: at most `limit` at a time, one for each key.

    `random_share` gives numbers from 0 to 1.
    """

    def __init__(self, *, clock: Clock, limit: int, random_share: Callable[[], float]) -> None:
        self.refreshed = 0
        """Flights started."""
        self._clock = clock
        self._limit = limit
        self._random_share = random_share
        self._flights: list[Flight] = []

    def __repr__(self) -> str:
        return f"<Refreshing {len(self._flights)}/{self._limit}>"

    def is_due(self, entry: Entry, cache: RouteCacheSettings) -> bool:
        """Count a hit; whether this one is the occasion to refresh the entry."""
        entry.uses += 1
        if entry.uses < cache.refresh_ahead_uses:
            return False
        if entry.refresh_age_s is None:
            entry.refresh_age_s = due_age_s(
                entry.terms.lifetime_s, fraction=cache.refresh_ahead, share=self._random_share()
            )
        return entry.current_age_s(self._clock.mono()) >= entry.refresh_age_s and self._has_room()

    def started(self, entry: Entry, flight: Flight) -> None:
        """The entry is being refreshed."""
        entry.refresh_age_s = float("inf")
        self._flights.append(flight)
        self.refreshed += 1

    def _has_room(self) -> bool:
        if len(self._flights) >= self._limit:
            self._flights = [flight for flight in self._flights if flight.state is not State.OVER]
        return len(self._flights) < self._limit


def due_age_s(lifetime_s: float, *, fraction: float, share: float) -> float:
    """The age at which an entry is due: spread by `share`, 0 to 1, over the last `fraction` of its lifetime.

    The latest is half of that part before the end, so that there is time to ask.
    """
    return lifetime_s * (1.0 - fraction * (1.0 - share / 2))
