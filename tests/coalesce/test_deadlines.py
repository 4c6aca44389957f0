from __future__ import annotations

import asyncio

from proxy.coalesce.deadlines import Deadlines
from proxy.coalesce.outcomes import Failed, Role, TimedOut
from proxy.coalesce.seat import Seat
from proxy.errors import FlightFailed
from tests.coalesce.bench import Bench, virtually


def _seats(bench: Bench, count: int) -> list[Seat]:
    flight = bench.start()
    return [flight.take_seat(Role.WAITER, bench.ask().request) for _ in range(count)]


async def _settled_after(bench: Bench, deadlines: Deadlines, waits_s: list[float]) -> list[float]:
    """Seconds until each seat was settled, in the order of the waits given."""
    began = bench.clock.mono()
    seats = _seats(bench, len(waits_s))
    for seat, wait_s in zip(seats, waits_s, strict=True):
        deadlines.add(began + wait_s, seat)

    async def settled(seat: Seat) -> float:
        assert isinstance(await seat.wait_outcome(), TimedOut)
        return round(bench.clock.mono() - began, 3)

    return list(await asyncio.gather(*map(settled, seats)))


@virtually
async def test_each_seat_is_settled_at_its_own_deadline_whatever_the_order_of_joining() -> None:
    bench = Bench()
    bench.answers(delay_s=50.0)
    deadlines = Deadlines(bench.clock)
    assert await _settled_after(bench, deadlines, [3.0, 1.0, 2.0, 1.0]) == [3.0, 1.0, 2.0, 1.0]
    bench.flights.cancel_all()


@virtually
async def test_a_deadline_that_is_past_passes_at_once() -> None:
    bench = Bench()
    bench.answers(delay_s=50.0)
    assert await _settled_after(bench, Deadlines(bench.clock), [5.0, -1.0]) == [5.0, 0.0]
    bench.flights.cancel_all()


@virtually
async def test_who_has_an_outcome_is_left_alone() -> None:
    bench = Bench()
    bench.answers(delay_s=50.0)
    deadlines = Deadlines(bench.clock)
    (seat,) = _seats(bench, 1)
    deadlines.add(bench.clock.mono() + 1.0, seat)
    seat.settle(Failed(FlightFailed("it failed")))
    await asyncio.sleep(2.0)
    assert isinstance(seat.outcome, Failed)
    bench.flights.cancel_all()


@virtually
async def test_cleared_deadlines_pass_never() -> None:
    bench = Bench()
    bench.answers(delay_s=50.0)
    deadlines = Deadlines(bench.clock)
    (seat,) = _seats(bench, 1)
    deadlines.add(bench.clock.mono() + 1.0, seat)
    deadlines.clear()
    await asyncio.sleep(2.0)
    assert not seat.settled
    bench.flights.cancel_all()
