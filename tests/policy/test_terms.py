"""Terms say how far a response may be used, and for whom."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.settings import RouteCacheSettings
from proxy.policy.freshness import LifetimeSource
from proxy.policy.terms import Terms, terms_of
from tests.policy.heads import NOW, response


def terms(cache_control: str, **settings: Any) -> Terms:
    cache = RouteCacheSettings(**settings)
    return terms_of(response(f"Cache-Control: {cache_control}"), cache=cache, now=NOW)


def test_the_answer_says_how_long_it_may_be_served_stale() -> None:
    said = terms("max-age=60, stale-while-revalidate=30, stale-if-error=40", grace_s=5, stale_if_error_s=6)
    assert said == Terms(60, LifetimeSource.MAX_AGE, grace_s=30, stale_if_error_s=40, max_stale_s=86400)


def test_the_route_says_it_where_the_answer_does_not() -> None:
    said = terms("max-age=60", grace_s=5, stale_if_error_s=6)
    assert (said.grace_s, said.stale_if_error_s) == (5, 6)


def test_the_answer_can_say_zero() -> None:
    said = terms("max-age=60, stale-while-revalidate=0, stale-if-error=0", grace_s=5, stale_if_error_s=6)
    assert (said.grace_s, said.stale_if_error_s) == (0, 0)


def test_s_maxage_forbids_the_stale_that_the_answer_does_not_offer_itself() -> None:
    said = terms("s-maxage=60, stale-while-revalidate=30", grace_s=5, stale_if_error_s=6)
    assert (said.grace_s, said.stale_if_error_s, said.max_stale_s) == (30, 0, 0)


@pytest.mark.parametrize("forbidding", ["must-revalidate", "proxy-revalidate", "no-cache"])
def test_no_stale_where_a_directive_forbids_it(forbidding: str) -> None:
    said = terms(f"max-age=60, stale-while-revalidate=30, stale-if-error=40, {forbidding}", grace_s=5)
    assert (said.grace_s, said.stale_if_error_s, said.max_stale_s) == (0, 0, 0)


def test_every_kind_of_stale_is_capped() -> None:
    said = terms("max-age=60, stale-while-revalidate=999, stale-if-error=999", max_stale_s=100)
    assert (said.grace_s, said.stale_if_error_s, said.max_stale_s) == (100, 100, 100)


@pytest.mark.parametrize(
    ("cache_control", "allowed"),
    [
        pytest.param("public", True, id="public"),
        pytest.param("s-maxage=1", True, id="s-maxage"),
        pytest.param("must-revalidate", True, id="must-revalidate"),
        pytest.param("max-age=60", False, id="max-age"),
        pytest.param("proxy-revalidate, max-age=60", False, id="proxy-revalidate"),
    ],
)
def test_three_directives_let_requests_with_authorization_share(cache_control: str, allowed: bool) -> None:
    assert terms(cache_control).with_authorization is allowed


def test_no_cache_always_revalidates_even_where_the_route_gives_a_lifetime() -> None:
    said = terms("no-cache", lifetime_s=60)
    assert said.always_revalidate
    assert said.explicit


def test_the_short_lifetime_of_an_error_is_not_prolonged_by_the_route() -> None:
    cache = RouteCacheSettings.model_validate(
        {"negative_lifetimes_s": {"404": 5}, "grace_s": 60, "stale_if_error_s": 60}
    )
    said = terms_of(response(status=404), cache=cache, now=NOW)
    assert (said.lifetime_s, said.grace_s, said.stale_if_error_s) == (5, 0, 0)
    said = terms_of(response("Cache-Control: stale-if-error=9", status=404), cache=cache, now=NOW)
    assert said.stale_if_error_s == 9
