"""A request head that two parsers could read in two ways is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import LimitsSettings
from proxy.errors import ClientError, HeadTooLarge, TargetTooLong, UnknownMethod, VersionNotSupported
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.request_checks import KNOWN_METHODS, check_request
from tests.policy.heads import fields_of

HOST = "Host: example.org"


def check(
    target: bytes = b"/",
    fields: str | Fields = HOST,
    *,
    method: str = "GET",
    version: tuple[int, int] = (1, 1),
    scheme: str = "http",
    **limits: int,
) -> RequestHead:
    return check_request(
        method,
        target,
        version,
        fields_of(fields) if isinstance(fields, str) else fields,
        scheme=scheme,
        limits=LimitsSettings(**limits),
    )


@pytest.mark.parametrize(
    ("target", "method", "expected"),
    [
        pytest.param(b"/", "GET", b"/", id="root"),
        pytest.param(b"/a?", "GET", b"/a?", id="empty-query-stays"),
        pytest.param(b"//a/../b;c%2F|{}?q=[]^", "GET", b"//a/../b;c%2F|{}?q=[]^", id="exact-octets"),
        pytest.param(b"*", "OPTIONS", b"*", id="asterisk"),
        pytest.param(b"http://example.org/a?b", "GET", b"/a?b", id="absolute"),
        pytest.param(b"HTTP://EXAMPLE.org/a", "GET", b"/a", id="absolute-in-any-case"),
        pytest.param(b"http://example.org:80/a", "GET", b"/a", id="absolute-default-port"),
        pytest.param(b"http://example.org", "GET", b"/", id="absolute-without-path"),
        pytest.param(b"http://example.org?q", "GET", b"/?q", id="absolute-without-path-with-query"),
        pytest.param(b"http://example.org", "OPTIONS", b"*", id="absolute-options"),
        pytest.param(b"http://example.org/", "OPTIONS", b"/", id="absolute-options-of-the-root"),
        pytest.param(b"http://example.org//x", "GET", b"//x", id="absolute-double-slash"),
    ],
)
def test_targets_become_origin_form(target: bytes, method: str, expected: bytes) -> None:
    assert check(target, method=method).target == expected


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"a", id="no-slash"),
        pytest.param(b"*", id="asterisk-with-get"),
        pytest.param(b"/a#b", id="fragment"),
        pytest.param(b"/a b", id="space"),
        pytest.param(b"/a\tb", id="tab"),
        pytest.param(b"/a\x00", id="nul"),
        pytest.param(b"/a\r\nX: y", id="crlf"),
        pytest.param(b"/a\x7f", id="del"),
        pytest.param("/é".encode(), id="non-ascii"),
        pytest.param(b"http://other.example/", id="absolute-of-another-host"),
        pytest.param(b"http://example.org:81/", id="absolute-of-another-port"),
        pytest.param(b"http://user@example.org/", id="userinfo"),
        pytest.param(b"http://example.org@other.example/", id="userinfo-trick"),
        pytest.param(b"https://example.org/", id="other-scheme"),
        pytest.param(b"ftp://example.org/", id="ftp"),
        pytest.param(b"http:///a", id="no-host"),
        pytest.param(b"http:/a", id="no-authority"),
        pytest.param(b"example.org:80", id="authority-form"),
        pytest.param(b"http://example.org\\@other/", id="backslash"),
    ],
)
def test_other_targets_are_refused(target: bytes) -> None:
    with pytest.raises(ClientError) as refused:
        check(target)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "host",
    [
        "example.org", "EXAMPLE.org", "example.org:8080", "example.org:", "a_b.example", "192.0.2.1", "[::1]",
        "[2001:db8::1]:80", "localhost", "xn--bcher-kva.example", "a%20b",
    ],
)  # fmt: skip
def test_a_valid_host_is_the_authority(host: str) -> None:
    assert check(fields=f"Host: {host}").authority == host.encode()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param("", id="absent"),
        pytest.param("Host:", id="empty"),
        pytest.param("Host: a|Host: a", id="twice"),
        pytest.param("Host: a|host: b", id="twice-different"),
        pytest.param("Host: a, b", id="list"),
        pytest.param("Host: a,b", id="comma"),
        pytest.param("Host: a b", id="space"),
        pytest.param("Host: a/b", id="slash"),
        pytest.param("Host: a?b", id="query"),
        pytest.param("Host: a@b", id="userinfo"),
        pytest.param("Host: a:b", id="port-of-letters"),
        pytest.param("Host: a:-1", id="negative-port"),
        pytest.param("Host: a:65536", id="port-too-high"),
        pytest.param("Host: a:80:80", id="two-ports"),
        pytest.param("Host: [::1", id="open-bracket"),
        pytest.param("Host: ::1", id="ipv6-without-brackets"),
        pytest.param("Host: [::1]x", id="text-after-bracket"),
        pytest.param("Host: [1.2.3.4]", id="ipv4-in-brackets"),
        pytest.param("Host: [fe80::1%25eth0]", id="zone"),
        pytest.param("Host: [v1.x]", id="future-ip"),
        pytest.param("Host: a%2", id="broken-percent"),
        pytest.param("Host: é", id="non-ascii"),
        pytest.param("Host: :80", id="port-only"),
        pytest.param("Host: " + "a" * 256, id="too-long"),
    ],
)
def test_another_host_is_refused(fields: str) -> None:
    with pytest.raises(ClientError):
        check(fields=fields)


def test_http_1_0_may_leave_host_out() -> None:
    head = check(fields="", version=(1, 0))
    assert (head.authority, head.minor_version) == (b"", 0)
    assert check(b"http://example.org/", "", version=(1, 0)).authority == b"example.org"
    with pytest.raises(ClientError):
        check(fields="Host: a|Host: a", version=(1, 0))


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        pytest.param("Transfer-Encoding: chunked", (1, 0), id="chunked-on-1.0"),
        pytest.param("Transfer-Encoding: chunked|Content-Length: 3", (1, 1), id="both"),
        pytest.param("Transfer-Encoding: gzip, chunked", (1, 1), id="gzip-chunked"),
        pytest.param("Transfer-Encoding: chunked, chunked", (1, 1), id="chunked-twice"),
        pytest.param("Transfer-Encoding: chunked|Transfer-Encoding: chunked", (1, 1), id="two-lines"),
        pytest.param("Transfer-Encoding: identity", (1, 1), id="identity"),
        pytest.param("Transfer-Encoding: xchunked", (1, 1), id="xchunked"),
        pytest.param("Transfer-Encoding: chunked;a=b", (1, 1), id="parameter"),
        pytest.param("Transfer-Encoding:", (1, 1), id="empty-coding"),
        pytest.param("Content-Length: 3|Content-Length: 3", (1, 1), id="length-twice"),
        pytest.param("Content-Length: 3, 3", (1, 1), id="length-list"),
        pytest.param("Content-Length: +3", (1, 1), id="plus"),
        pytest.param("Content-Length: -3", (1, 1), id="minus"),
        pytest.param("Content-Length: 1_0", (1, 1), id="underscore"),
        pytest.param("Content-Length: 0x3", (1, 1), id="hexadecimal"),
        pytest.param("Content-Length: 3 3", (1, 1), id="space"),
        pytest.param("Content-Length:", (1, 1), id="empty-length"),
        pytest.param("Content-Length: 9999999999999999999", (1, 1), id="length-too-large"),
        pytest.param("Content_Length: 3", (1, 1), id="content_length"),
        pytest.param("TRANSFER_ENCODING: chunked", (1, 1), id="transfer_encoding"),
    ],
)
def test_a_body_has_one_end_for_every_parser(fields: str, version: tuple[int, int]) -> None:
    with pytest.raises(ClientError):
        check(fields=f"{HOST}|{fields}", method="POST", version=version)


@pytest.mark.parametrize("fields", ["Transfer-Encoding: CHUNKED", "Content-Length: 0", "Content-Length: 007"])
def test_plain_framing_passes(fields: str) -> None:
    assert check(fields=f"{HOST}|{fields}", method="POST").method == "POST"


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param((b"X A", b"1"), id="space-in-name"),
        pytest.param((b"X-A ", b"1"), id="space-before-colon"),
        pytest.param((b"", b"1"), id="no-name"),
        pytest.param((b"X\xe9", b"1"), id="non-ascii-name"),
        pytest.param((b"X-A", b"a\x00b"), id="nul"),
        pytest.param((b"X-A", b"a\rb"), id="cr"),
        pytest.param((b"X-A", b"a\nb"), id="lf"),
        pytest.param((b"X-A", b"a\x0bb"), id="control"),
    ],
)
def test_a_broken_field_is_refused(pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(ClientError):
        check(fields=Fields([(b"Host", b"a"), pair]))


def test_other_fields_pass_as_they_are() -> None:
    fields = Fields([(b"Host", b"a"), (b"x_a", b"\xe9\xff\ttext"), (b"X-Empty", b"")])
    assert check(fields=fields).fields is fields


@pytest.mark.parametrize("version", [(0, 9), (1, 2), (2, 0), (3, 0)])
def test_other_versions_are_not_spoken(version: tuple[int, int]) -> None:
    with pytest.raises(VersionNotSupported) as refused:
        check(version=version)
    assert refused.value.status == 505


@pytest.mark.parametrize("method", ["CONNECT", "PRI", "SOURCE", "DESCRIBE", "get", "GETX", "", "G\nT"])
def test_other_methods_are_not_known(method: str) -> None:
    with pytest.raises(UnknownMethod) as refused:
        check(method=method)
    assert refused.value.status == 501


@pytest.mark.parametrize("method", sorted(KNOWN_METHODS))
def test_every_other_method_of_llhttp_passes(method: str) -> None:
    assert check(method=method).method == method


def test_limits_have_their_own_statuses() -> None:
    with pytest.raises(TargetTooLong):
        check(b"/" + b"a" * 256, max_line_bytes=256)
    assert check(b"/" + b"a" * 255, max_line_bytes=256).path == b"/" + b"a" * 255
    with pytest.raises(HeadTooLarge, match="max_fields"):
        check(fields=f"{HOST}|A: 1|B: 2", max_fields=2)
    with pytest.raises(HeadTooLarge, match="max_field_bytes"):
        check(fields=f"{HOST}|A: {'a' * 256}", max_field_bytes=256)
    with pytest.raises(HeadTooLarge, match="max_head_bytes"):
        check(fields="|".join([HOST] + [f"A{i}: {'a' * 200}" for i in range(6)]), max_head_bytes=1024)


@given(
    st.sampled_from(["GET", "OPTIONS", "POST", "X"]),
    st.one_of(st.binary(max_size=30), st.from_regex(rb"https?://[!-~]{0,12}/?[!-~]{0,5}", fullmatch=True)),
    st.lists(
        st.tuples(
            st.sampled_from([b"Host", b"Content-Length", b"Transfer-Encoding", b"X-A", b"\xff"]),
            st.one_of(st.binary(max_size=12), st.sampled_from([b"example.org", b"chunked", b"5"])),
        ),
        max_size=4,
    ),
    st.sampled_from([(1, 0), (1, 1)]),
)
def test_any_octets_pass_or_are_the_clients_fault(
    method: str, target: bytes, pairs: list[tuple[bytes, bytes]], version: tuple[int, int]
) -> None:
    try:
        head = check(target, Fields(pairs), method=method, version=version)
    except ClientError:
        return
    assert head.target == b"*" or head.target.startswith(b"/")
    assert not set(head.target) & set(b" #\r\n\0")
    assert len(head.fields.get_all(b"content-length") + head.fields.get_all(b"transfer-encoding")) <= 1
