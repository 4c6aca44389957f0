from __future__ import annotations

import asyncio

import pytest

from proxy.coalesce.outcomes import Failed, Role, Stream
from proxy.errors import FlightFailed
from tests.coalesce.bench import Bench, virtually

FRESH = (b"Cache-Control", b"max-age=60")
FAILED = Failed(FlightFailed("it failed"))


@virtually
async def test_a_seat_is_settled_once() -> None:
    bench = Bench()
    seat = bench.start().take_seat(Role.LEADER, bench.ask().request)
    seat.settle(FAILED)
    with pytest.raises(AssertionError):
        seat.settle(FAILED)
    assert await seat.wait_outcome() is FAILED
    bench.flights.cancel_all()


@virtually
async def test_whoever_has_a_stream_may_stand_at_the_beginning_of_the_body() -> None:
    bench = Bench()
    bench.answers(FRESH, body=b"abc")
    seat = bench.start().take_seat(Role.LEADER, bench.ask().request)
    seat.take_place()
    assert seat.reader is None
    assert isinstance(await seat.wait_outcome(), Stream)
    seat.take_place()
    assert seat.reader is not None
    assert await seat.reader.read() == b"abc"


@virtually
async def test_everybody_stands_there_before_any_of_it_is_dropped() -> None:
    bench = Bench()
    bench.answers((b"Cache-Control", b"private"), body=b"abc")
    seat = bench.start().take_seat(Role.LEADER, bench.ask().request)
    await seat.wait_outcome()
    await asyncio.sleep(1.0)
    assert seat.reader is not None
    assert await seat.reader.read() == b"abc"


@virtually
async def test_who_is_parked_is_told_in_the_next_turn_of_the_loop() -> None:
    bench = Bench()
    seat = bench.start().take_seat(Role.LEADER, bench.ask().request)
    told: list[bool] = []
    seat.on_settled = lambda: told.append(True)
    seat.settle(FAILED)
    assert told == []
    await asyncio.sleep(0)
    assert told == [True]
    bench.flights.cancel_all()


@virtually
async def test_leaving_twice_is_leaving_once() -> None:
    bench = Bench()
    flight = bench.start()
    one, other = (flight.take_seat(role, bench.ask().request) for role in (Role.LEADER, Role.WAITER))
    one.leave()
    one.leave()
    assert flight.seats == 1
    other.leave()
    assert flight.seats == 0
