"""Request heads as octets: exact where they may be, refused where they would say two things."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientError, ProxyError, UnknownMethod
from proxy.http.fields import Fields, Pair
from proxy.origin.port import ForwardRequest
from proxy.origin.request_head import sends_body, write_request_head
from tests.origin.request_bodies import ScriptedBody


def head_of(*fields: Pair, method: str = "GET", target: bytes = b"/", **parts: object) -> bytes:
    request = ForwardRequest(method, target, Fields(fields), **parts)  # type: ignore[arg-type]
    return write_request_head(request, authority=b"origin.example:81")


def test_host_comes_first_and_octets_stay_as_they_are() -> None:
    head = head_of((b"x-A", b"caf\xe9"), (b"Host", b"example.org"), (b"X-a", b""), target=b"/a?")
    assert head == b"GET /a? HTTP/1.1\r\nHost: example.org\r\nx-A: caf\xe9\r\nX-a: \r\n\r\n"


@pytest.mark.parametrize("fields", [(), ((b"Host", b""),)])
def test_the_addresss_authority_stands_in_for_an_empty_host(fields: tuple[Pair, ...]) -> None:
    assert head_of(*fields) == b"GET / HTTP/1.1\r\nHost: origin.example:81\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        pytest.param("GET", None, b"", id="get-without-body"),
        pytest.param("POST", None, b"Content-Length: 0\r\n", id="post-without-body"),
        pytest.param("DELETE", None, b"", id="delete-without-body"),
        pytest.param("POST", ScriptedBody(b"abc"), b"Content-Length: 3\r\n", id="length"),
        pytest.param("GET", ScriptedBody(), b"Content-Length: 0\r\n", id="empty"),
        pytest.param(
            "POST", ScriptedBody(b"a", chunked=True), b"Transfer-Encoding: chunked\r\n", id="chunked"
        ),
    ],
)
def test_framing_is_written_here(method: str, body: ScriptedBody | None, expected: bytes) -> None:
    start = method.encode() + b" / HTTP/1.1\r\nHost: a\r\n"
    assert head_of((b"Host", b"a"), method=method, body=body) == start + expected + b"\r\n"


def test_a_head_that_was_written_is_not_written_again_and_not_taken_for_that_of_another() -> None:
    get = ForwardRequest("GET", b"/", Fields(), written={})
    head = write_request_head(get, authority=b"a")
    assert write_request_head(get, authority=b"a") is head
    assert write_request_head(get, authority=b"b").endswith(b"Host: b\r\n\r\n")
    assert write_request_head(replace(get, method="HEAD"), authority=b"a").startswith(b"HEAD / ")


def test_upgrade_and_expect_are_written_here() -> None:
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head_of(upgrade=b"websocket")
    with_body = head_of(method="PUT", body=ScriptedBody(b"x"), expect_continue=True)
    assert b"\r\nExpect: 100-continue\r\n" in with_body
    assert b"Expect" not in head_of(method="PUT", body=ScriptedBody(), expect_continue=True)


@pytest.mark.parametrize(
    "name", [b"Content-Length", b"transfer-encoding", b"CONNECTION", b"Upgrade", b"Expect", b"TE", b"Trailer"]
)
def test_framing_among_the_fields_is_refused(name: bytes) -> None:
    with pytest.raises(ProxyError, match="belongs to the connection"):
        head_of((name, b"x"))


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"target": b"/ HTTP/1.1\r\nX: y"}, id="crlf-in-the-target"),
        pytest.param({"target": b"/a b"}, id="blank-in-the-target"),
        pytest.param({"target": b""}, id="empty-target"),
        pytest.param({"target": b"/\0"}, id="nul-in-the-target"),
        pytest.param({"method": "GET /x HTTP/1.1\r\nX: y\r\n\r\nGET"}, id="crlf-in-the-method"),
        pytest.param({"method": "GET\u20ac"}, id="method-beyond-latin"),
        pytest.param({"method": ""}, id="empty-method"),
        pytest.param({"upgrade": b"websocket\r\nX: y"}, id="crlf-in-upgrade"),
    ],
)
def test_parts_that_would_say_more_are_refused(parts: dict[str, object]) -> None:
    with pytest.raises(ClientError):
        head_of(**parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "field",
    [
        (b"A", b"b\r\nX: y"),
        (b"A", b"b\nX: y"),
        (b"A", b"b\rX: y"),
        (b"A", b"b\r\n\r\nGET /2 HTTP/1.1\r\nHost: x"),
        (b"A", b"\0"),
        (b"A", b"\x7f"),
        (b"A: b\r\nC", b"d"),
        (b"A ", b"b"),
        (b"", b"b"),
        (b"Host", b"a\r\nX: y"),
    ],
)
def test_fields_that_would_say_more_are_refused(field: Pair) -> None:
    with pytest.raises(ClientError):
        head_of(field)


def test_connect_is_refused() -> None:
    with pytest.raises(UnknownMethod):
        head_of(method="CONNECT", target=b"a:1")


def test_two_hosts_are_refused() -> None:
    with pytest.raises(ClientError):
        head_of((b"Host", b"a"), (b"host", b"a"))


@given(
    fields=st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=20)), max_size=4), target=st.binary()
)
def test_a_head_that_is_written_says_exactly_what_was_given(fields: list[Pair], target: bytes) -> None:
    try:
        head = head_of(*fields, target=target)
    except ProxyError:
        return
    lines = head.split(b"\r\n")
    assert lines[0] == b"GET %b HTTP/1.1" % target
    assert lines[-2:] == [b"", b""]
    others = [b"%b: %b" % pair for pair in fields if pair[0].lower() != b"host"]
    assert lines[2:-2] == others


def test_a_body_of_no_octets_is_not_sent() -> None:
    assert not sends_body(ForwardRequest("PUT", b"/", Fields(), body=ScriptedBody()))
    assert sends_body(ForwardRequest("PUT", b"/", Fields(), body=ScriptedBody(chunked=True)))
