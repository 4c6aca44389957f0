"""Two requests have one key only if one response answers both; variants tell apart what Vary names."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.keys import adds_to_key, cache_key, key_of_target, variant_of, vary_names
from tests.policy.heads import request, response, route


def key(head: RequestHead, *, name: str = "r", **settings: object) -> bytes:
    return cache_key(name, head, route=route(**settings))


def asked(
    target: bytes = b"/a",
    *,
    scheme: str = "http",
    authority: bytes = b"example.org",
    method: str = "GET",
    cookies: tuple[bytes, ...] = (),
) -> RequestHead:
    fields = Fields((b"Cookie", line) for line in cookies)
    return RequestHead(method, target, fields, scheme=scheme, authority=authority)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(asked(), asked(method="HEAD"), id="head-shares-gets"),
        pytest.param(asked(), asked(authority=b"EXAMPLE.org"), id="host-in-any-case"),
        pytest.param(asked(), asked(authority=b"example.org:80"), id="default-port"),
        pytest.param(asked(), asked(authority=b"example.org:"), id="empty-port"),
        pytest.param(
            asked(scheme="https"), asked(scheme="https", authority=b"example.org:443"), id="default-port-tls"
        ),
        pytest.param(asked(), asked(cookies=(b"a=b",)), id="cookies-are-not-in-it-by-default"),
    ],
)
def test_one_response_has_one_key(one: RequestHead, other: RequestHead) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(asked(b"/A"), id="path-case"),
        pytest.param(asked(b"/a?"), id="empty-query"),
        pytest.param(asked(b"/%61"), id="percent-encoding"),
        pytest.param(asked(b"//a"), id="double-slash"),
        pytest.param(asked(b"/./a"), id="dot-segment"),
        pytest.param(asked(scheme="https"), id="scheme"),
        pytest.param(asked(authority=b"example.org:8080"), id="port"),
        pytest.param(asked(authority=b"example.org:443"), id="the-other-schemes-port"),
        pytest.param(asked(authority=b"example.org."), id="trailing-dot"),
    ],
)
def test_another_target_has_another_key(other: RequestHead) -> None:
    assert key(other) != key(asked())


def test_routes_never_mix() -> None:
    keys = {
        key(asked()),
        key(asked(), name="s"),
        key(asked(), path="/a"),
        key(asked(), host="example.org"),
    }
    assert len(keys) == 4


def test_the_key_holds_the_target_that_the_origin_is_asked_for() -> None:
    rewrite = {"strip_prefix": "/old", "add_prefix": "/new"}
    assert b"4:/new" not in key(asked(b"/old/a?x=1"))
    assert b":/new/a?x=1," in key(asked(b"/old/a?x=1"), rewrite=rewrite)


def test_cookies_are_in_the_key_where_the_route_says_so() -> None:
    keys = {
        key(asked(cookies=cookies), cookies="key")
        for cookies in ((), (b"",), (b"a=b",), (b"a=c",), (b"a=b", b"c=d"), (b"a=b; c=d",))
    }
    assert len(keys) == 6


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("X-Device: tv", "X-Device: phone", False, id="field"),
        pytest.param("", "X-Device:", False, id="absent-is-not-empty"),
        pytest.param("x-device: tv", "X-DEVICE:  tv", True, id="name-case-and-space"),
        pytest.param("X-Device: tv|X-Other: 1", "X-Device: tv", True, id="another-field"),
        pytest.param("X-Device: tv|Connection: x-device", "", True, id="named-by-connection-is-absent"),
        pytest.param("Cookie: lang=de; a=1", "Cookie: a=2; lang=de", True, id="other-cookies"),
        pytest.param("Cookie: lang=de", "Cookie: lang=fr", False, id="cookie"),
        pytest.param("Cookie: lang=", "", False, id="an-empty-cookie"),
        pytest.param("Cookie: lang=de|Cookie: lang=fr", "Cookie: lang=de; lang=fr", True, id="lines"),
        pytest.param("Cookie: lang=de~2:fr", "Cookie: lang=de; lang=fr", False, id="no-value-ends-another"),
        pytest.param("Cookie: LANG=de", "Cookie: lang=de", False, id="cookie-name-case"),
    ],
)
def test_a_route_adds_fields_and_cookies_to_the_key(one: str, other: str, same: bool) -> None:
    settings = {"fields": ["X-Device"], "cookies": ["lang"]}
    assert (key(request(one), key=settings) == key(request(other), key=settings)) is same


def test_what_is_added_stands_after_what_every_key_of_the_target_has() -> None:
    settings = route(key={"fields": ["X-Device"], "cookies": ["lang"]}, cookies="key")
    head = request("X-Device: tv|Cookie: lang=de")
    base = key_of_target("r", head, route=settings)
    assert cache_key("r", head, route=settings).startswith(base)
    assert adds_to_key(settings)
    assert not adds_to_key(route())
    assert cache_key("r", head, route=route()) == key_of_target("r", head, route=route())


def test_keys_of_different_additions_never_meet() -> None:
    head = request("X: a|Y: a|Cookie: X=a")
    added = [
        {"fields": ["X"]},
        {"fields": ["Y"]},
        {"fields": ["X", "Y"]},
        {"cookies": ["X"]},
        {"cookies": ["Y"]},
    ]
    assert len({key(head, key=settings) for settings in added}) == len(added)


PARTS = st.tuples(
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.sampled_from(["http", "https"]),
    st.binary(max_size=8).map(bytes.lower),
    st.binary(max_size=8).map(lambda rest: b"/" + rest),
    st.lists(st.binary(max_size=5), max_size=3).map(tuple),
)


@pytest.mark.slow
@given(PARTS, PARTS)
def test_no_two_inputs_have_one_key(
    one: tuple[str, str, bytes, bytes, tuple[bytes, ...]],
    other: tuple[str, str, bytes, bytes, tuple[bytes, ...]],
) -> None:
    def of(parts: tuple[str, str, bytes, bytes, tuple[bytes, ...]]) -> tuple[bytes, tuple[object, ...]]:
        name, scheme, authority, target, cookies = parts
        head = asked(target, scheme=scheme, authority=authority, cookies=cookies)
        port = b":80" if scheme == "http" else b":443"
        same = authority.removesuffix(b":") if authority.endswith(b":") else authority.removesuffix(port)
        return key(head, name=name, cookies="key"), (name, scheme, same, target, cookies)

    (one_key, one_parts), (other_key, other_parts) = of(one), of(other)
    assert (one_key == other_key) == (one_parts == other_parts)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        pytest.param("", (), id="none"),
        pytest.param("Vary:", (), id="empty"),
        pytest.param("Vary: Accept-Encoding", (b"accept-encoding",), id="one"),
        pytest.param("Vary: b, A|Vary: a,,c", (b"a", b"b", b"c"), id="sorted-and-unique"),
        pytest.param("Vary: *", None, id="star"),
        pytest.param("Vary: a|Vary: *", None, id="star-in-another-line"),
        pytest.param('Vary: "a"', None, id="quoted"),
        pytest.param("Vary: a b", None, id="space"),
        pytest.param("Vary: é", None, id="non-ascii"),
    ],
)
def test_vary_names_request_fields(fields: str, names: tuple[bytes, ...] | None) -> None:
    assert vary_names(response(fields)) == names


@pytest.mark.parametrize(
    ("name", "one", "other", "same"),
    [
        pytest.param(
            b"accept-encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: GZIP ,br", True, id="ae"
        ),
        pytest.param(
            b"accept-encoding",
            "Accept-Encoding: gzip;q=1",
            "Accept-Encoding: gzip ; q=1",
            True,
            id="ae-params",
        ),
        pytest.param(
            b"accept-encoding",
            "Accept-Encoding: gzip|Accept-Encoding: br",
            "Accept-Encoding: gzip,br",
            True,
            id="ae-lines",
        ),
        pytest.param(
            b"accept-encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: br, gzip", False, id="ae-order"
        ),
        pytest.param(b"accept-language", "Accept-Language: de, en", "Accept-Language: DE,en", True, id="al"),
        pytest.param(b"accept-language", "", "Accept-Language:", False, id="absent-is-not-empty"),
        pytest.param(b"user-agent", "User-Agent: A", "User-Agent: a", False, id="case-means-something"),
        pytest.param(b"x-a", "X-A: 1,2", "X-A: 1, 2", False, id="inner-space-means-something"),
        pytest.param(b"x-a", "X-A: 1|X-A: 2", "X-A: 1, 2", True, id="lines-are-joined"),
        pytest.param(b"cookie", "Cookie: a=1", "Cookie: a=2", False, id="cookie"),
        pytest.param(b"x-a", "X-A: 1|Connection: close, x-a", "", True, id="named-by-connection-is-absent"),
        pytest.param(b"cookie", "Cookie: a|Connection: cookie", "", False, id="but-not-what-cannot-be-named"),
        pytest.param(b"te", "TE: trailers", "", True, id="hop-by-hop-is-absent"),
        pytest.param(b"cookie", "Cookie: a=1|X: 1", "Cookie: a=1|X: 2", True, id="other-fields-do-not-count"),
    ],
)
def test_variants_are_told_apart_by_meaning(name: bytes, one: str, other: str, same: bool) -> None:
    assert (variant_of((name,), request(one)) == variant_of((name,), request(other))) is same


@given(st.lists(st.binary(max_size=20), max_size=3), st.sampled_from([b"accept-encoding", b"x-a"]))
def test_only_an_absent_field_has_no_value(lines: list[bytes], name: bytes) -> None:
    head = RequestHead("GET", b"/", Fields((name.title(), line) for line in lines))
    assert (variant_of((name,), head) == (None,)) == (not lines)


@given(st.text(alphabet=" \t,;aB=", max_size=30).map(str.encode))
def test_space_around_separators_makes_no_variant(value: bytes) -> None:
    asked = RequestHead("GET", b"/", Fields([(b"Accept-Encoding", value)]))
    expected = re.sub(rb"[ \t]*([,;])[ \t]*", rb"\1", value.strip(b" \t").lower())
    assert variant_of((b"accept-encoding",), asked) == (expected,)


def test_a_long_run_of_spaces_is_no_lever() -> None:
    asked = RequestHead("GET", b"/", Fields([(b"Accept-Encoding", b"a" + b" " * 60_000 + b"b")]))
    began = time.process_time()
    variant_of((b"accept-encoding",), asked)
    assert time.process_time() - began < 1.0  # by a pattern it was half a minute
