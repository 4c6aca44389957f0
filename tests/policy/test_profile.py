"""`strict-rfc` turns each choice of the table to the letter of the RFC; each is shown by what it changes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given

from proxy.config.settings import CacheProfile, RouteCacheSettings
from proxy.http.fields import Fields, Pair
from proxy.http.messages import ResponseHead
from proxy.policy.conditional import same_representation
from proxy.policy.forwarding import ClientAddress, forward_fields
from proxy.policy.profile import TABLE, Choices, choices_of
from proxy.policy.sharing import NotForSharing, Shareable, Verdict, WaitingOnly, judge, may_take
from proxy.policy.terms import terms_of
from tests.policy.heads import DATE, NOW, TEN_DAYS_BEFORE, permissive_fields, request, response, route

PRAGMATIC = RouteCacheSettings()
STRICT = RouteCacheSettings(profile=CacheProfile.STRICT_RFC)


def judged(profile: str, asked: str, answered: str, *, status: int = 200) -> Verdict:
    settings: dict[str, Any] = {"cache": {"profile": profile}}
    return judge(request(asked), response(answered, status=status), route=route(**settings), now=NOW)


def test_each_choice_has_both_sides_and_a_section() -> None:
    for name, choice in TABLE.items():
        assert getattr(choices_of(PRAGMATIC), name) is choice.pragmatic
        assert getattr(choices_of(STRICT), name) is choice.strict
        assert choice.pragmatic is not choice.strict, f"{name} is no choice"
        assert choice.section
    assert {field.name for field in dataclasses.fields(Choices)} == set(TABLE)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        pytest.param(
            "",
            "Cache-Control: max-age=60, no-store, must-understand",
            id="no_store_outweighs_must_understand",
        ),
        pytest.param("", "Cache-Control: max-age=60|Set-Cookie: a=1", id="set_cookie_forbids"),
        pytest.param("", 'Cache-Control: max-age=60, a="', id="malformed_forbids"),
        pytest.param(
            "Cookie: a=1",
            f"Date: {DATE.decode()}|Last-Modified: {TEN_DAYS_BEFORE.decode()}",
            id="cookie_needs_explicit_lifetime",
        ),
    ],
)
def test_what_the_rfc_allows_is_shared_under_the_strict_profile_only(asked: str, answered: str) -> None:
    assert isinstance(judged("pragmatic", asked, answered), NotForSharing)
    assert isinstance(judged("strict-rfc", asked, answered), Shareable)


def test_must_understand_needs_a_status_that_is_understood() -> None:
    answered = "Cache-Control: max-age=60, no-store, must-understand"
    assert isinstance(judged("strict-rfc", "", answered, status=299), NotForSharing)


def test_a_stale_answer_is_not_shared_with_those_who_waited_under_the_strict_profile() -> None:
    for answered in ("Cache-Control: max-age=0, public", "Cache-Control: max-age=1|Age: 5"):
        assert isinstance(judged("pragmatic", "", answered), WaitingOnly)
        assert isinstance(judged("strict-rfc", "", answered), NotForSharing)


def test_s_maxage_forbids_every_stale_under_the_strict_profile() -> None:
    head = response("Cache-Control: s-maxage=60, stale-while-revalidate=30, stale-if-error=30")
    assert terms_of(head, cache=PRAGMATIC, now=NOW).grace_s == 30
    strict = terms_of(head, cache=STRICT, now=NOW)
    assert (strict.grace_s, strict.stale_if_error_s) == (0, 0)


def test_a_bare_304_matches_nothing_that_has_a_validator_under_the_strict_profile() -> None:
    bare = response(status=304)
    assert same_representation(response('ETag: "a"'), bare)
    assert not same_representation(response('ETag: "a"'), bare, bare_matches=False)
    assert same_representation(response(), bare, bare_matches=False)


def test_the_leaders_directives_are_all_forwarded_under_the_strict_profile() -> None:
    def forwarded(profile: str) -> bytes | None:
        return forward_fields(
            request("Cache-Control: max-stale=5, no-transform"),
            route=route(cache={"profile": profile}),
            client=ClientAddress(None, "http"),
            via_name="Lockgate",
            leader_of_flight=True,
        ).get(b"cache-control")

    assert forwarded("pragmatic") == b"no-transform"
    assert forwarded("strict-rfc") == b"max-stale=5, no-transform"


@pytest.mark.slow
@given(permissive_fields())
def test_neither_profile_shares_what_is_private(fields: list[Pair]) -> None:
    said = b",".join(value for _, value in fields)
    for profile in CacheProfile:
        for forbidding in (b"private", b"no-store"):
            if profile is CacheProfile.STRICT_RFC and forbidding == b"no-store" and b"must-und" in said:
                continue
            head = ResponseHead(200, Fields([*fields, (b"Cache-Control", forbidding)]))
            verdict = judge(request(), head, route=route(cache={"profile": profile}), now=NOW)
            assert isinstance(verdict, NotForSharing)


@given(permissive_fields())
def test_authorization_shares_only_what_allows_it_under_either_profile(fields: list[Pair]) -> None:
    head = ResponseHead(200, Fields(fields))
    asked = request("Authorization: Basic x")
    for profile in CacheProfile:
        settings = route(cache={"profile": profile})
        terms = terms_of(head, cache=settings.cache, now=NOW)
        assert terms.with_authorization or may_take(asked, head, terms, route=settings) is not None
