"""A targeted field takes the place of Cache-Control and Expires, and only if it is valid (RFC 9213)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import RouteCacheSettings
from proxy.http.fields import Fields
from proxy.policy.cache_control import MAX_DELTA_S, ResponseDirectives
from proxy.policy.freshness import LifetimeSource
from proxy.policy.sharing import NotForSharing, Reason, Shareable, judge
from proxy.policy.targeted import response_directives
from proxy.policy.terms import terms_of
from tests.policy.heads import CACHE_CONTROLS, DATE, NOW, fields_of, request, response, route

CDN = RouteCacheSettings()
OWN_FIRST = RouteCacheSettings(targets=("Lockgate-Cache-Control", "CDN-Cache-Control"))
NONE = RouteCacheSettings(targets=())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("max-age=60", ResponseDirectives(max_age=60), id="max-age"),
        pytest.param("max-age=60;x=1", ResponseDirectives(max_age=60), id="parameters-are-ignored"),
        pytest.param("max-age=99999999999", ResponseDirectives(max_age=MAX_DELTA_S), id="overflow"),
        pytest.param("max-age=1.5", ResponseDirectives(max_age=0), id="a-decimal-is-not-coerced"),
        pytest.param('max-age="60"', ResponseDirectives(max_age=0), id="nor-a-string"),
        pytest.param("max-age", ResponseDirectives(max_age=0), id="nor-a-boolean"),
        pytest.param("max-age=-1", ResponseDirectives(max_age=0), id="negative"),
        pytest.param("max-age=1, max-age=60", ResponseDirectives(max_age=60), id="the-last-counts"),
        pytest.param("no-store", ResponseDirectives(no_store=True), id="no-store"),
        pytest.param("no-store=?0", ResponseDirectives(no_store=True), id="forbids-in-whatever-form"),
        pytest.param("public=1, s-maxage=5", ResponseDirectives(s_maxage=5), id="permits-only-plainly"),
        pytest.param(
            'private="Set-Cookie, x-a"',
            ResponseDirectives(private=True, private_fields=(b"set-cookie", b"x-a")),
            id="field-names",
        ),
        pytest.param("no-cache=token", ResponseDirectives(no_cache=True), id="a-token-names-no-fields"),
        pytest.param("none", ResponseDirectives(), id="an-unknown-directive-is-a-value"),
        pytest.param(
            "must-revalidate, immutable", ResponseDirectives(must_revalidate=True, immutable=True), id="two"
        ),
    ],
)
def test_a_targeted_field_replaces_the_whole_directive_set(value: str, expected: ResponseDirectives) -> None:
    fields = fields_of(f"Cache-Control: private, max-age=5|CDN-Cache-Control: {value}")
    found = response_directives(fields, cache=CDN)
    assert found.targeted
    assert found == ResponseDirectives(
        **{name: getattr(expected, name) for name in ResponseDirectives.__slots__ if name != "targeted"},
        targeted=True,
    )


@pytest.mark.parametrize("value", ["", " ", "max-age=60,", "Max-Age=60", "max-age=60, =", "é"])
def test_a_field_that_cannot_be_read_is_as_if_it_were_not_there(value: str) -> None:
    fields = fields_of(f"Cache-Control: private|CDN-Cache-Control: {value}")
    assert response_directives(fields, cache=CDN) == ResponseDirectives(private=True)


def test_the_first_valid_field_of_the_list_counts() -> None:
    both = "CDN-Cache-Control: max-age=1|Lockgate-Cache-Control: {}"
    assert response_directives(fields_of(both.format("max-age=2")), cache=OWN_FIRST).max_age == 2
    assert response_directives(fields_of(both.format("")), cache=OWN_FIRST).max_age == 1
    assert response_directives(fields_of(both.format("max-age=2")), cache=CDN).max_age == 1


def test_lines_of_a_targeted_field_are_one_value() -> None:
    fields = fields_of("CDN-Cache-Control: max-age=1|CDN-Cache-Control: no-store")
    assert response_directives(fields, cache=CDN) == ResponseDirectives(
        max_age=1, no_store=True, targeted=True
    )


def test_a_targeted_field_silences_expires() -> None:
    head = response(f"CDN-Cache-Control: public|Expires: Mon, 07 Nov 1994 08:49:37 GMT|Date: {DATE.decode()}")
    assert terms_of(head, cache=CDN, now=NOW).source is LifetimeSource.NONE
    assert terms_of(head, cache=NONE, now=NOW).source is LifetimeSource.EXPIRES


def test_an_answer_stored_here_may_be_private_everywhere_else() -> None:
    head = response("Cache-Control: no-store|CDN-Cache-Control: max-age=60")
    assert isinstance(judge(request(), head, route=route(), now=NOW), Shareable)


def test_and_the_other_way_round() -> None:
    head = response("Cache-Control: public, max-age=60|CDN-Cache-Control: private")
    verdict = judge(request(), head, route=route(), now=NOW)
    assert isinstance(verdict, NotForSharing)
    assert verdict.reason is Reason.PRIVATE


@given(CACHE_CONTROLS, st.lists(st.binary(max_size=20), max_size=2))
def test_a_field_that_is_not_on_the_list_changes_nothing(cache_control: bytes, lines: list[bytes]) -> None:
    fields = Fields([(b"Cache-Control", cache_control), *((b"Other-Cache-Control", line) for line in lines)])
    assert response_directives(fields, cache=CDN) == ResponseDirectives.parse(fields)


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=2))
def test_no_octets_make_the_reader_raise(lines: list[bytes]) -> None:
    fields = Fields((b"CDN-Cache-Control", line) for line in lines)
    found = response_directives(fields, cache=CDN)
    assert found.targeted or found == ResponseDirectives()
