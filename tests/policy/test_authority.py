"""Hosts and ports. What is accepted where is told in `test_request_checks.py`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.authority import normal_authority, split_authority


@pytest.mark.parametrize(
    ("authority", "parts"),
    [
        pytest.param(b"a", (b"a", None), id="host"),
        pytest.param(b"a:80", (b"a", b"80"), id="port"),
        pytest.param(b"a:", (b"a", b""), id="empty-port"),
        pytest.param(b"[::1]", (b"[::1]", None), id="ipv6"),
        pytest.param(b"[::1]:80", (b"[::1]", b"80"), id="ipv6-with-port"),
        pytest.param(b"[::1]80", None, id="ipv6-without-colon"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_an_authority_has_host_and_port(authority: bytes, parts: tuple[bytes, bytes | None] | None) -> None:
    assert split_authority(authority) == parts


@pytest.mark.parametrize(
    ("authority", "scheme", "normal"),
    [
        pytest.param(b"A.example:80", "http", b"a.example", id="default-port"),
        pytest.param(b"a:443", "http", b"a:443", id="the-other-default"),
        pytest.param(b"a:443", "https", b"a", id="default-port-tls"),
        pytest.param(b"a:8080", "http", b"a:8080", id="port"),
        pytest.param(b"a:", "http", b"a", id="empty-port"),
        pytest.param(b"[2001:DB8::80]", "http", b"[2001:db8::80]", id="ipv6-that-ends-like-a-port"),
        pytest.param(b"[::1]:80", "http", b"[::1]", id="ipv6-default-port"),
        pytest.param(b"", "http", b"", id="empty"),
    ],
)
def test_equal_authorities_have_one_form(authority: bytes, scheme: str, normal: bytes) -> None:
    assert normal_authority(authority, scheme=scheme) == normal


@given(st.binary(max_size=30))
def test_no_octets_make_it_raise(authority: bytes) -> None:
    split_authority(authority)
    normal_authority(authority, scheme="http")


@given(
    st.from_regex(rb"[a-zA-Z0-9.-]{1,9}(:[0-9]{0,4})?", fullmatch=True), st.sampled_from(["http", "https"])
)
def test_the_normal_form_is_valid_and_final(authority: bytes, scheme: str) -> None:
    normal = normal_authority(authority, scheme=scheme)
    assert split_authority(normal) is not None
    assert normal_authority(normal, scheme=scheme) == normal
