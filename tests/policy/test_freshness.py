"""Lifetimes come from the first rule that applies; ages never understate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import RouteCacheSettings
from proxy.http.dates import format_http_date
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.policy.cache_control import MAX_DELTA_S, ResponseDirectives
from proxy.policy.freshness import (
    HEURISTICALLY_CACHEABLE,
    Lifetime,
    LifetimeSource,
    freshness_lifetime,
    initial_age_s,
)
from tests.policy.heads import DATE, NOW, TEN_DAYS_BEFORE, fields_of, response

D = "Date: Sun, 06 Nov 1994 08:49:37 GMT"
IN_A_DAY = "Expires: Mon, 07 Nov 1994 08:49:37 GMT"
TEN_DAYS_OLD = "Last-Modified: Thu, 27 Oct 1994 08:49:37 GMT"
NONE = (0, LifetimeSource.NONE)


def lifetime(fields: str, *, status: int = 200, **settings: Any) -> Lifetime:
    head = response(fields, status=status)
    cache = RouteCacheSettings(**settings)
    return freshness_lifetime(head, ResponseDirectives.parse(head.fields), cache=cache, now=NOW)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param("", NONE, id="nothing-said"),
        pytest.param("Cache-Control: public", NONE, id="public-is-no-lifetime"),
        pytest.param("Cache-Control: max-age=60", (60, LifetimeSource.MAX_AGE), id="max-age"),
        pytest.param(
            "Cache-Control: max-age=60, s-maxage=9", (9, LifetimeSource.S_MAXAGE), id="s-maxage-wins"
        ),
        pytest.param(
            "Cache-Control: s-maxage=x, max-age=60", (0, LifetimeSource.S_MAXAGE), id="bad-s-maxage-is-stale"
        ),
        pytest.param(
            f"Cache-Control: max-age=60|{D}|{IN_A_DAY}", (60, LifetimeSource.MAX_AGE), id="over-expires"
        ),
        pytest.param(f"{D}|{IN_A_DAY}", (86400, LifetimeSource.EXPIRES), id="expires-less-date"),
        pytest.param(IN_A_DAY, (86400, LifetimeSource.EXPIRES), id="expires-without-date"),
        pytest.param(f"Date: x|{IN_A_DAY}", (86400, LifetimeSource.EXPIRES), id="expires-with-bad-date"),
        pytest.param(f"{D}|Expires: 0", (0, LifetimeSource.EXPIRES), id="expires-0-is-the-past"),
        pytest.param(f"{D}|{TEN_DAYS_OLD}|Expires:", (0, LifetimeSource.EXPIRES), id="expires-empty"),
        pytest.param(
            f"{D}|Expires: Sat, 05 Nov 1994 08:49:37 GMT",
            (0, LifetimeSource.EXPIRES),
            id="expires-before-date",
        ),
        pytest.param(f"{D}|{IN_A_DAY}|{IN_A_DAY}", (86400, LifetimeSource.EXPIRES), id="expires-twice-alike"),
        pytest.param(f"{D}|{IN_A_DAY}|Expires: 0", (0, LifetimeSource.EXPIRES), id="expires-twice-different"),
        pytest.param(f"{D}|{TEN_DAYS_OLD}", (86400, LifetimeSource.HEURISTIC), id="a-tenth-of-its-age"),
        pytest.param(f"{D}|Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", NONE, id="last-modified-just-now"),
        pytest.param(
            f"{D}|Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT", NONE, id="last-modified-in-the-future"
        ),
        pytest.param(f"{D}|Last-Modified: yesterday", NONE, id="last-modified-unreadable"),
    ],
)
def test_the_first_rule_that_applies_gives_the_lifetime(
    fields: str, expected: tuple[float, LifetimeSource]
) -> None:
    assert lifetime(fields) == Lifetime(*expected)


def test_a_route_replaces_the_lifetime_for_its_statuses_only() -> None:
    said = "Cache-Control: max-age=60, s-maxage=70"
    assert lifetime(said, lifetime_s=5) == Lifetime(5, LifetimeSource.ROUTE)
    assert lifetime(said, status=500, lifetime_s=5).source is LifetimeSource.S_MAXAGE


def test_a_heuristic_lifetime_is_capped_and_can_be_switched_off() -> None:
    old = f"{D}|{TEN_DAYS_OLD}"
    assert lifetime(old, heuristic_max_s=60) == Lifetime(60, LifetimeSource.HEURISTIC)
    assert lifetime(old, heuristic=False) == Lifetime(*NONE)
    assert lifetime(old, heuristic_fraction=0) == Lifetime(*NONE)


@pytest.mark.parametrize("status", range(200, 600))
def test_a_heuristic_applies_to_the_statuses_that_allow_it(status: int) -> None:
    old = f"{D}|{TEN_DAYS_OLD}"
    guessed = lifetime(old, status=status).source is LifetimeSource.HEURISTIC
    assert guessed == (status in HEURISTICALLY_CACHEABLE)
    if_public = lifetime(f"{old}|Cache-Control: public", status=status).source is LifetimeSource.HEURISTIC
    assert if_public == (status != 206)


@pytest.mark.parametrize("source", list(LifetimeSource))
def test_a_lifetime_is_explicit_when_somebody_said_it(source: LifetimeSource) -> None:
    assert Lifetime(1, source).explicit == (source not in {"heuristic", "none"})


@pytest.mark.parametrize(
    ("fields", "age_s"),
    [
        pytest.param("", 3, id="response-delay"),
        pytest.param("Age: 10", 13, id="age-plus-response-delay"),
        pytest.param(D, 7, id="apparent-age"),
        pytest.param(f"Age: 1|{D}", 7, id="the-larger"),
        pytest.param(f"Age: 10|{D}", 13, id="the-larger-age"),
        pytest.param("Age: 10, 99", 13, id="first-member"),
        pytest.param("Age: 10|Age: 99", 13, id="first-line"),
        pytest.param("Age: -5", 3, id="negative-is-ignored"),
        pytest.param("Age: 1.5", 3, id="fraction-is-ignored"),
        pytest.param("Age: x, 7", 3, id="first-member-unreadable"),
        pytest.param("Age:", 3, id="empty"),
        pytest.param("Age: 99999999999999999999", MAX_DELTA_S + 3, id="overflow"),
        pytest.param("Date: Mon, 07 Nov 1994 08:49:37 GMT", 3, id="date-in-the-future"),
        pytest.param("Date: now", 3, id="date-unreadable"),
    ],
)
def test_the_initial_age_is_the_larger_of_two_estimates(fields: str, age_s: float) -> None:
    age = initial_age_s(response(fields), requested_at=NOW + 4, received_at=NOW + 7)
    assert age == age_s


@given(
    generated=st.integers(0, 2 * 10**9),
    age=st.integers(0, 10**6),
    requested=st.floats(0, 2e9),
    received=st.floats(0, 2e9),
)
def test_an_age_is_never_negative_nor_less_than_what_was_said(
    generated: int, age: int, requested: float, received: float
) -> None:
    fields = Fields([(b"Date", format_http_date(generated)), (b"Age", b"%d" % age)])
    found = initial_age_s(ResponseHead(200, fields), requested_at=requested, received_at=received)
    assert found >= age
    assert found >= received - generated


@given(st.lists(st.tuples(st.sampled_from([b"Date", b"Age", b"Expires", b"Last-Modified"]), st.binary())))
def test_no_octets_make_it_raise_or_fresh_without_a_date(pairs: list[tuple[bytes, bytes]]) -> None:
    head = ResponseHead(200, Fields(pairs))
    found = freshness_lifetime(head, ResponseDirectives(), cache=RouteCacheSettings(), now=NOW)
    assert found.seconds >= 0
    assert initial_age_s(head, requested_at=NOW, received_at=NOW) >= 0


def test_fields_are_found_whatever_the_case_of_their_name() -> None:
    assert fields_of("aGe: 4").members(b"age") == (b"4",)


NEGATIVE = RouteCacheSettings.model_validate({"negative_lifetimes_s": {404: 5, "5xx": 1, 503: 0}})


@pytest.mark.parametrize(
    ("fields", "status", "expected"),
    [
        pytest.param("", 404, Lifetime(5, LifetimeSource.NEGATIVE), id="by-status"),
        pytest.param("", 500, Lifetime(1, LifetimeSource.NEGATIVE), id="by-class"),
        pytest.param("", 503, Lifetime(0, LifetimeSource.NEGATIVE), id="a-status-outweighs-its-class"),
        pytest.param("", 410, Lifetime(0, LifetimeSource.NONE), id="not-named"),
        pytest.param("", 200, Lifetime(0, LifetimeSource.NONE), id="no-error"),
        pytest.param(
            "Cache-Control: max-age=60", 404, Lifetime(60, LifetimeSource.MAX_AGE), id="the-origin-said-it"
        ),
        pytest.param("Expires: 0", 404, Lifetime(0, LifetimeSource.EXPIRES), id="or-said-none"),
        pytest.param(
            f"Last-Modified: {TEN_DAYS_BEFORE.decode()}|Date: {DATE.decode()}",
            404,
            Lifetime(5, LifetimeSource.NEGATIVE),
            id="before-a-guess",
        ),
    ],
)
def test_a_route_gives_errors_short_lifetimes(fields: str, status: int, expected: Lifetime) -> None:
    head = response(fields, status=status)
    found = freshness_lifetime(head, ResponseDirectives.parse(head.fields), cache=NEGATIVE, now=NOW)
    assert found == expected
