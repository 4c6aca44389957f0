from __future__ import annotations

import pytest

from proxy.coalesce.learning import learn
from proxy.http.fields import Fields, Pair
from proxy.http.messages import ResponseHead
from proxy.policy.sharing import (
    AboutLeader,
    NotForSharing,
    OriginFailed,
    Reason,
    Shareable,
    Verdict,
    WaitingOnly,
    judge,
)
from tests.coalesce.bench import KEY, Bench, request, virtually

FRESH = (b"Cache-Control", b"max-age=60")
VARYING = (b"Vary", b"X-Lang")
GERMAN = (b"X-Lang", b"de")


def _head(*fields: Pair, status: int = 200) -> ResponseHead:
    return ResponseHead(status, Fields(fields))


def _verdict(bench: Bench, head: ResponseHead) -> Verdict:
    plan = bench.plan(GERMAN)
    return judge(
        plan.request,
        head,
        route=plan.route,
        now=0.0,
        close_delimited=False,
        has_fallback=False,
        own_conditions=False,
    )


@virtually
async def test_a_shareable_head_tells_where_the_answer_belongs_and_clears_the_mark() -> None:
    bench = Bench()
    bench.cache.keys.mark_not_shareable(KEY, (b"de",), Reason.PRIVATE, for_s=60)
    head = _head(FRESH, VARYING, (b"Surrogate-Key", b"news"))
    verdict = _verdict(bench, head)
    assert isinstance(verdict, Shareable)
    learnt = learn(bench.plan(GERMAN), head, verdict, cache=bench.cache)
    assert (learnt.key, learnt.variant, learnt.varies_on) == (KEY, (b"de",), (b"x-lang",))
    assert learnt.terms == verdict.terms
    assert any(b"news" in tag for tag in learnt.tags)
    assert bench.cache.keys.not_shareable(KEY, (b"de",)) is None
    assert bench.cache.variant_of(KEY, request(GERMAN)) == (b"de",)


@virtually
async def test_what_is_not_for_sharing_marks_the_key_and_is_not_stored() -> None:
    bench = Bench()
    head = _head((b"Cache-Control", b"private"))
    learnt = learn(bench.plan(), head, _verdict(bench, head), cache=bench.cache)
    assert learnt.terms is None
    assert bench.cache.keys.not_shareable(KEY, ()) is Reason.PRIVATE


@pytest.mark.parametrize(
    "verdict",
    [
        pytest.param(AboutLeader(400), id="about-the-leader"),
        pytest.param(OriginFailed(503), id="the-origin-failed"),
        pytest.param(NotForSharing(Reason.PRIVATE, marks=False), id="for-one-client"),
    ],
)
def test_an_answer_that_is_not_like_the_shared_ones_teaches_nothing_of_variants(verdict: Verdict) -> None:
    @virtually
    async def play() -> None:
        bench = Bench()
        learnt = learn(bench.plan(GERMAN), _head(VARYING, status=503), verdict, cache=bench.cache)
        assert (learnt.key, learnt.variant, learnt.varies_on, learnt.terms) == (KEY, (), (), None)
        assert bench.cache.keys.varies_on(KEY) == ()

    play()


@virtually
async def test_a_key_that_was_not_asked_for_often_enough_is_not_stored() -> None:
    bench = Bench(cache={"min_uses": 2})
    head = _head(FRESH)
    plan, verdict = bench.plan(), _verdict(bench, head)
    assert learn(plan, head, verdict, cache=bench.cache).terms is None
    bench.cache.admission.count(KEY)
    bench.cache.admission.count(KEY)
    assert learn(plan, head, verdict, cache=bench.cache).terms is not None


@virtually
async def test_an_answer_for_those_who_wait_is_stored_under_terms_of_its_own() -> None:
    bench = Bench()
    head = _head((b"Cache-Control", b"public, max-age=0"))
    verdict = _verdict(bench, head)
    assert isinstance(verdict, WaitingOnly)
    assert learn(bench.plan(), head, verdict, cache=bench.cache).terms == verdict.store_terms
