from __future__ import annotations

import asyncio

from proxy.coalesce.outcomes import Ending, Role
from tests.coalesce.bench import KEY, Bench, virtually

FRESH = (b"Cache-Control", b"max-age=60")


@virtually
async def test_a_joinable_flight_is_found_at_its_place_until_it_is_over() -> None:
    bench = Bench()
    bench.answers(FRESH)
    flight = bench.start()
    flight.take_seat(Role.LEADER, bench.ask().request)
    assert bench.flights.find(KEY, ()) is flight
    assert bench.flights.find(KEY, (b"de",)) is None
    await asyncio.sleep(1.0)
    assert bench.flights.find(KEY, ()) is None
    assert bench.flights.statistics().endings == {Ending.SHARED: 1}


@virtually
async def test_one_that_is_alone_is_found_by_nobody() -> None:
    bench = Bench()
    bench.start(joinable=False)
    assert bench.flights.find(KEY, ()) is None
    assert bench.flights.statistics().running == 1
    bench.flights.cancel_all()


@virtually
async def test_an_older_flight_never_takes_a_younger_one_out_of_the_table() -> None:
    bench = Bench()
    bench.answers(FRESH, delay_s=0.1)
    bench.answers(FRESH, delay_s=1.0)
    older = bench.start()
    older.take_seat(Role.LEADER, bench.ask().request)
    await asyncio.sleep(0.01)
    younger = bench.start()
    younger.take_seat(Role.LEADER, bench.ask().request)
    await asyncio.sleep(0.5)
    assert bench.flights.statistics().running == 1
    assert bench.flights.find(KEY, ()) is younger
    bench.flights.cancel_all()


@virtually
async def test_a_flight_moves_to_the_variant_that_its_head_tells() -> None:
    bench = Bench()
    bench.answers(FRESH, (b"Vary", b"X-Lang"), pause_s=1.0)
    flight = bench.start((b"X-Lang", b"de"))
    flight.take_seat(Role.LEADER, bench.ask().request)
    await asyncio.sleep(0.5)
    assert bench.flights.find(KEY, ()) is None
    assert bench.flights.find(KEY, (b"de",)) is flight


@virtually
async def test_it_does_not_move_where_another_one_is() -> None:
    bench = Bench()
    bench.answers(FRESH, (b"Vary", b"X-Lang"), delay_s=0.1, pause_s=1.0)
    bench.answers(FRESH, (b"Vary", b"X-Lang"), delay_s=0.2, pause_s=1.0)
    flights = [bench.start((b"X-Lang", b"de"))]
    flights[0].take_seat(Role.LEADER, bench.ask().request)
    await asyncio.sleep(0.01)
    flights.append(bench.start((b"X-Lang", b"de")))
    flights[1].take_seat(Role.LEADER, bench.ask().request)
    await asyncio.sleep(0.5)
    assert bench.flights.find(KEY, (b"de",)) is flights[1]
    bench.flights.cancel_all()


@virtually
async def test_the_end_of_the_process_stops_every_flight() -> None:
    bench = Bench()
    bench.answers(FRESH, delay_s=50.0)
    for joinable in (True, False):
        bench.start(joinable=joinable).take_seat(Role.LEADER, bench.ask().request)
    bench.flights.cancel_all()
    await asyncio.sleep(0.01)
    statistics = bench.flights.statistics()
    assert (statistics.running, statistics.started) == (0, 2)
    assert statistics.endings == {Ending.ABANDONED: 2}


@virtually
async def test_the_age_of_the_oldest_counts_those_without_a_head_only() -> None:
    bench = Bench()
    bench.answers(FRESH, delay_s=0.1, pause_s=10.0)
    bench.answers(FRESH, delay_s=50.0)
    bench.start(joinable=False).take_seat(Role.ALONE, bench.ask().request)
    await asyncio.sleep(2.0)
    assert bench.flights.statistics().oldest_s == 0.0
    bench.start(joinable=False).take_seat(Role.ALONE, bench.ask().request)
    await asyncio.sleep(3.0)
    assert round(bench.flights.statistics().oldest_s, 2) == 3.0
    bench.flights.cancel_all()
