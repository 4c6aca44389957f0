"""The table of flights: which forward request a new exchange joins, if any.

Looking up and joining are one synchronous step: with an `await` between them two exchanges would both
find nothing and both ask the origin.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from proxy.cache.cache import ResponseCache
from proxy.coalesce.flight import Flight, State
from proxy.coalesce.outcomes import Ending
from proxy.coalesce.plan import FlightPlan
from proxy.policy.keys import CacheKey, Variant

Place = tuple[CacheKey, Variant]


@dataclass(frozen=True, slots=True)
class FlightStatistics:
    """Counters since the start, and the present state.

    `started` counts every flight: coalesced, alone and background; `endings` those that are over.
    `seats` includes the leaders, `waiters` does not. `shareable_fetches` counts flights whose answer's head
    allowed sharing, revalidations included; those that are running too, and without those that the owner of
    the key answered.
    `oldest_s` is the age of the oldest flight whose head has not come: a hung origin raises no error
    rate, it raises this.
    """

    running: int
    started: int
    background: int
    endings: dict[Ending, int]
    seats: int
    waiters: int
    waiters_served: int
    shareable_fetches: int
    oldest_s: float


class Flights:
    """Flights in progress: those that may be joined, by place, and all of them."""

    def __init__(self, *, cache: ResponseCache) -> None:
        self._cache = cache
        self._joinable: dict[Place, Flight] = {}
        self._places: dict[Flight, Place] = {}
        self._running: dict[Flight, None] = {}  # ordered by start
        self._started = self._background = self._waiters_served = self._shareable_fetches = 0
        self._endings: Counter[Ending] = Counter()

    def __repr__(self) -> str:
        return f"<Flights {len(self._running)} running, {len(self._joinable)} to join>"

    def statistics(self) -> FlightStatistics:
        """Counters since the start, and the present state."""
        now_mono = self._cache.clock.mono()
        asking = (flight for flight in self._running if flight.state is State.ASKING)
        oldest = next(asking, None)
        return FlightStatistics(
            running=len(self._running),
            started=self._started,
            background=self._background,
            endings=dict(self._endings),
            seats=sum(flight.seats for flight in self._running),
            waiters=sum(flight.waiters for flight in self._running),
            waiters_served=self._waiters_served + sum(flight.waiters_served for flight in self._running),
            shareable_fetches=self._shareable_fetches
            + sum(flight.shareable_fetch for flight in self._running),
            oldest_s=0.0 if oldest is None else now_mono - oldest.started_mono,
        )

    def find(self, key: CacheKey, variant: Variant) -> Flight | None:
        """The flight to join at this place, whatever its state; ask it whether it accepts."""
        return self._joinable.get((key, variant))

    def start(self, plan: FlightPlan, *, joinable: bool) -> Flight:
        """A new flight. A joinable one takes the place of any other: that one serves those it has."""
        flight = Flight(plan, cache=self._cache, table=self)
        self._running[flight] = None
        self._started += 1
        self._background += plan.background
        if joinable:
            self._put(flight, (plan.key, plan.variant))
        flight.start()
        return flight

    def move(self, flight: Flight) -> None:
        """The head told what answers vary on: the flight is found at its own place from now on."""
        place = (flight.key, flight.variant)
        if self._places.get(flight, place) == place:
            return
        self._drop_place(flight)
        if place not in self._joinable:
            self._put(flight, place)

    def remove(self, flight: Flight) -> None:
        """Nobody may join it any more; only if it is still that flight."""
        self._drop_place(flight)
        if flight.state is State.OVER and self._running.pop(flight, flight) is None:
            self._waiters_served += flight.waiters_served
            self._shareable_fetches += flight.shareable_fetch
            if flight.ending is not None:
                self._endings[flight.ending] += 1

    def cancel_all(self) -> None:
        """The end of the process: stop every flight."""
        for flight in list(self._running):
            flight.cancel()

    def _put(self, flight: Flight, place: Place) -> None:
        replaced = self._joinable.get(place)
        if replaced is not None:
            self._places.pop(replaced, None)
        self._joinable[place] = flight
        self._places[flight] = place

    def _drop_place(self, flight: Flight) -> None:
        place = self._places.pop(flight, None)
        if place is not None and self._joinable.get(place) is flight:
            del self._joinable[place]
