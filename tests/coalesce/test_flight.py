from __future__ import annotations

import asyncio
import logging
from unittest.mock import patch

import pytest

from proxy.coalesce import flight as flight_module
from proxy.coalesce.flight import Flight, State
from proxy.coalesce.outcomes import Ending, Failed, Regroup, Released, Role, Stream
from proxy.coalesce.seat import Seat
from proxy.errors import FlightFailed, OriginBodyCut, OriginProtocolError, OriginUnreachable
from proxy.http.fields import Pair
from proxy.origin.port import Framing
from proxy.policy.sharing import Reason
from tests.coalesce.bench import KEY, Bench, request, virtually

FRESH = (b"Cache-Control", b"max-age=60")
PRIVATE = (b"Cache-Control", b"private")
COOKIE = (b"Cookie", b"a=b")
MODIFIED = (b"Last-Modified", b"Tue, 01 Jan 2019 00:00:00 GMT")


def _joined(flight: Flight, *fields: Pair) -> Seat:
    return flight.take_seat(Role.WAITER, request(*fields))


def _led(bench: Bench, *fields: Pair) -> tuple[Flight, Seat]:
    flight = bench.start(*fields)
    return flight, flight.take_seat(Role.LEADER, request(*fields))


def _stored(bench: Bench) -> bool:
    return bench.cache.statistics().entries == 1


# the table of endings


@virtually
async def test_a_shareable_answer_streams_to_everybody_and_is_stored() -> None:
    bench = Bench()
    bench.answers(FRESH)
    flight, leader = _led(bench)
    waiter = _joined(flight)
    assert isinstance(await leader.wait_outcome(), Stream)
    assert isinstance(await waiter.wait_outcome(), Stream)
    await asyncio.sleep(1.0)
    assert (flight.ending, flight.state, _stored(bench)) == (Ending.SHARED, State.OVER, True)


@virtually
async def test_another_variant_is_sent_back_to_look_again() -> None:
    bench = Bench()
    bench.answers(FRESH, (b"Vary", b"X-Lang"))
    flight, leader = _led(bench, (b"X-Lang", b"de"))
    alike, other = _joined(flight, (b"X-Lang", b"de")), _joined(flight, (b"X-Lang", b"nl"))
    assert isinstance(await leader.wait_outcome(), Stream)
    assert isinstance(await alike.wait_outcome(), Stream)
    assert await other.wait_outcome() == Regroup()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((PRIVATE,), Reason.PRIVATE),
        (((b"Cache-Control", b"no-store"),), Reason.NO_STORE),
        ((FRESH, (b"Set-Cookie", b"a=b")), Reason.SET_COOKIE),
        ((FRESH, (b"Vary", b"*")), Reason.VARY_STAR),
        ((), Reason.NO_FRESHNESS),
    ],
)
def test_what_is_not_for_sharing_releases_the_waiters_and_marks_the_key(
    fields: tuple[Pair, ...], reason: Reason
) -> None:
    @virtually
    async def play() -> None:
        bench = Bench()
        bench.answers(*fields)
        flight, leader = _led(bench)
        waiter = _joined(flight)
        assert isinstance(await leader.wait_outcome(), Stream)
        assert await waiter.wait_outcome() == Released(reason)
        assert bench.cache.keys.not_shareable(KEY, ()) is reason
        await asyncio.sleep(1.0)
        assert (flight.ending, _stored(bench)) == (Ending.NOT_FOR_SHARING, False)

    play()


@virtually
async def test_an_answer_with_a_guessed_lifetime_is_not_for_those_with_cookies() -> None:
    bench = Bench()
    bench.answers(MODIFIED)
    flight, _ = _led(bench)
    plain, with_cookie = _joined(flight), _joined(flight, COOKIE)
    assert isinstance(await plain.wait_outcome(), Stream)
    assert await with_cookie.wait_outcome() == Released(Reason.COOKIE_HEURISTIC)


@virtually
async def test_who_waited_for_a_public_answer_of_lifetime_zero_gets_it_and_nobody_later() -> None:
    bench = Bench()
    bench.answers((b"Cache-Control", b"public, max-age=0"), pause_s=1.0)
    flight, _ = _led(bench)
    assert isinstance(await _joined(flight).wait_outcome(), Stream)
    assert (flight.ending, flight.state) == (Ending.WAITING_ONLY, State.CLOSED)
    assert not flight.accepts(request())


@virtually
async def test_waiters_are_told_the_fact_of_a_failure_and_not_the_answer() -> None:
    bench = Bench()
    bench.answers(status=503)
    flight, leader = _led(bench)
    waiter = _joined(flight)
    outcome = await leader.wait_outcome()
    assert isinstance(outcome, Stream)
    assert outcome.failed
    told = await waiter.wait_outcome()
    assert isinstance(told, Failed)
    assert isinstance(told.error, FlightFailed)
    assert flight.ending is Ending.ORIGIN_FAILED


@pytest.mark.parametrize("status", [400, 401, 403, 406, 413, 416, 431])
def test_an_answer_about_the_leader_sends_the_waiters_to_elect_another(status: int) -> None:
    @virtually
    async def play() -> None:
        bench = Bench()
        bench.answers(status=status)
        flight, leader = _led(bench)
        waiter = _joined(flight)
        assert isinstance(await leader.wait_outcome(), Stream)
        assert await waiter.wait_outcome() == Regroup(reelection=True)
        assert flight.ending is Ending.ABOUT_LEADER

    play()


@virtually
async def test_a_refused_connection_fails_everybody_and_is_remembered() -> None:
    bench = Bench()
    bench.origin.refuse()
    flight, leader = _led(bench)
    waiter = _joined(flight)
    own, told = await leader.wait_outcome(), await waiter.wait_outcome()
    assert isinstance(own, Failed)
    assert isinstance(own.error, OriginUnreachable)
    assert isinstance(told, Failed)
    assert isinstance(told.error, FlightFailed)
    assert bench.cache.keys.unreachable(KEY) is not None
    assert flight.ending is Ending.UNREACHABLE


@virtually
async def test_no_answer_at_all_fails_everybody_and_is_not_remembered() -> None:
    bench = Bench()
    bench.answers(cut_at=-1)
    flight, leader = _led(bench)
    outcome = await leader.wait_outcome()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, OriginProtocolError)
    assert bench.cache.keys.unreachable(KEY) is None
    assert flight.ending is Ending.UNREACHABLE


@pytest.mark.parametrize("framing", [Framing.LENGTH, Framing.CHUNKED])
def test_a_cut_body_breaks_off_for_everybody_and_is_not_stored(framing: Framing) -> None:
    @virtually
    async def play() -> None:
        bench = Bench()
        bench.answers(FRESH, body=b"abcdef", framing=framing, cut_at=3, piece_bytes=3)
        flight, leader = _led(bench)
        waiter = _joined(flight)
        for seat in (leader, waiter):
            await seat.wait_outcome()
            seat.take_place()
            assert seat.reader is not None
            assert await seat.reader.read() == b"abc"
            with pytest.raises(OriginBodyCut):
                await seat.reader.read()
        await asyncio.sleep(0.1)
        assert (flight.ending, _stored(bench)) == (Ending.BODY_CUT, False)

    play()


@virtually
async def test_an_internal_error_loses_no_waiter(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.answers(FRESH)
    flight, leader = _led(bench)
    waiter = _joined(flight)
    with (
        caplog.at_level(logging.CRITICAL, "proxy.coalesce.flight"),
        patch.object(flight_module, "judge", side_effect=ZeroDivisionError),
    ):
        assert isinstance(await leader.wait_outcome(), Failed)
        assert isinstance(await waiter.wait_outcome(), Failed)
    await asyncio.sleep(0.1)
    assert flight.state is State.OVER


# joining later


@virtually
async def test_who_comes_during_the_body_gets_it_from_its_beginning() -> None:
    bench = Bench()
    bench.answers(FRESH, body=b"abcdef", piece_bytes=2, pause_s=1.0)
    flight, _ = _led(bench)
    await asyncio.sleep(1.5)
    assert (flight.state, flight.accepts(request())) == (State.OPEN, True)
    late = _joined(flight)
    assert late.settled
    late.take_place()
    assert late.reader is not None
    assert late.reader.read_nowait() == b"ab"


@pytest.mark.parametrize(
    ("answer", "asks", "wait_s"),
    [
        pytest.param((FRESH, (b"Vary", b"X-Lang")), ((b"X-Lang", b"nl"),), 1.5, id="another-variant"),
        pytest.param((MODIFIED,), (COOKIE,), 1.5, id="with-a-cookie"),
        pytest.param(((b"Cache-Control", b"max-age=1"),), (), 2.5, id="no-longer-fresh"),
        pytest.param((PRIVATE,), (), 1.5, id="not-for-sharing"),
    ],
)
def test_who_comes_during_the_body_and_may_not_have_it_does_not_join(
    answer: tuple[Pair, ...], asks: tuple[Pair, ...], wait_s: float
) -> None:
    @virtually
    async def play() -> None:
        bench = Bench()
        bench.answers(*answer, body=b"abcdef", piece_bytes=2, pause_s=1.0)
        flight, _ = _led(bench)
        await asyncio.sleep(wait_s)
        assert not flight.accepts(request(*asks))

    play()


@virtually
async def test_nobody_joins_what_grew_too_large_to_store() -> None:
    bench = Bench(tier={"max_entry_bytes": 3, "max_bytes": 100})
    bench.answers(FRESH, body=b"abcdef", piece_bytes=2, pause_s=1.0, framing=Framing.CHUNKED)
    flight, _ = _led(bench)
    await asyncio.sleep(1.5)
    assert flight.accepts(request())
    await asyncio.sleep(1.0)
    assert not flight.accepts(request())
    assert not flight.body.keeping


@virtually
async def test_a_body_beyond_the_budget_of_all_fills_is_passed_on_and_not_stored() -> None:
    bench = Bench(tier={"max_fill_bytes": 3})
    bench.answers(FRESH, body=b"abcdef", piece_bytes=2)
    flight, leader = _led(bench)
    await leader.wait_outcome()
    leader.take_place()
    assert leader.reader is not None
    assert [await leader.reader.read() for _ in range(4)] == [b"ab", b"cd", b"ef", b""]
    await asyncio.sleep(0.1)
    assert (flight.ending, _stored(bench), bench.cache.fill_budget.taken_bytes) == (Ending.SHARED, False, 0)


# purges


@virtually
async def test_a_fill_from_before_a_purge_serves_who_asked_before_and_is_not_stored() -> None:
    bench = Bench()
    bench.answers(FRESH)
    flight, leader = _led(bench)
    await asyncio.sleep(0.1)
    bench.cache.purge(KEY)
    assert not flight.accepts(request())
    assert isinstance(await leader.wait_outcome(), Stream)
    await asyncio.sleep(0.1)
    assert not _stored(bench)


@virtually
async def test_who_joined_after_a_purge_that_only_the_head_tells_of_looks_again() -> None:
    bench = Bench()
    bench.answers(FRESH, (b"Surrogate-Key", b"news"))
    flight, _ = _led(bench)
    before = _joined(flight)
    await asyncio.sleep(0.1)
    bench.cache.purge_where(lambda _key, tags: b"news" in tags)
    after = _joined(flight)
    assert isinstance(await before.wait_outcome(), Stream)
    assert await after.wait_outcome() == Regroup()


# departures


@virtually
async def test_the_last_to_leave_stops_the_asking() -> None:
    bench = Bench()
    bench.answers(FRESH, delay_s=50.0)
    flight, leader = _led(bench)
    waiter = _joined(flight)
    await asyncio.sleep(0.1)
    leader.leave()
    assert flight.state is State.ASKING
    waiter.leave()
    assert not flight.accepts(request())
    await asyncio.sleep(0.1)
    assert (flight.ending, bench.origin.outstanding) == (Ending.ABANDONED, 0)


@virtually
async def test_a_flight_left_before_its_first_step_is_over_too() -> None:
    bench = Bench()
    flight, leader = _led(bench)
    leader.leave()
    await asyncio.sleep(0.1)
    assert (flight.state, flight.ending) == (State.OVER, Ending.ABANDONED)
    assert not bench.cache.fences._running


@pytest.mark.parametrize(
    ("fields", "framing", "goes_on"),
    [
        pytest.param((FRESH,), Framing.LENGTH, True, id="little-is-to-come"),
        pytest.param((FRESH,), Framing.CHUNKED, False, id="who-knows-how-much-is-to-come"),
        pytest.param((PRIVATE,), Framing.LENGTH, False, id="it-would-not-be-stored"),
    ],
)
def test_an_abandoned_fill_goes_on_if_that_is_worth_it(
    fields: tuple[Pair, ...], framing: Framing, *, goes_on: bool
) -> None:
    @virtually
    async def play() -> None:
        bench = Bench()
        bench.answers(*fields, body=b"abcdef", piece_bytes=2, pause_s=1.0, framing=framing)
        flight, leader = _led(bench)
        await asyncio.sleep(1.5)
        leader.leave()
        await asyncio.sleep(5.0)
        assert _stored(bench) == goes_on
        assert (flight.ending is Ending.ABANDONED) == (not goes_on)

    play()


@virtually
async def test_an_abandoned_fill_with_much_to_come_is_stopped() -> None:
    bench = Bench(coalesce={"abandoned_fill_max_bytes": 3})
    bench.answers(FRESH, body=b"abcdef", piece_bytes=2, pause_s=1.0)
    flight, leader = _led(bench)
    await asyncio.sleep(1.5)
    leader.leave()
    await asyncio.sleep(5.0)
    assert flight.ending is Ending.ABANDONED


@virtually
async def test_a_flight_in_the_background_needs_nobody() -> None:
    bench = Bench()
    bench.answers(FRESH, body=b"abcdef", piece_bytes=2, pause_s=1.0, framing=Framing.CHUNKED)
    flight = bench.start(background=True)
    _joined(flight).leave()
    await asyncio.sleep(5.0)
    assert (flight.ending, _stored(bench)) == (Ending.SHARED, True)


@pytest.mark.parametrize("joined", [False, True])
def test_a_flight_in_the_background_reads_nothing_that_nobody_takes(*, joined: bool) -> None:
    @virtually
    async def play() -> None:
        bench = Bench()
        events = (b"Content-Type", b"text/event-stream")
        bench.answers(events, body=bytes(100_000), piece_bytes=1, pause_s=1.0, framing=Framing.CHUNKED)
        flight = bench.start(background=True)
        if joined:
            seat = _joined(flight)
            await seat.wait_outcome()
            seat.leave()
        await asyncio.sleep(5.0)
        assert (flight.state, bench.origin.open_answers) == (State.OVER, 0)

    play()


@virtually
async def test_a_flight_that_is_over_has_left_its_fence() -> None:
    bench = Bench()
    bench.answers(FRESH)
    _, leader = _led(bench)
    assert bench.cache.fences._running
    await leader.wait_outcome()
    await asyncio.sleep(0.1)
    assert not bench.cache.fences._running
