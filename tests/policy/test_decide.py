"""How a request is answered, given what is stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.cache_control import ANY_STALENESS_S, RequestDirectives
from proxy.policy.cache_status import ForwardReason
from proxy.policy.decide import (
    Decision,
    Forward,
    OnlyIfCached,
    ServeStored,
    decide,
    is_fresh,
    may_serve_stale_on_error,
)
from proxy.policy.freshness import LifetimeSource
from proxy.policy.terms import Terms

HIT = ServeStored()
BEHIND = ServeStored(revalidate_behind=True)
STALE = Forward(ForwardReason.STALE, revalidate=True)
REQUEST = Forward(ForwardReason.REQUEST, revalidate=True)

NONE = RequestDirectives()
# fresh for 60 s, then 30 s of grace; at most 100 s stale for a client that wants it
TERMS = Terms(60, LifetimeSource.MAX_AGE, grace_s=30, stale_if_error_s=50, max_stale_s=100)
STRICT = Terms(60, LifetimeSource.MAX_AGE)
NO_CACHE = Terms(60, LifetimeSource.MAX_AGE, always_revalidate=True)


@pytest.mark.parametrize(
    ("directives", "terms", "age_s", "expected"),
    [
        pytest.param(NONE, None, 0, Forward(ForwardReason.URI_MISS), id="nothing-stored"),
        pytest.param(NONE, TERMS, 59.9, HIT, id="fresh"),
        pytest.param(NONE, TERMS, 60, BEHIND, id="within-grace"),
        pytest.param(NONE, TERMS, 89.9, BEHIND, id="end-of-grace"),
        pytest.param(NONE, TERMS, 90, STALE, id="past-grace"),
        pytest.param(NONE, STRICT, 60, STALE, id="stale-forbidden"),
        pytest.param(NONE, NO_CACHE, 0, STALE, id="no-cache-in-the-response"),
        pytest.param(RequestDirectives(no_cache=True), TERMS, 1, REQUEST, id="no-cache"),
        pytest.param(RequestDirectives(no_cache=True), TERMS, 70, STALE, id="no-cache-stale"),
        pytest.param(
            RequestDirectives(no_cache=True), None, 0, Forward(ForwardReason.URI_MISS), id="no-cache-miss"
        ),
        pytest.param(RequestDirectives(no_store=True), TERMS, 1, HIT, id="no-store-takes-what-is-stored"),
        pytest.param(RequestDirectives(max_age=0), TERMS, 0.1, REQUEST, id="max-age-0"),
        pytest.param(RequestDirectives(max_age=5), TERMS, 5, HIT, id="max-age-met"),
        pytest.param(RequestDirectives(max_age=5), TERMS, 6, REQUEST, id="max-age-passed"),
        pytest.param(RequestDirectives(max_age=999), TERMS, 70, STALE, id="max-age-wants-nothing-stale"),
        pytest.param(
            RequestDirectives(max_age=999, max_stale=5), TERMS, 95, STALE, id="max-stale-too-little"
        ),
        pytest.param(
            RequestDirectives(max_age=999, max_stale=50), TERMS, 95, HIT, id="max-age-and-max-stale"
        ),
        pytest.param(RequestDirectives(min_fresh=10), TERMS, 50, HIT, id="min-fresh-met"),
        pytest.param(RequestDirectives(min_fresh=10), TERMS, 51, REQUEST, id="min-fresh-not-met"),
        pytest.param(RequestDirectives(min_fresh=0), TERMS, 70, STALE, id="min-fresh-wants-nothing-stale"),
        pytest.param(RequestDirectives(max_stale=50), TERMS, 100, HIT, id="max-stale"),
        pytest.param(RequestDirectives(max_stale=50), TERMS, 70, BEHIND, id="grace-before-max-stale"),
        pytest.param(RequestDirectives(max_stale=50), TERMS, 110, STALE, id="max-stale-passed"),
        pytest.param(RequestDirectives(max_stale=ANY_STALENESS_S), TERMS, 159, HIT, id="any-staleness"),
        pytest.param(
            RequestDirectives(max_stale=ANY_STALENESS_S), TERMS, 160, STALE, id="any-has-the-routes-cap"
        ),
        pytest.param(
            RequestDirectives(max_stale=ANY_STALENESS_S), STRICT, 61, STALE, id="forbidden-all-the-same"
        ),
        pytest.param(RequestDirectives(only_if_cached=True), TERMS, 1, HIT, id="only-if-cached"),
        pytest.param(RequestDirectives(only_if_cached=True), TERMS, 70, BEHIND, id="only-if-cached-in-grace"),
        pytest.param(
            RequestDirectives(only_if_cached=True), TERMS, 99, OnlyIfCached(), id="only-if-cached-stale"
        ),
        pytest.param(
            RequestDirectives(only_if_cached=True), None, 0, OnlyIfCached(), id="only-if-cached-miss"
        ),
        pytest.param(
            RequestDirectives(only_if_cached=True, no_cache=True),
            TERMS,
            1,
            OnlyIfCached(),
            id="contradiction",
        ),
    ],
)
def test_a_request_is_answered_from_what_is_stored_or_forwarded(
    directives: RequestDirectives, terms: Terms | None, age_s: float, expected: Decision
) -> None:
    assert decide(directives, terms, age_s=age_s) == expected


@pytest.mark.parametrize(
    "directives",
    [RequestDirectives(no_cache=True), RequestDirectives(max_age=0), RequestDirectives(min_fresh=99)],
)
def test_a_route_need_not_let_clients_force_anything(directives: RequestDirectives) -> None:
    assert decide(directives, TERMS, age_s=1, honour_no_cache=False) == HIT
    assert decide(directives, TERMS, age_s=70, honour_no_cache=False) == BEHIND
    assert decide(directives, NO_CACHE, age_s=1, honour_no_cache=False) == STALE


def test_a_miss_says_what_was_missing() -> None:
    assert decide(NONE, None, miss=ForwardReason.VARY_MISS) == Forward(ForwardReason.VARY_MISS)


@pytest.mark.parametrize(
    ("directives", "terms", "age_s", "expected"),
    [
        pytest.param(NONE, TERMS, 10, True, id="fresh"),
        pytest.param(NONE, TERMS, 109, True, id="within"),
        pytest.param(NONE, TERMS, 110, False, id="past"),
        pytest.param(NONE, STRICT, 59, True, id="strict-fresh"),
        pytest.param(NONE, STRICT, 60, False, id="strict-stale"),
        pytest.param(NONE, NO_CACHE, 1, False, id="no-cache-in-the-response"),
        pytest.param(RequestDirectives(no_cache=True), TERMS, 1, False, id="no-cache"),
        pytest.param(RequestDirectives(max_age=0), TERMS, 70, True, id="max-age-is-freshness"),
        pytest.param(RequestDirectives(stale_if_error=5), TERMS, 66, False, id="narrowed"),
        pytest.param(RequestDirectives(stale_if_error=999), TERMS, 110, False, id="never-widened"),
        pytest.param(RequestDirectives(stale_if_error=999), STRICT, 61, False, id="forbidden"),
    ],
)
def test_stale_stands_in_for_a_failed_origin_within_its_window(
    directives: RequestDirectives, terms: Terms, age_s: float, expected: bool
) -> None:
    assert may_serve_stale_on_error(terms, age_s, directives) is expected


def test_a_reload_gets_stale_on_error_where_no_cache_is_not_honoured() -> None:
    asked = RequestDirectives(no_cache=True)
    assert may_serve_stale_on_error(TERMS, 70, asked, honour_no_cache=False)


SECONDS = st.integers(0, 1000)
MAYBE = st.one_of(st.none(), SECONDS)


@given(
    directives=st.builds(
        RequestDirectives,
        no_cache=st.booleans(),
        only_if_cached=st.booleans(),
        max_age=MAYBE,
        min_fresh=MAYBE,
        max_stale=MAYBE,
    ),
    lifetime=SECONDS,
    grace=SECONDS,
    cap=SECONDS,
    age=SECONDS,
    always=st.booleans(),
    honour=st.booleans(),
)
def test_no_directive_makes_more_served_than_the_response_allows(
    directives: RequestDirectives, lifetime: int, grace: int, cap: int, age: int, always: bool, honour: bool
) -> None:
    terms = Terms(
        lifetime,
        LifetimeSource.MAX_AGE,
        grace_s=min(grace, cap),
        max_stale_s=cap,
        always_revalidate=always,
    )
    decision = decide(directives, terms, age_s=age, honour_no_cache=honour)
    if isinstance(decision, ServeStored):
        assert not always
        assert age < lifetime + cap or is_fresh(terms, age)
        assert not decision.revalidate_behind or age >= lifetime
    if directives.only_if_cached:
        assert not isinstance(decision, Forward)
