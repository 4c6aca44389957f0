from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import RouteSettings
from proxy.http.messages import RequestHead
from proxy.policy.key_parts import key_under
from proxy.policy.keys import CacheKey, cache_key
from proxy.policy.no_vary_search import search_variance
from proxy.policy.purges import (
    Coverage,
    Everything,
    Matching,
    Tagged,
    Targets,
    forwarded_prefixes,
    labels_of,
    prefixed,
    target_keys,
    varies_on_search,
)
from proxy.policy.rewriting import forward_target
from proxy.policy.target_uri import request_of_url
from proxy.routing import Route, Router, route_name
from tests.policy.heads import fields_of, route

ORIGIN = b"https://example.org"


def key_of(url: str, fields: str = "", **settings: Any) -> CacheKey:
    head = request_of_url(url, fields=fields_of(fields))
    chosen = route(**settings)
    return cache_key(route_name(chosen), head, route=chosen)


def of_url(url: str, **settings: Any) -> Targets:
    chosen = route(**settings)
    return Targets(target_keys(Route(0, route_name(chosen), chosen), request_of_url(url)))


def of_prefix(url: str, **settings: Any) -> Coverage:
    return prefixed(request_of_url(url), routes=Router([route(**settings)]).routes)


NO_UTM = 'No-Vary-Search: params=("utm")'
SEARCH = labels_of(fields_of(NO_UTM), origin=ORIGIN)
KEYED = {"cookies": "key"}
STRIPPED = {"path": "/img", "rewrite": {"strip_prefix": "/img", "add_prefix": "/static"}}
REWRITTEN = {"rewrite": {"pattern": "/(.*)", "replacement": r"/v2/\1"}}

URLS = [
    pytest.param(of_url("https://example.org/a"), key_of("https://example.org/a"), True, id="itself"),
    pytest.param(
        of_url("https://example.org/a"), key_of("http://example.org/a"), True, id="before-tls-ended"
    ),
    pytest.param(of_url("http://EXAMPLE.org:80/a#x"), key_of("http://example.org/a"), True, id="normal"),
    pytest.param(of_url("https://example.org/a"), key_of("https://example.org/b"), False, id="another-path"),
    pytest.param(of_url("https://example.org/a"), key_of("https://example.net/a"), False, id="another-host"),
    pytest.param(of_url("https://example.org/a"), key_of("https://example.org/a?"), False, id="empty-query"),
    pytest.param(
        of_url("https://example.org/a", **KEYED),
        key_of("https://example.org/a", "Cookie: id=1", **KEYED),
        True,
        id="whatever-the-cookies",
    ),
    pytest.param(
        of_url("https://example.org/img/a", **STRIPPED),
        key_of("https://example.org/img/a", **STRIPPED),
        True,
        id="rewritten",
    ),
    pytest.param(
        of_url("https://example.org/a?b=2&utm_x=1&a=1", query={"sort": True, "drop": ["utm_*"]}),
        key_of("https://example.org/a?a=1&b=2", query={"sort": True, "drop": ["utm_*"]}),
        True,
        id="normal-query",
    ),
]


@pytest.mark.parametrize(("coverage", "key", "covered"), URLS)
def test_a_url_covers_every_key_of_its_target_and_no_other(
    coverage: Coverage, key: CacheKey, covered: bool
) -> None:
    assert coverage.covers(key, frozenset()) is covered


@pytest.mark.parametrize(
    ("target", "covered"), [("/a?x=1&utm=9", True), ("/a?x=1", True), ("/a?x=2", False), ("/b?x=1", False)]
)
def test_a_url_covers_the_queries_that_a_response_declares_to_be_equivalent(
    target: str, covered: bool
) -> None:
    coverage, key = of_url("https://example.org/a?x=1&utm=1"), key_of(f"https://example.org{target}")
    assert coverage.covers(key, SEARCH) is covered
    assert not coverage.covers(key, frozenset())


def test_of_a_shared_key_without_labels_a_url_covers_the_whole_page() -> None:
    shared = key_under(key_of("https://example.org/a?x=1"), search_variance(fields_of(NO_UTM)))
    assert of_url("https://example.org/a?x=2").covers(shared, frozenset())
    assert not of_url("https://example.org/b?x=1").covers(shared, frozenset())
    assert not of_url("https://example.org/a?x=2").covers(shared, SEARCH)
    assert of_url("https://example.org/a?utm=3&x=1").covers(shared, SEARCH)


@pytest.mark.parametrize(
    ("prefix", "url", "covered"),
    [
        ("https://example.org/img/", "https://example.org/img/a", True),
        ("https://example.org/img/", "http://example.org/img/a", True),
        ("https://example.org/img", "https://example.org/imgs", True),
        ("https://example.org/img/", "https://example.org/img", False),
        ("https://example.org", "https://example.org/x?y", True),
        ("https://example.org/a?x=", "https://example.org/a?x=1", True),
        ("https://example.org/", "https://example.org.evil/a", False),
        ("https://example.org/", "https://example.org:8443/a", False),
    ],
)
def test_a_prefix_covers_the_urls_of_its_host_that_begin_so(prefix: str, url: str, covered: bool) -> None:
    assert of_prefix(prefix).covers(key_of(url), frozenset()) is covered


@pytest.mark.parametrize(
    ("settings", "prefix", "url", "covered"),
    [
        (STRIPPED, "/img/a", "/img/a1", True),
        (STRIPPED, "/img/a", "/img/b", False),
        (STRIPPED, "/i", "/img/b", True),
        (STRIPPED, "/other", "/img/b", False),
        (REWRITTEN, "/a", "/b", True),
    ],
    ids=["below", "beside", "above", "of-another-route", "by-pattern-nobody-knows"],
)
def test_a_prefix_goes_by_what_clients_ask_for(
    settings: dict[str, Any], prefix: str, url: str, covered: bool
) -> None:
    coverage = of_prefix(f"https://example.org{prefix}", **settings)
    assert coverage.covers(key_of(f"https://example.org{url}", **settings), frozenset()) is covered


PATHS = st.lists(st.sampled_from(["/", "img", "imgs", "a", "static", "?", "x"]), max_size=6).map(
    lambda parts: "/" + "".join(parts)
)
REWRITES = st.fixed_dictionaries(
    {"strip_prefix": st.sampled_from([None, "/", "/img", "/img/a"])}
    | {"add_prefix": st.sampled_from([None, "/", "/static"])}
)


@given(prefix=PATHS, rest=PATHS, rewrite=REWRITES)
def test_no_target_that_begins_so_escapes_by_being_rewritten(
    prefix: str, rest: str, rewrite: dict[str, Any]
) -> None:
    settings: RouteSettings = route(rewrite=rewrite)
    for target in (prefix, prefix + rest, prefix + rest[1:]):
        forwarded = forward_target(RequestHead("GET", target.encode(), fields_of("")), route=settings)
        assert forwarded.startswith(forwarded_prefixes(prefix.encode(), route=settings))


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        (rb"\.png$", True),
        (rb"^http://example\.org/", True),
        (rb"^https://example\.org/", True),
        (rb"^/img", False),
        (rb"11:example", False),
        (rb"session", False),
    ],
    ids=["ending", "as-http", "as-https", "not-a-path-alone", "no-octets-of-the-key", "no-cookies"],
)
def test_a_pattern_is_searched_in_the_url_and_nowhere_else(pattern: bytes, covered: bool) -> None:
    key = key_of("http://example.org/img/a.png", "Cookie: session=1", **KEYED)
    assert Matching(re.compile(pattern)).covers(key, frozenset()) is covered


def test_a_tag_covers_what_has_it_and_everything_covers_all() -> None:
    key = key_of("https://example.org/a")
    assert Tagged(frozenset({b"a", b"b"})).covers(key, frozenset({b"b", b"c"}))
    assert not Tagged(frozenset({b"a"})).covers(key, frozenset({b"b"}))
    assert Everything().covers(key, frozenset())


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ("Surrogate-Key: a b", b"b"),
        ("Cache-Tag: a, b", b"b"),
        ('Cache-Groups: "a", "b"', b"b"),
        ('Cache-Groups: "b"', b"group, https://example.org b"),
    ],
)
def test_labels_are_tags_and_groups(fields: str, label: bytes) -> None:
    assert label in labels_of(fields_of(fields), origin=ORIGIN)


@pytest.mark.parametrize(
    "fields",
    ['Cache-Groups: "no-vary-search, params"', "Surrogate-Key: no-vary-search, params", "No-Vary-Search: ?1"],
)
def test_no_tag_passes_for_a_search_variance(fields: str) -> None:
    assert not varies_on_search(labels_of(fields_of(fields), origin=ORIGIN))
