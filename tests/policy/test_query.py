"""What a route takes out of the query is neither in the key nor before the origin's eyes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import QuerySettings
from proxy.policy.keys import cache_key
from proxy.policy.query import parameter_name, with_normal_query
from proxy.policy.rewriting import forward_target
from tests.policy.heads import request, route

NAMES = st.sampled_from(["a", "b", "%61", "utm_id", "utm%5Fid", "A", "", "é"])
VALUES = st.sampled_from(["", "=", "=1", "=2", "=a%26b", "=;utm_id=1"])
QUERIES = st.lists(st.tuples(NAMES, VALUES).map("".join), max_size=6).map(
    lambda found: "&".join(found).encode()
)
RULES = st.builds(
    QuerySettings,
    sort=st.booleans(),
    drop=st.sampled_from([(), ("utm_*",), ("a", "b"), ("*",)]),
    keep=st.sampled_from([None, (), ("a",), ("a*", "utm_id")]),
)


@pytest.mark.parametrize(
    ("rules", "target", "expected"),
    [
        pytest.param({}, b"/a?b&&a=", b"/a?b&&a=", id="no-rules-no-change"),
        pytest.param({"sort": True}, b"/a?b=1&a=2", b"/a?a=2&b=1", id="sort"),
        pytest.param({"sort": True}, b"/a?b=2&a=1&b=1", b"/a?a=1&b=2&b=1", id="sort-keeps-the-order-of-one"),
        pytest.param({"sort": True}, b"/a?&b&&a&", b"/a?a&b", id="empty-ones-go"),
        pytest.param({"sort": True}, b"/a?", b"/a", id="an-empty-query-goes"),
        pytest.param({"sort": True}, b"/a", b"/a", id="no-query"),
        pytest.param({"drop": ["utm_*"]}, b"/a?utm_id=1&b=2&utm_x=3", b"/a?b=2", id="drop"),
        pytest.param({"drop": ["utm_*"]}, b"/a?utm_id=1", b"/a", id="drop-all"),
        pytest.param({"drop": ["utm_*"]}, b"/a?utm%5fid=1&b=%5f", b"/a?b=%5f", id="drop-encoded"),
        pytest.param({"drop": ["a"]}, b"/a?a&b", b"/a?b", id="drop-without-value"),
        pytest.param({"drop": ["a"]}, b"/a?A=1", b"/a?A=1", id="case-means-something"),
        pytest.param({"keep": ["id"]}, b"/a?x=1&id=2&y", b"/a?id=2", id="keep"),
        pytest.param({"keep": []}, b"/a?x=1", b"/a", id="keep-none"),
        pytest.param({"keep": ["*"], "drop": ["x"]}, b"/a?x=1&y=2", b"/a?y=2", id="drop-outweighs-keep"),
        pytest.param(
            {"drop": ["utm_id"]}, b"/a?b=1;utm_id=2", b"/a?b=1;utm_id=2", id="semicolons-are-no-ends"
        ),
        pytest.param({"sort": True}, b"*", b"*", id="asterisk"),
    ],
)
def test_the_query_is_normalised(rules: dict[str, object], target: bytes, expected: bytes) -> None:
    assert with_normal_query(target, rules=QuerySettings.model_validate(rules)) == expected


@pytest.mark.slow
@given(QUERIES, RULES)
def test_normalising_twice_changes_nothing(query: bytes, rules: QuerySettings) -> None:
    once = with_normal_query(b"/a?" + query, rules=rules)
    assert with_normal_query(once, rules=rules) == once


@given(QUERIES, RULES)
def test_nothing_is_invented_or_changed(query: bytes, rules: QuerySettings) -> None:
    kept = with_normal_query(b"/a?" + query, rules=rules).partition(b"?")[2]
    assert set(kept.split(b"&")) - {b""} <= set(query.split(b"&"))


@pytest.mark.slow
@given(QUERIES, QUERIES, RULES)
def test_what_is_not_in_the_key_does_not_reach_the_origin(
    one: bytes, other: bytes, rules: QuerySettings
) -> None:
    """Two targets of one key are one target to the origin: no input is unkeyed."""
    settings = route(query=rules.model_dump())
    heads = [request(target=b"/a?" + query) for query in (one, other)]
    keys = {cache_key("r", head, route=settings) for head in heads}
    asked = {forward_target(head, route=settings) for head in heads}
    assert len(keys) == len(asked)


def test_a_dropped_parameter_in_disguise_stays_in_the_key() -> None:
    settings = route(query={"drop": ["utm_id"]})
    keys = {
        cache_key("r", request(target=b"/a?" + query), route=settings)
        for query in (b"", b"b=1;utm_id=2", b"Utm_id=2", b"utm_id%00=2")
    }
    assert len(keys) == 4


def test_an_unsafe_request_keeps_its_query_and_names_the_same_key() -> None:
    settings = route(query={"drop": ["utm_*"], "sort": True})
    post = request(method="POST", target=b"/a?b&a&utm_id=1")
    assert forward_target(post, route=settings) == b"/a?b&a&utm_id=1"
    assert cache_key("r", post, route=settings) == cache_key("r", request(target=b"/a?a&b"), route=settings)


def test_head_is_normalised_as_get_is() -> None:
    settings = route(query={"sort": True})
    assert forward_target(request(method="HEAD", target=b"/a?b&a"), route=settings) == b"/a?a&b"


@given(st.binary(max_size=20))
def test_no_octets_make_a_name_raise(parameter: bytes) -> None:
    parameter_name(parameter)
