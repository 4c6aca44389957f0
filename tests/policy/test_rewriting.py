"""The route changes the path and leaves the query alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientError
from proxy.policy.rewriting import forward_target
from tests.policy.heads import request, route


def target(raw: bytes, **rewrite: Any) -> bytes:
    return forward_target(request(target=raw), route=route(rewrite=rewrite))


@pytest.mark.parametrize(
    ("raw", "rewrite", "expected"),
    [
        pytest.param(b"/a?b", {}, b"/a?b", id="nothing"),
        pytest.param(b"/api/a?x=/api/", {"strip_prefix": "/api"}, b"/a?x=/api/", id="strip"),
        pytest.param(b"/api/a", {"strip_prefix": "/api/"}, b"/a", id="strip-with-slash"),
        pytest.param(b"/api", {"strip_prefix": "/api"}, b"/", id="strip-all"),
        pytest.param(b"/api?", {"strip_prefix": "/api"}, b"/?", id="empty-query-stays"),
        pytest.param(b"/apix", {"strip_prefix": "/api"}, b"/apix", id="whole-segments-only"),
        pytest.param(b"/%61pi/a", {"strip_prefix": "/api"}, b"/%61pi/a", id="encoded-is-another-path"),
        pytest.param(b"/a", {"add_prefix": "/v1"}, b"/v1/a", id="add"),
        pytest.param(b"/a", {"add_prefix": "/v1/"}, b"/v1/a", id="add-with-slash"),
        pytest.param(b"/api/a", {"strip_prefix": "/api", "add_prefix": "/v1"}, b"/v1/a", id="both"),
        pytest.param(b"/a/b?c", {"pattern": "/(.)/(.)", "replacement": r"/\2/\1"}, b"/b/a?c", id="pattern"),
        pytest.param(
            b"/a/b/c", {"pattern": "/./.", "replacement": "/"}, b"/a/b/c", id="whole-path-or-nothing"
        ),
        pytest.param(
            b"/a%2Fb", {"pattern": "/(?P<x>.*)", "replacement": r"/y/\g<x>"}, b"/y/a%2Fb", id="encoded"
        ),
        pytest.param(b"*", {"add_prefix": "/v1"}, b"*", id="asterisk"),
    ],
)
def test_the_path_is_rewritten(raw: bytes, rewrite: dict[str, str], expected: bytes) -> None:
    assert target(raw, **rewrite) == expected


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        pytest.param("/(.*)", r"\1", id="no-slash"),
        pytest.param("/.*", "", id="empty"),
        pytest.param("/.*", "/a b", id="space"),
        pytest.param("/.*", "/a?b", id="query"),
        pytest.param("/.*", "/a#b", id="fragment"),
        pytest.param("/.*", "/é", id="non-ascii"),
    ],
)
def test_what_is_no_path_is_refused(pattern: str, replacement: str) -> None:
    with pytest.raises(ClientError, match=r"rewrite\.pattern"):
        target(b"/a", pattern=pattern, replacement=replacement)


@given(
    st.from_regex(rb"/[!\"$->@-~]{0,12}", fullmatch=True), st.from_regex(rb"(\?[ -~]{0,9})?", fullmatch=True)
)
def test_prefixes_leave_a_path_and_the_exact_query(path: bytes, query: bytes) -> None:
    rewritten = target(path + query, strip_prefix="/a", add_prefix="/b")
    assert rewritten.startswith(b"/b/")
    assert rewritten.endswith(query)
