from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.key_parts import (
    key_under,
    page_of,
    parts_of_key,
    place_of_key,
    slice_key,
    target_key_of,
    url_of_key,
    whole_key,
)
from proxy.policy.keys import cache_key, key_of_target
from proxy.policy.no_vary_search import DEFAULT, SearchVariance, equivalent, variance_text
from tests.policy.heads import route

ODD = st.binary(max_size=12).map(lambda octets: octets.translate(None, b"\r\n\0;"))
ADDING = route(cookies="key", key={"fields": ["X-A", "X-B"], "cookies": ["id", "lang"]})


@given(
    query=st.binary(max_size=12),
    values=st.lists(ODD, max_size=2),
    cookies=st.lists(st.tuples(st.sampled_from([b"id", b"lang", b"x"]), ODD), max_size=3),
)
def test_the_parts_are_what_the_key_was_made_of(
    query: bytes, values: list[bytes], cookies: list[tuple[bytes, bytes]]
) -> None:
    lines = [b"; ".join(b"%b=%b" % pair for pair in cookies)] if cookies else []
    fields = Fields([*((b"X-A", value) for value in values), *((b"Cookie", line) for line in lines)])
    head = RequestHead("GET", b"/a?" + query, fields, authority=b"EXAMPLE.org:80")
    key = cache_key("r", head, route=ADDING)
    parts = parts_of_key(key)
    assert (parts.scheme, parts.authority, parts.target) == (b"http", b"example.org", head.target)
    assert parts.route == b"r"
    assert [name for name, _ in parts.fields] == [b"x-a", b"x-b"]
    assert (parts.fields[0][1] is None) == (not values)
    assert parts.cookie_lines == tuple(lines)
    assert dict(parts.cookies) == {
        wanted: tuple(value.strip(b" \t") for name, value in cookies if name == wanted)
        for wanted in (b"id", b"lang")
    }
    assert target_key_of(key) == key_of_target("r", head, route=ADDING)
    assert url_of_key(key) == parts.url == b"http://example.org" + head.target
    assert place_of_key(key) == (b"example.org", head.target, b"r")


def test_all_queries_of_a_path_are_one_page_and_another_path_is_none() -> None:
    def page(target: bytes, name: str = "r") -> bytes:
        return page_of(cache_key(name, RequestHead("GET", target, Fields(), authority=b"a"), route=route()))

    assert page(b"/a?x") == page(b"/a?y") == page(b"/a")
    assert page(b"/a") not in (page(b"/b"), page(b"/a", "s"))


VARIANCE = SearchVariance(frozenset({"utm"}), key_order=False)


@given(
    st.lists(st.sampled_from([b"x=1", b"y=2", b"utm=3", b"x=2"]), max_size=4).map(b"&".join),
    st.lists(st.sampled_from([b"x=1", b"y=2", b"utm=3", b"x=2"]), max_size=4).map(b"&".join),
)
def test_equivalent_targets_share_a_key_and_no_others_do(one: bytes, other: bytes) -> None:
    def head(query: bytes) -> RequestHead:
        return RequestHead("GET", b"/a?" + query, Fields([(b"X-A", b"1")]), authority=b"a")

    keys = [key_under(cache_key("r", head(query), route=ADDING), VARIANCE) for query in (one, other)]
    assert (keys[0] == keys[1]) == equivalent(head(one).target, head(other).target, VARIANCE)
    for key, query in zip(keys, (one, other), strict=True):
        exact = cache_key("r", head(query), route=ADDING)
        parts = parts_of_key(key)
        assert parts.search == variance_text(VARIANCE)
        assert equivalent(parts.target, head(query).target, VARIANCE)
        assert replace(parts, target=b"", search=None) == replace(parts_of_key(exact), target=b"")
        assert page_of(key) == page_of(exact)


def test_what_is_stored_under_one_variance_is_not_found_under_another() -> None:
    key = cache_key("r", RequestHead("GET", b"/a?x=1", Fields(), authority=b"a"), route=route())
    assert key_under(key, DEFAULT) == key
    assert len({key, key_under(key, VARIANCE), key_under(key, SearchVariance(key_order=False))}) == 3


@pytest.mark.parametrize("octets", [b"", b"key", b"4:http", b"4:http;", b"9:http,", b"x:http,"])
def test_what_is_no_key_is_said_to_be_none(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parts_of_key(octets)


@given(
    query=st.binary(max_size=12),
    values=st.lists(ODD, max_size=2),
    number=st.integers(0, 10**12),
    variance=st.sampled_from([DEFAULT, VARIANCE]),
)
def test_a_slice_has_a_key_of_its_own_under_the_target_of_the_whole(
    query: bytes, values: list[bytes], number: int, variance: SearchVariance
) -> None:
    head = RequestHead("GET", b"/a?" + query, Fields([(b"X-A", one) for one in values]), authority=b"a")
    whole = cache_key("r", head, route=ADDING)
    key = slice_key(whole, number, 1024)
    assert key != whole
    assert whole_key(key) == whole == whole_key(whole)
    assert parts_of_key(key) == replace(parts_of_key(whole), slice=(number, 1024))
    assert (target_key_of(key), page_of(key)) == (target_key_of(whole), page_of(whole))
    assert (place_of_key(key), url_of_key(key)) == (place_of_key(whole), url_of_key(whole))
    assert key_under(key, variance) == slice_key(key_under(whole, variance), number, 1024)
    assert key not in (slice_key(whole, number + 1, 1024), slice_key(whole, number, 2048))
