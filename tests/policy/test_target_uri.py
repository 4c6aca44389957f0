from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientError
from proxy.policy.target_uri import request_of_url


@pytest.mark.parametrize(
    ("url", "scheme", "authority", "target"),
    [
        ("http://example.org/a?b", "http", b"example.org", b"/a?b"),
        ("HTTPS://Example.org:8443", "https", b"Example.org:8443", b"/"),
        ("https://example.org?x", "https", b"example.org", b"/?x"),
        ("https://[::1]:80/a#fragment", "https", b"[::1]:80", b"/a"),
        ("http://a//b/../c?", "http", b"a", b"//b/../c?"),
    ],
)
def test_a_url_is_read_octet_for_octet(url: str, scheme: str, authority: bytes, target: bytes) -> None:
    head = request_of_url(url)
    assert (head.scheme, head.authority, head.target) == (scheme, authority, target)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("example.org/a", "write it whole"),
        ("/a", "write it whole"),
        ("ftp://a/", "write it whole"),
        ("http:///a", "whose host is ''"),
        ("http://user@a/", "whose host is 'user@a'"),
        ("http://a:99999/", "whose host is 'a:99999'"),
        ("http://ä/", "whose host is 'ä'"),
        ("http://a/ä", "percent-encoded"),
        ("http://a/b c", "percent-encoded"),
        ("http://a/\n", "percent-encoded"),
        ("http://a/" + "x" * 20_000, "at most 16384"),
    ],
)
def test_what_is_no_url_is_refused_with_the_fix(url: str, told: str) -> None:
    with pytest.raises(ClientError) as refused:
        request_of_url(url)
    assert told in str(refused.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://a/{text}"):
        try:
            assert request_of_url(url).target.startswith(b"/")
        except ClientError:
            continue
