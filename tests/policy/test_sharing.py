"""Who gets a response: each row of the table in DESIGN.md, D3, and the default, which is nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.config.settings import RouteSettings
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.freshness import LifetimeSource
from proxy.policy.sharing import (
    ABOUT_THE_LEADER,
    AboutLeader,
    JoinRefusal,
    NotForSharing,
    OriginFailed,
    Reason,
    Shareable,
    Verdict,
    WaitingOnly,
    holds_for,
    judge,
    may_join,
    may_take,
)
from proxy.policy.terms import Terms, terms_of
from tests.policy.heads import DATE, NOW, TEN_DAYS_BEFORE, permissive_fields, request, response, route

FRESH = "Cache-Control: max-age=60"
HEURISTIC = f"Date: {DATE.decode()}|Last-Modified: {TEN_DAYS_BEFORE.decode()}"


def verdict(
    fields: str,
    asked: str = "",
    *,
    status: int = 200,
    method: str = "GET",
    close: bool = False,
    **settings: Any,
) -> Verdict:
    return judge(
        request(asked, method=method),
        response(fields, status=status),
        route=route(**settings),
        now=NOW,
        close_delimited=close,
    )


def reason_of(found: Verdict) -> Reason:
    assert isinstance(found, NotForSharing), found
    return found.reason


# shareable


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        pytest.param(FRESH, "", id="max-age"),
        pytest.param("Cache-Control: s-maxage=60", "", id="s-maxage"),
        pytest.param("Expires: Mon, 07 Nov 1994 08:49:37 GMT", "", id="expires"),
        pytest.param(HEURISTIC, "", id="heuristic"),
        pytest.param(FRESH, "Cookie: a=b", id="cookie-with-explicit-lifetime"),
        pytest.param(
            "Cache-Control: public, max-age=60", "Authorization: Basic eA==", id="authorization-public"
        ),
        pytest.param(
            "Cache-Control: max-age=60, must-revalidate",
            "Authorization: x",
            id="authorization-must-revalidate",
        ),
        pytest.param(f"{FRESH}|Vary: Accept-Encoding", "", id="vary"),
        pytest.param(f"{FRESH}|Age: 59", "", id="a-second-left"),
        pytest.param(
            "Cache-Control: max-age=60, stale-while-revalidate=30|Age: 80", "", id="within-its-grace"
        ),
        pytest.param("Cache-Control: max-age=60, must-understand", "", id="understood"),
        pytest.param(FRESH, "Cache-Control: no-cache", id="client-wanted-it-new"),
    ],
)
def test_a_fresh_answer_is_for_everybody(fields: str, asked: str) -> None:
    found = verdict(fields, asked)
    assert isinstance(found, Shareable)
    assert found.store


@pytest.mark.parametrize("status", [200, 204, 301, 404, 418, 299, 401, 500, 503])
def test_an_explicit_lifetime_shares_any_status(status: int) -> None:
    assert isinstance(verdict(FRESH, status=status), Shareable)


def test_a_route_lifetime_shares_what_says_nothing() -> None:
    found = verdict("", cache={"lifetime_s": 5})
    assert isinstance(found, Shareable)
    assert found.terms.source is LifetimeSource.ROUTE


@pytest.mark.parametrize("fields", ["Cache-Control: private", "Cache-Control: no-store", "Set-Cookie: a=b"])
def test_a_route_lifetime_never_shares_what_is_forbidden(fields: str) -> None:
    assert isinstance(verdict(fields, cache={"lifetime_s": 5}), NotForSharing)


# not for sharing


@pytest.mark.parametrize(
    ("fields", "asked", "reason", "marks"),
    [
        pytest.param("", "", Reason.NO_FRESHNESS, True, id="nothing-said"),
        pytest.param('ETag: "x"', "", Reason.NO_FRESHNESS, True, id="etag-alone"),
        pytest.param("Cache-Control: public", "", Reason.NO_FRESHNESS, True, id="public-alone"),
        pytest.param(f"{FRESH}, private", "", Reason.PRIVATE, True, id="private"),
        pytest.param(f'{FRESH}, private="x-a"', "", Reason.PRIVATE, True, id="private-qualified"),
        pytest.param(f"{FRESH}, no-store", "", Reason.NO_STORE, True, id="no-store"),
        pytest.param(f"{FRESH}, no-store, must-understand", "", Reason.NO_STORE, True, id="must-understand"),
        pytest.param(f"{FRESH}; private", "", Reason.MALFORMED, True, id="malformed"),
        pytest.param(f"{FRESH}|Set-Cookie: a=b", "", Reason.SET_COOKIE, True, id="set-cookie"),
        pytest.param(f"{FRESH}|Vary: *", "", Reason.VARY_STAR, True, id="vary-star"),
        pytest.param(f"{FRESH}|Vary: accept, *", "", Reason.VARY_STAR, True, id="vary-star-among-others"),
        pytest.param(f"{FRESH}|Vary: a b", "", Reason.VARY_STAR, True, id="vary-unreadable"),
        pytest.param(f"{FRESH}, no-cache", "", Reason.NO_CACHE, True, id="no-cache"),
        pytest.param("Cache-Control: max-age=0", "", Reason.LIFETIME_ZERO, True, id="lifetime-zero"),
        pytest.param(
            f"{FRESH}|Content-Type: Text/Event-Stream; charset=utf-8",
            "",
            Reason.EVENT_STREAM,
            True,
            id="events",
        ),
        pytest.param(FRESH, "Authorization: Basic eA==", Reason.AUTHORIZATION, False, id="authorization"),
        pytest.param(HEURISTIC, "Cookie: a=b", Reason.COOKIE_HEURISTIC, True, id="cookie-with-heuristic"),
        pytest.param("", "Cookie: a=b", Reason.NO_FRESHNESS, True, id="cookie-and-nothing-said"),
        pytest.param(FRESH, "Cache-Control: no-store", Reason.REQUEST_NO_STORE, False, id="request-no-store"),
        pytest.param(
            "Cache-Control: public",
            "Authorization: x",
            Reason.NO_FRESHNESS,
            False,
            id="authorization-never-marks",
        ),
    ],
)
def test_what_is_forbidden_or_not_permitted_is_for_the_leader_alone(
    fields: str, asked: str, reason: Reason, marks: bool
) -> None:
    assert verdict(fields, asked) == NotForSharing(reason, marks=marks)


@pytest.mark.parametrize("status", [100, 103, 206, 304])
def test_some_statuses_are_never_for_sharing(status: int) -> None:
    assert reason_of(verdict(FRESH, status=status)) is Reason.STATUS


def test_must_understand_wants_a_known_status() -> None:
    assert reason_of(verdict(f"{FRESH}, must-understand", status=299)) is Reason.STATUS


def test_a_body_that_ends_with_its_connection_is_not_for_sharing() -> None:
    assert reason_of(verdict(FRESH, close=True)) is Reason.UNKNOWN_LENGTH_CLOSE


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_only_an_answer_to_get_is_for_sharing(method: str) -> None:
    assert verdict(FRESH, method=method) == NotForSharing(Reason.METHOD, marks=False)


def test_a_route_can_switch_sharing_off() -> None:
    assert verdict(FRESH, cache={"enabled": False}) == NotForSharing(Reason.CACHE_DISABLED, marks=False)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"cookies": "bypass"}, id="cookies-bypass"),
        pytest.param({"bypass": {"cookies": ("a",)}}, id="cookie-name"),
        pytest.param({"bypass": {"paths": ("^/a",)}}, id="path"),
    ],
)
def test_the_answer_to_a_request_that_bypasses_is_not_for_sharing(settings: dict[str, Any]) -> None:
    assert verdict(FRESH, "Cookie: a=b", **settings) == NotForSharing(Reason.BYPASS, marks=False)


@pytest.mark.parametrize("rule", ["strip", "ignore"])
def test_a_route_can_share_in_spite_of_set_cookie(rule: str) -> None:
    assert isinstance(verdict(f"{FRESH}|Set-Cookie: a=b", set_cookie=rule), Shareable)


def test_cookies_that_the_origin_never_sees_do_not_count() -> None:
    assert isinstance(verdict(HEURISTIC, "Cookie: a=b", cookies="strip"), Shareable)


def test_a_404_without_freshness_does_not_mark() -> None:
    assert verdict("", status=404) == NotForSharing(Reason.NO_FRESHNESS, marks=False)


# stored though not for sharing


@pytest.mark.parametrize(
    ("fields", "asked", "stored"),
    [
        pytest.param('Cache-Control: no-cache|ETag: "x"', "", True, id="no-cache-with-etag"),
        pytest.param(f"Cache-Control: no-cache|{HEURISTIC}", "", True, id="no-cache-with-last-modified"),
        pytest.param("Cache-Control: no-cache", "", False, id="no-cache-without-validator"),
        pytest.param('Cache-Control: max-age=0|ETag: "x"', "", True, id="max-age-0-with-etag"),
        pytest.param('Cache-Control: max-age=0|ETag: W/"x"', "", True, id="weak-etag"),
        pytest.param("Cache-Control: max-age=0|ETag: x", "", False, id="invalid-etag"),
        pytest.param("Cache-Control: max-age=0", "", False, id="max-age-0-without-validator"),
        pytest.param('ETag: "x"', "", False, id="nothing-said"),
        pytest.param('Cache-Control: max-age=0|ETag: "x"', "Cookie: a=b", False, id="cookie"),
        pytest.param(
            'Cache-Control: no-cache, max-age=9|ETag: "x"', "Cookie: a=b", False, id="no-cache-cookie"
        ),
        pytest.param(
            'Cache-Control: no-cache, public|ETag: "x"', "Authorization: x", False, id="authorization"
        ),
    ],
)
def test_what_must_be_validated_is_stored_if_it_can_be(fields: str, asked: str, stored: bool) -> None:
    found = verdict(fields, asked)
    assert isinstance(found, NotForSharing)
    assert (found.store_terms is not None) == stored


@pytest.mark.parametrize(
    "fields",
    ['Cache-Control: private, no-cache|ETag: "x"', 'Cache-Control: no-cache|ETag: "x"|Set-Cookie: a=b'],
)
def test_what_is_forbidden_is_not_stored_for_validation_either(fields: str) -> None:
    found = verdict(fields)
    assert isinstance(found, NotForSharing)
    assert found.store_terms is None


# for those who wait


def test_a_public_answer_of_lifetime_zero_is_for_those_who_wait() -> None:
    found = verdict("Cache-Control: public, max-age=0")
    assert isinstance(found, WaitingOnly)
    assert found.terms.lifetime_s == 0
    assert found.store_terms is None


def test_it_is_stored_besides_if_it_can_be_validated() -> None:
    found = verdict('Cache-Control: public, max-age=0|ETag: "x"')
    assert isinstance(found, WaitingOnly)
    assert found.store_terms == found.terms


def test_a_route_can_share_lifetime_zero_without_public() -> None:
    assert isinstance(verdict("Cache-Control: max-age=0", cache={"share_lifetime_zero": True}), WaitingOnly)


@pytest.mark.parametrize(
    "fields", [f"{FRESH}|Age: 60", f"{FRESH}, must-revalidate|Age: 90", "Cache-Control: s-maxage=1|Age: 2"]
)
@pytest.mark.parametrize("asked", ["", "Cookie: a=b"])
def test_what_is_too_old_when_it_comes_is_for_those_who_waited(fields: str, asked: str) -> None:
    assert isinstance(verdict(fields, asked), WaitingOnly)


def test_what_is_too_old_and_no_cache_is_for_nobody() -> None:
    assert isinstance(verdict(f"{FRESH}, no-cache|Age: 90"), NotForSharing)
    assert isinstance(verdict("", cache={"share_lifetime_zero": True}), NotForSharing)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        pytest.param("Cache-Control: public, max-age=0, no-store", "", id="no-store"),
        pytest.param("Cache-Control: public, max-age=0, no-cache", "", id="no-cache"),
        pytest.param("Cache-Control: public, max-age=0, private", "", id="private"),
        pytest.param("Cache-Control: public, max-age=0, must-revalidate", "", id="must-revalidate"),
        pytest.param("Cache-Control: public, max-age=0, proxy-revalidate", "", id="proxy-revalidate"),
        pytest.param("Cache-Control: public, s-maxage=0", "", id="s-maxage"),
        pytest.param("Cache-Control: public, max-age=0|Set-Cookie: a=b", "", id="set-cookie"),
        pytest.param("Cache-Control: public", "", id="no-lifetime"),
        pytest.param("Cache-Control: public, max-age=0", "Cookie: a=b", id="cookie"),
        pytest.param("Cache-Control: public, max-age=0", "Authorization: x", id="authorization"),
    ],
)
@pytest.mark.parametrize("set_cookie", ["private", "strip", "ignore"])
def test_lifetime_zero_is_for_nobody_else_where_anything_speaks_against_it(
    fields: str, asked: str, set_cookie: str
) -> None:
    found = verdict(fields, asked, cache={"share_lifetime_zero": True}, set_cookie=set_cookie)
    assert isinstance(found, NotForSharing)


# errors


@pytest.mark.parametrize(
    "fields", ["", "Cache-Control: no-store", HEURISTIC, "Cache-Control: public, max-age=0"]
)
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_a_5xx_without_freshness_is_the_origins_failure(status: int, fields: str) -> None:
    assert verdict(fields, status=status) == OriginFailed(status)


@pytest.mark.parametrize("fields", ["", "Cache-Control: private, max-age=60", "Set-Cookie: a=b", HEURISTIC])
@pytest.mark.parametrize("status", sorted(ABOUT_THE_LEADER))
def test_some_answers_are_about_the_leader(status: int, fields: str) -> None:
    assert verdict(fields, status=status) == AboutLeader(status)


# properties

FORBIDDING: list[Pair] = [
    (b"Cache-Control", b"private"),
    (b"cache-control", b'PRIVATE="x"'),
    (b"Cache-Control", b"no-store"),
    (b"Cache-Control", b"no-store=x"),
    (b"Set-Cookie", b"a=b"),
    (b"Vary", b"*"),
    (b"Vary", b"Accept, *"),
    (b"Content-Type", b"text/event-stream"),
]

REQUESTS = st.lists(
    st.sampled_from(
        [
            (b"Cookie", b"a=b"),
            (b"Authorization", b"x"),
            (b"Cache-Control", b"no-cache"),
            (b"Accept-Encoding", b"gzip"),
            (b"Range", b"bytes=0-1"),
        ]
    ),
    max_size=4,
).map(lambda pairs: RequestHead("GET", b"/a", Fields(pairs), authority=b"example.org"))

ROUTES = st.builds(
    lambda zero, lifetime, cookies: route(
        cache={"share_lifetime_zero": zero, "lifetime_s": lifetime}, cookies=cookies
    ),
    st.booleans(),
    st.sampled_from([None, 0, 60]),
    st.sampled_from(["forward", "strip", "key"]),
)


@pytest.mark.slow
@given(
    forbidding=st.sampled_from(FORBIDDING),
    before=permissive_fields(),
    after=permissive_fields(),
    asked=REQUESTS,
    where=ROUTES,
    status=st.sampled_from([200, 203, 204, 206, 301, 304, 401, 404, 410, 500, 503]),
)
def test_no_fields_outweigh_one_that_forbids(
    forbidding: Pair,
    before: list[Pair],
    after: list[Pair],
    asked: RequestHead,
    where: RouteSettings,
    status: int,
) -> None:
    pairs = [*before, forbidding, *after]
    if forbidding[0] == b"Content-Type":
        pairs = [forbidding, *(pair for pair in pairs if pair[0] != b"Content-Type")]
    found = judge(asked, ResponseHead(status, Fields(pairs)), route=where, now=NOW)
    assert not isinstance(found, Shareable | WaitingOnly)
    if isinstance(found, NotForSharing):
        assert found.store_terms is None


@pytest.mark.slow
@given(fields=permissive_fields(), asked=REQUESTS, where=ROUTES, age=st.integers(0, 200))
def test_whoever_leads_may_take_what_is_shareable_for_it(
    fields: list[Pair], asked: RequestHead, where: RouteSettings, age: int
) -> None:
    head = ResponseHead(200, Fields([*fields, (b"Age", b"%d" % age)]))
    found = judge(asked, head, route=where, now=NOW)
    if isinstance(found, Shareable | WaitingOnly):
        assert may_take(asked, head, found.terms, route=where) is None


@given(fields=permissive_fields(), asked=REQUESTS, where=ROUTES)
def test_credentials_share_only_what_names_them(
    fields: list[Pair], asked: RequestHead, where: RouteSettings
) -> None:
    head = ResponseHead(200, Fields(fields))
    terms = terms_of(head, cache=where.cache, now=NOW)
    assume(may_take(asked, head, terms, route=where) is None)
    if b"authorization" in asked.fields:
        assert terms.with_authorization
    if b"cookie" in asked.fields and where.cookies != "strip":
        assert terms.explicit


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=8), st.integers(100, 599))
def test_no_octets_make_the_judge_raise(pairs: list[Pair], status: int) -> None:
    judge(request(), ResponseHead(status, Fields(pairs)), route=route(), now=NOW)


# each waiter and each hit


EXPLICIT = Terms(60, LifetimeSource.MAX_AGE)
FOR_ALL = Terms(60, LifetimeSource.MAX_AGE, with_authorization=True)
GUESSED = Terms(60, LifetimeSource.HEURISTIC)
ZERO = Terms(0, LifetimeSource.MAX_AGE, with_authorization=True)
VALIDATE = Terms(60, LifetimeSource.MAX_AGE, with_authorization=True, always_revalidate=True)


@pytest.mark.parametrize(
    ("asked", "terms", "reason"),
    [
        pytest.param("", EXPLICIT, None, id="plain"),
        pytest.param("", GUESSED, None, id="plain-guessed"),
        pytest.param("", ZERO, None, id="plain-zero"),
        pytest.param("Cookie: a=b", EXPLICIT, None, id="cookie"),
        pytest.param("Cookie: a=b", GUESSED, Reason.COOKIE_HEURISTIC, id="cookie-guessed"),
        pytest.param("Cookie: a=b", ZERO, Reason.COOKIE_LIFETIME_ZERO, id="cookie-zero"),
        pytest.param("Cookie: a=b", VALIDATE, Reason.COOKIE_LIFETIME_ZERO, id="cookie-no-cache"),
        pytest.param("Authorization: x", EXPLICIT, Reason.AUTHORIZATION, id="authorization"),
        pytest.param("Authorization: x", FOR_ALL, None, id="authorization-allowed"),
        pytest.param("Authorization: x", ZERO, Reason.AUTHORIZATION, id="authorization-zero"),
        pytest.param("Cache-Control: no-store", EXPLICIT, None, id="no-store-takes-what-is-stored"),
    ],
)
def test_each_request_is_looked_at_before_it_gets_a_shared_response(
    asked: str, terms: Terms, reason: Reason | None
) -> None:
    assert may_take(request(asked), response(FRESH), terms, route=route()) is reason


@pytest.mark.parametrize(
    ("method", "settings", "reason"),
    [
        pytest.param("HEAD", {}, None, id="head"),
        pytest.param("POST", {}, Reason.METHOD, id="post"),
        pytest.param("GET", {"cache": {"enabled": False}}, Reason.CACHE_DISABLED, id="cache-off"),
        pytest.param("GET", {"cookies": "bypass"}, Reason.BYPASS, id="cookies-bypass"),
        pytest.param("GET", {"bypass": {"headers": {"Cookie": "a="}}}, Reason.BYPASS, id="rule"),
    ],
)
def test_the_route_is_asked_for_each_request(
    method: str, settings: dict[str, Any], reason: Reason | None
) -> None:
    asked = request("Cookie: a=b", method=method)
    assert may_take(asked, response(FRESH), EXPLICIT, route=route(**settings)) is reason


def test_a_response_with_set_cookie_is_given_to_nobody_under_the_private_rule() -> None:
    head = response(f"{FRESH}|Set-Cookie: a=b")
    assert may_take(request(), head, EXPLICIT, route=route()) is Reason.SET_COOKIE
    assert may_take(request(), head, EXPLICIT, route=route(set_cookie="ignore")) is None


# joining


@pytest.mark.parametrize(
    ("asked", "method", "has_body", "settings", "refusal"),
    [
        pytest.param("", "GET", False, {}, None, id="get"),
        pytest.param("", "HEAD", False, {}, None, id="head"),
        pytest.param("Cookie: a=b", "GET", False, {}, None, id="cookie"),
        pytest.param("Range: bytes=0-1", "GET", False, {}, None, id="range"),
        pytest.param("Cache-Control: no-cache", "GET", False, {}, None, id="no-cache"),
        pytest.param("", "POST", False, {}, JoinRefusal.METHOD, id="post"),
        pytest.param("", "GET", True, {}, JoinRefusal.BODY, id="body"),
        pytest.param("", "GET", False, {"cache": {"enabled": False}}, JoinRefusal.CACHE_DISABLED, id="off"),
        pytest.param(
            "Cookie: a", "GET", False, {"cookies": "bypass"}, JoinRefusal.COOKIE, id="cookie-bypass"
        ),
        pytest.param("", "GET", False, {"bypass": {"paths": ("/a",)}}, JoinRefusal.BYPASS, id="bypass"),
        pytest.param("Cache-Control: no-store", "GET", False, {}, JoinRefusal.NO_STORE, id="no-store"),
        pytest.param("Authorization: x", "GET", False, {}, JoinRefusal.AUTHORIZATION, id="authorization"),
        pytest.param("Authorization: x", "GET", True, {}, JoinRefusal.BODY, id="authorization-comes-last"),
        pytest.param(
            "Connection: Upgrade|Upgrade: websocket", "GET", False, {}, JoinRefusal.UPGRADE, id="upgrade"
        ),
        pytest.param("Connection: Upgrade|Upgrade: h2c", "GET", False, {}, None, id="upgrade-not-passed-on"),
    ],
)
def test_a_request_joins_unless_something_is_against_it(
    asked: str, method: str, has_body: bool, settings: dict[str, Any], refusal: JoinRefusal | None
) -> None:
    assert may_join(request(asked, method=method), route=route(**settings), has_body=has_body) is refusal


# short lifetimes of errors

NEGATIVE: dict[str, Any] = {"cache": {"negative_lifetimes_s": {"404": 5, "5xx": 1}}}


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_error_that_the_route_gives_a_lifetime_is_shared(status: int) -> None:
    assert isinstance(verdict("", status=status, **NEGATIVE), Shareable)


@pytest.mark.parametrize("fields", ["Cache-Control: private", "Cache-Control: no-store", "Set-Cookie: a=1"])
def test_but_not_in_spite_of_what_forbids_it(fields: str) -> None:
    assert not isinstance(verdict(fields, status=404, **NEGATIVE), Shareable)


def test_a_failure_does_not_replace_what_may_stand_in_for_it() -> None:
    def judged(fields: str) -> Verdict:
        head = response(fields, status=500)
        return judge(request(), head, route=route(**NEGATIVE), now=NOW, has_fallback=True)

    assert isinstance(judged(""), OriginFailed)
    assert isinstance(judged("Cache-Control: max-age=60"), Shareable), "the origin itself said so"


@pytest.mark.parametrize(
    ("reason", "asked", "cookies", "holds"),
    [
        pytest.param(Reason.COOKIE_HEURISTIC, "", "forward", False, id="a-cookie-of-another"),
        pytest.param(Reason.COOKIE_HEURISTIC, "Cookie: a=b", "forward", True, id="cookies-on-both"),
        pytest.param(Reason.COOKIE_HEURISTIC, "Cookie: a=b", "strip", False, id="a-cookie-nobody-sees"),
        pytest.param(Reason.PRIVATE, "", "forward", True, id="what-the-answer-says"),
    ],
)
def test_what_was_not_for_sharing_for_a_cookie_tells_nothing_of_those_without(
    reason: Reason, asked: str, cookies: str, holds: bool
) -> None:
    assert holds_for(reason, request(asked), route=route(cookies=cookies)) is holds
