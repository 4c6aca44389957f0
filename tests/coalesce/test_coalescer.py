"""What one client after another gets; whole schedules of them are in `tests/simulation`."""

from __future__ import annotations

import asyncio

import pytest

from proxy.coalesce.answer import Answer, Outcome, PassThrough
from proxy.coalesce.outcomes import Role
from proxy.errors import FlightFailed, NotStored, OriginError, RefusedError, WaitTimedOut
from proxy.http.fields import Pair
from proxy.policy.cache_status import ForwardReason
from tests.coalesce.bench import KEY, TARGET, Bench, body_of, virtually

FRESH = (b"Cache-Control", b"max-age=10")
LIVE = (b"Cache-Control", b"max-age=10, stale-while-revalidate=5")
PRIVATE = (b"Cache-Control", b"private")
ETAG = (b"ETag", b'"1"')
NO_CACHE = (b"Cache-Control", b"no-cache")
COOKIE = (b"Cookie", b"a=b")
AUTHORIZATION = (b"Authorization", b"Basic YTpi")
MODIFIED = (b"Last-Modified", b"Tue, 01 Jan 2019 00:00:00 GMT")


def _asked(bench: Bench) -> int:
    return bench.origin.asked[TARGET]


@virtually
async def test_a_herd_is_one_forward_request_and_later_clients_hit() -> None:
    bench = Bench()
    bench.answers(FRESH)
    answers = [await task for task in [bench.asked() for _ in range(5)]]
    assert [answer.outcome for answer in answers] == [Outcome.MISS, *[Outcome.COLLAPSED] * 4]
    assert {await body_of(answer) for answer in answers} == {b"body"}
    hit = await bench.answered()
    assert (hit.outcome, _asked(bench)) == (Outcome.HIT, 1)


@virtually
async def test_an_answer_says_how_it_came_about() -> None:
    bench = Bench()
    bench.answers(FRESH)
    led, waited = bench.asked(), bench.asked()
    one, other = await led, await waited
    assert isinstance(one, Answer)
    assert isinstance(other, Answer)
    assert (one.role, one.collapsed, one.stored, one.forward) == (
        Role.LEADER,
        None,
        True,
        ForwardReason.URI_MISS,
    )
    assert (other.role, other.collapsed, other.stored) == (Role.WAITER, True, False)
    assert other.wait_s == pytest.approx(0.2, abs=0.01)
    assert one.age_s == other.age_s == pytest.approx(0.2, abs=0.01)
    await body_of(one)
    await body_of(other)
    await asyncio.sleep(2.0)
    hit = await bench.answered()
    assert (hit.age_s, hit.ttl_s) == (pytest.approx(2.2, abs=0.01), pytest.approx(7.8, abs=0.01))


@virtually
async def test_coalescing_may_be_switched_off() -> None:
    bench = Bench(coalesce={"enabled": False})
    bench.answers(FRESH)
    answers = [await task for task in [bench.asked() for _ in range(3)]]
    assert _asked(bench) == 3
    for answer in answers:
        await body_of(answer)


@virtually
async def test_stale_within_grace_is_served_and_one_flight_revalidates_behind_it() -> None:
    bench = Bench()
    bench.answers(LIVE, ETAG)
    bench.answers(LIVE, ETAG, status=304)
    await body_of(await bench.answered())
    await asyncio.sleep(12.0)
    stale = [await bench.answered() for _ in range(3)]
    assert {answer.outcome for answer in stale} == {Outcome.STALE}
    await asyncio.sleep(1.0)
    assert (await bench.answered()).outcome is Outcome.HIT
    assert _asked(bench) == 2
    assert bench.origin.plan.asked[1].fields.get(b"if-none-match") == b'"1"'


@virtually
async def test_a_head_request_revalidates_behind_with_get() -> None:
    bench = Bench()
    bench.answers(LIVE)
    await body_of(await bench.answered())
    await asyncio.sleep(12.0)
    await bench.answered(method="HEAD")
    await asyncio.sleep(1.0)
    assert [asked.method for asked in bench.origin.plan.asked] == ["GET", "GET"]
    assert (await bench.answered()).outcome is Outcome.HIT


@virtually
async def test_a_304_that_forbids_sharing_leaves_nothing_to_share() -> None:
    bench = Bench()
    bench.answers(FRESH, ETAG)
    bench.answers(PRIVATE, ETAG, status=304)
    await body_of(await bench.answered())
    await asyncio.sleep(12.0)
    assert await body_of(await bench.answered()) == b"body"
    assert bench.cache.statistics().entries == 0


@virtually
async def test_a_304_for_something_else_is_asked_again_without_condition() -> None:
    bench = Bench()
    bench.answers(FRESH, ETAG)
    bench.answers((b"ETag", b'"2"'), status=304)
    bench.answers(FRESH, body=b"new")
    await body_of(await bench.answered())
    await asyncio.sleep(12.0)
    assert await body_of(await bench.answered()) == b"new"
    assert b"if-none-match" not in bench.origin.plan.asked[2].fields


@virtually
async def test_what_is_not_for_sharing_is_asked_for_by_each_in_parallel() -> None:
    bench = Bench()
    bench.answers(PRIVATE)
    tasks = [bench.asked() for _ in range(5)]
    began = bench.clock.mono()
    answers = [await task for task in tasks]
    assert bench.clock.mono() - began == pytest.approx(0.4, abs=0.01)
    outcomes = [answer.outcome for answer in answers]
    assert outcomes == [Outcome.MISS, *[Outcome.RELEASED] * 4]
    for answer in answers:
        await body_of(answer)
    passed = await bench.answered()
    assert passed.outcome is Outcome.PASSED


@virtually
async def test_a_shareable_head_lets_the_next_ones_wait_again() -> None:
    bench = Bench()
    bench.answers(PRIVATE)
    bench.answers(FRESH, body=b"abcdef", piece_bytes=1, pause_s=1.0)
    await body_of(await bench.answered())
    alone = bench.asked()
    await asyncio.sleep(1.0)
    herd = [bench.asked() for _ in range(3)]
    for task in (alone, *herd):
        await body_of(await task)
    assert _asked(bench) == 3


@virtually
async def test_a_new_leader_is_elected_once() -> None:
    bench = Bench()
    bench.answers(status=401)
    bench.answers(FRESH)
    answers = [await task for task in [bench.asked() for _ in range(4)]]
    assert [answer.head.status for answer in answers if isinstance(answer, Answer)] == [401, 200, 200, 200]
    assert _asked(bench) == 2
    for answer in answers:
        await body_of(answer)


@pytest.mark.parametrize(
    ("fields", "asks", "asked"),
    [
        pytest.param((MODIFIED,), COOKIE, 2, id="a-cookie-and-a-guess"),
        pytest.param((FRESH,), COOKIE, 1, id="a-cookie-and-a-lifetime"),
        pytest.param((FRESH,), AUTHORIZATION, 2, id="authorization"),
        pytest.param(
            ((b"Cache-Control", b"s-maxage=10"),), AUTHORIZATION, 1, id="authorization-and-s-maxage"
        ),
    ],
)
def test_credentials_hit_what_allows_them(fields: tuple[Pair, ...], asks: Pair, asked: int) -> None:
    @virtually
    async def play() -> None:
        bench = Bench()
        bench.answers(*fields)
        await body_of(await bench.answered())
        await body_of(await bench.answered(asks))
        assert _asked(bench) == asked

    play()


@virtually
async def test_authorization_neither_leads_nor_joins() -> None:
    bench = Bench()
    bench.answers(FRESH)
    tasks = [bench.asked(AUTHORIZATION) for _ in range(2)] + [bench.asked() for _ in range(2)]
    for task in tasks:
        await body_of(await task)
    assert _asked(bench) == 3


@virtually
async def test_no_cache_waits_for_a_flight_that_starts_after_it_came() -> None:
    bench = Bench()
    bench.answers(FRESH, body=b"old")
    bench.answers(FRESH, body=b"new")
    led = bench.asked()
    await asyncio.sleep(0.1)
    demanding = [bench.asked(NO_CACHE) for _ in range(20)]
    assert await body_of(await led) == b"old"
    assert {await body_of(await task) for task in demanding} == {b"new"}
    assert _asked(bench) == 2


@pytest.mark.parametrize(
    ("directive", "asked"),
    [(b"max-age=5", 1), (b"max-age=2", 2), (b"min-fresh=5", 1), (b"min-fresh=8", 2)],
)
def test_who_comes_during_the_body_joins_only_what_is_young_enough_for_it(
    directive: bytes, asked: int
) -> None:
    @virtually
    async def play() -> None:
        bench = Bench()
        bench.answers(FRESH, body=b"abcdef", piece_bytes=1, pause_s=1.0)
        led = bench.asked()
        await asyncio.sleep(3.0)
        picky = bench.asked((b"Cache-Control", directive))
        await body_of(await led)
        await body_of(await picky)
        assert _asked(bench) == asked

    play()


@virtually
async def test_no_cache_behind_a_flight_ends_at_its_deadline() -> None:
    bench = Bench(coalesce={"wait_timeout_s": 1.0})
    bench.answers(FRESH, delay_s=50.0)
    led = bench.asked()
    await asyncio.sleep(0.1)
    with pytest.raises(WaitTimedOut):
        await bench.asked(NO_CACHE)
    led.cancel()


@virtually
async def test_only_if_cached_never_asks() -> None:
    bench = Bench()
    bench.answers(MODIFIED)
    with pytest.raises(NotStored):
        await bench.answered((b"Cache-Control", b"only-if-cached"))
    await body_of(await bench.answered())
    assert (await bench.answered((b"Cache-Control", b"only-if-cached"))).outcome is Outcome.HIT
    with pytest.raises(NotStored):  # what is stored is not for those with cookies
        await bench.answered((b"Cache-Control", b"only-if-cached"), COOKIE)
    assert _asked(bench) == 1


@virtually
async def test_head_is_answered_from_a_flight_or_an_entry_and_leads_none() -> None:
    bench = Bench()
    bench.answers(FRESH)
    passed = await bench.asked(method="HEAD")
    assert passed == PassThrough(ForwardReason.URI_MISS, Outcome.PASSED)
    led, waited = bench.asked(), bench.asked(method="HEAD")
    answer = await waited
    assert answer.outcome is Outcome.COLLAPSED
    assert isinstance(answer, Answer)
    answer.close()
    await body_of(await led)
    assert (await bench.answered(method="HEAD")).outcome is Outcome.HIT
    assert _asked(bench) == 1


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (b"bytes=0-9", 1),
        (b"bytes=100-109", 1),
        (b"bytes=101-110", 2),
        (b"bytes=-5", 2),
        (b"bytes=0-1,5-6", 1),
    ],
)
def test_a_range_far_ahead_of_the_fill_goes_by_itself(wanted: bytes, asked: int) -> None:
    @virtually
    async def play() -> None:
        bench = Bench(coalesce={"range_ahead_bytes": 100})
        bench.answers(FRESH, body=bytes(1_000))
        tasks = [bench.asked(), bench.asked((b"Range", wanted))]
        for task in tasks:
            await body_of(await task)
        assert _asked(bench) == asked

    play()


@virtually
async def test_waiters_beyond_the_cap_are_refused() -> None:
    bench = Bench(coalesce={"max_waiters": 2})
    bench.answers(FRESH)
    tasks = [bench.asked() for _ in range(4)]
    with pytest.raises(RefusedError):
        await tasks[3]
    for task in tasks[:3]:
        await body_of(await task)


@virtually
async def test_a_waiters_deadline_is_its_own_also_after_it_was_sent_back() -> None:
    bench = Bench(coalesce={"wait_timeout_s": 1.0})
    bench.answers(FRESH, (b"Vary", b"X-Lang"), delay_s=0.6)
    bench.answers(FRESH, delay_s=50.0)
    began = bench.clock.mono()
    led = bench.asked((b"X-Lang", b"de"))
    sent_back = [bench.asked((b"X-Lang", b"nl")) for _ in range(2)]
    await body_of(await led)
    younger = bench.asked((b"X-Lang", b"nl"))
    with pytest.raises(WaitTimedOut):
        await sent_back[1]
    assert bench.clock.mono() - began == pytest.approx(1.0, abs=0.01)
    with pytest.raises(WaitTimedOut):
        await younger
    assert bench.clock.mono() - began == pytest.approx(1.6, abs=0.01)
    sent_back[0].cancel()


@virtually
async def test_a_timed_out_herd_goes_to_the_origin_at_a_pace() -> None:
    bench = Bench(coalesce={"wait_timeout_s": 1.0, "on_wait_timeout": "fetch", "release_rate": 10})
    bench.answers(FRESH, delay_s=50.0)
    bench.answers(PRIVATE, delay_s=0.1)
    led = bench.asked()
    began = bench.clock.mono()
    tasks = [bench.asked() for _ in range(5)]
    for task in tasks:
        await body_of(await task)
    assert bench.clock.mono() - began == pytest.approx(1.0 + 4 * 0.1 + 0.1, abs=0.02)
    led.cancel()


# trouble


@virtually
async def test_stale_stands_in_when_the_origin_fails() -> None:
    bench = Bench()
    bench.answers(FRESH)
    bench.answers(status=503)
    await body_of(await bench.answered())
    await asyncio.sleep(12.0)
    answers = [await task for task in [bench.asked() for _ in range(3)]]
    assert {answer.outcome for answer in answers} == {Outcome.STALE}
    assert _asked(bench) == 2


@virtually
async def test_a_variant_is_found_stale_though_the_error_page_says_nothing_of_vary() -> None:
    bench = Bench()
    bench.answers(FRESH, (b"Vary", b"X-Lang"))
    bench.answers(status=500)
    await body_of(await bench.answered((b"X-Lang", b"de")))
    await asyncio.sleep(12.0)
    assert (await bench.answered((b"X-Lang", b"de"))).outcome is Outcome.STALE


@pytest.mark.parametrize(("honoured", "outcome"), [(True, Outcome.MISS), (False, Outcome.STALE)])
def test_no_cache_gets_no_stale_unless_the_route_does_not_honour_it(
    outcome: Outcome, *, honoured: bool
) -> None:
    @virtually
    async def play() -> None:
        bench = Bench(cache={"honour_no_cache": honoured})
        bench.answers(FRESH)
        bench.answers(status=503)
        await body_of(await bench.answered())
        await asyncio.sleep(12.0)
        answer = await bench.answered(NO_CACHE)
        assert answer.outcome is outcome
        await body_of(answer)

    play()


@virtually
async def test_without_stale_the_leader_gets_the_error_and_waiters_the_fact() -> None:
    bench = Bench()
    bench.answers(status=503, body=b"page")
    led, waited = bench.asked(), bench.asked()
    assert await body_of(await led) == b"page"
    with pytest.raises(FlightFailed):
        await waited


@virtually
async def test_a_dead_origin_is_tried_once_a_moment() -> None:
    bench = Bench()
    bench.origin.refuse()
    herd = [bench.asked() for _ in range(5)]
    for task in herd:
        with pytest.raises(OriginError):
            await task
    with pytest.raises(FlightFailed):
        await bench.answered()
    assert bench.coalescer.statistics().started == 1
    await asyncio.sleep(1.1)
    bench.origin.refusing = None
    assert await body_of(await bench.answered()) == b"plain"


@virtually
async def test_after_a_hard_purge_nothing_old_stands_in() -> None:
    bench = Bench()
    bench.answers(FRESH)
    bench.answers(status=503)
    await body_of(await bench.answered())
    await asyncio.sleep(12.0)
    bench.cache.purge(KEY)
    answer = await bench.answered()
    assert (answer.outcome, answer.head.status) == (Outcome.MISS, 503)
    await body_of(answer)


@virtually
async def test_a_vary_that_changes_with_each_answer_keeps_nobody_from_being_answered() -> None:
    bench = Bench()
    for number in range(12):
        bench.answers(FRESH, (b"Vary", b"X-%d" % number))
    herd = [bench.asked(*((b"X-%d" % field, b"%d" % client) for field in range(12))) for client in range(6)]
    for task in herd:
        await body_of(await task)
    assert bench.clock.mono() < 1_000.0 + 5 * 0.2 + 0.1
    assert bench.coalescer.statistics().running == 0


@virtually
async def test_the_end_of_the_process_leaves_no_flight() -> None:
    bench = Bench()
    bench.answers(FRESH, delay_s=50.0)
    tasks = [bench.asked() for _ in range(2)]
    await asyncio.sleep(0.1)
    bench.coalescer.close()
    for task in tasks:
        with pytest.raises(FlightFailed):
            await task
    assert bench.coalescer.statistics().running == 0


# without a task


@virtually
async def test_a_parked_exchange_takes_its_answer_from_its_settled_seat() -> None:
    bench = Bench()
    bench.answers(FRESH)
    led = bench.asked()
    await asyncio.sleep(0.1)
    ask = bench.ask()
    wait = bench.coalescer.wait_for(ask)
    joined = bench.coalescer.try_now(ask, wait)
    assert joined is not None
    assert not isinstance(joined, Answer)
    assert bench.coalescer.settled_answer(ask, joined, wait) is None
    await body_of(await led)
    answer = bench.coalescer.settled_answer(ask, joined, wait)
    assert answer is not None
    assert (answer.outcome, await body_of(answer)) == (Outcome.COLLAPSED, b"body")
    assert isinstance(bench.coalescer.try_now(ask, wait), Answer)


@virtually
async def test_a_parked_exchange_that_is_released_goes_on_by_itself() -> None:
    bench = Bench()
    bench.answers(PRIVATE)
    led = bench.asked()
    await asyncio.sleep(0.1)
    ask = bench.ask()
    wait = bench.coalescer.wait_for(ask)
    joined = bench.coalescer.try_now(ask, wait)
    assert joined is not None
    assert not isinstance(joined, Answer)
    await body_of(await led)
    assert bench.coalescer.settled_answer(ask, joined, wait) is None
    answer = await bench.coalescer.answer(ask, wait, joined=joined)
    assert answer.outcome is Outcome.RELEASED
    await body_of(answer)
