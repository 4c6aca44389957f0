"""A successful unsafe request invalidates its target, and what its answer names on the same origin."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.invalidation import invalidated_targets, same_origin_target
from tests.policy.heads import request, response, route


def targets(fields: str = "", *, method: str = "POST", status: int = 200, **cache: object) -> list[bytes]:
    head = request("Cookie: a=1", method=method, target=b"/list?x=1")
    found = invalidated_targets(head, response(fields, status=status), route=route(cache=cache))
    assert all(target.method == "GET" and len(target.fields) == 0 for target in found)
    return [target.target for target in found]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "UNKNOWN"])
@pytest.mark.parametrize("status", [200, 201, 204, 299, 303, 399])
def test_an_unsafe_request_that_did_not_fail_invalidates_its_target(method: str, status: int) -> None:
    assert targets(method=method, status=status) == [b"/list?x=1"]


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_an_error_invalidates_nothing(status: int) -> None:
    assert targets("Location: /b", status=status) == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_a_safe_request_invalidates_nothing(method: str) -> None:
    assert targets("Location: /b", method=method) == []


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        pytest.param("Location: /b", [b"/b"], id="location"),
        pytest.param("Content-Location: b", [b"/b"], id="content-location"),
        pytest.param("Location: /b|Content-Location: /c", [b"/b", b"/c"], id="both"),
        pytest.param("Location: /list?x=1|Content-Location: /b", [b"/b"], id="each-once"),
        pytest.param("Location: http://example.org/b?y#part", [b"/b?y"], id="absolute"),
        pytest.param("Location: http://other.org/b", [], id="another-host"),
        pytest.param("Location: https://example.org/b", [], id="another-scheme"),
        pytest.param("Location: //other.org/b", [], id="another-host-by-a-relative-reference"),
        pytest.param("Location: /b|Location: /c", [], id="two-locations-are-none"),
    ],
)
def test_what_the_answer_names_on_the_same_origin_is_invalidated_too(fields: str, more: list[bytes]) -> None:
    assert targets(fields, status=201) == [b"/list?x=1", *more]


def test_a_route_can_leave_out_what_the_answer_names() -> None:
    assert targets("Location: /b", invalidate_locations=False) == [b"/list?x=1"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        pytest.param(b"", b"/d/p?q", id="empty"),
        pytest.param(b"?", b"/d/p?", id="empty-query"),
        pytest.param(b"?y", b"/d/p?y", id="query"),
        pytest.param(b"#f", b"/d/p?q", id="fragment"),
        pytest.param(b"g", b"/d/g", id="sibling"),
        pytest.param(b"./g/.", b"/d/g/", id="dot"),
        pytest.param(b"../g", b"/g", id="up"),
        pytest.param(b"../../../g", b"/g", id="up-too-far"),
        pytest.param(b"/./a/../b", b"/b", id="absolute-path"),
        pytest.param(b"..", b"/", id="to-the-top"),
        pytest.param(b"/a%2e%2E", b"/a%2e%2E", id="escapes-stay"),
        pytest.param(b"//example.org", b"/", id="no-path"),
        pytest.param(b"//example.org:80/x", b"/x", id="default-port"),
        pytest.param(b"//EXAMPLE.ORG/x", b"/x", id="host-case"),
        pytest.param(b"//example.org:81/x", None, id="port"),
        pytest.param(b"//user@example.org/x", None, id="userinfo"),
        pytest.param(b"//example.org.evil.org/x", None, id="suffix"),
        pytest.param(b"http:/x", None, id="scheme-without-authority"),
        pytest.param(b"mailto:a@b", None, id="another-scheme"),
        pytest.param(b"/a b", None, id="space"),
        pytest.param("/é".encode(), None, id="non-ascii"),
        pytest.param(b"/a\x00", None, id="nul"),
    ],
)
def test_references_are_resolved_on_the_origin_of_the_target(
    reference: bytes, expected: bytes | None
) -> None:
    head = RequestHead("GET", b"/d/p?q", Fields(), authority=b"example.org")
    assert same_origin_target(head, reference) == expected


@pytest.mark.slow
@given(st.text("ab./?#", max_size=12), st.text("ab./", max_size=8))
def test_references_are_resolved_as_the_standard_library_does(reference: str, path: str) -> None:
    has_path = bool(reference.partition("#")[0].partition("?")[0])
    loses_a_query = reference.partition("#")[0].endswith("?")
    assume(has_path and not loses_a_query and "//" not in path + reference)
    base = "/" + path.lstrip("/")
    joined = urljoin(f"http://example.org{base}", reference).partition("#")[0]
    head = RequestHead("GET", base.encode(), Fields(), authority=b"example.org")
    expected = joined.removeprefix("http://example.org") or "/"
    assert same_origin_target(head, reference.encode()) == expected.encode()


@pytest.mark.slow
@given(st.binary(max_size=30))
def test_no_octets_make_the_resolver_raise(reference: bytes) -> None:
    head = RequestHead("GET", b"/a", Fields(), authority=b"example.org")
    found = same_origin_target(head, reference)
    assert found is None or found.startswith(b"/")
