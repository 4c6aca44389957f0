"""What goes on to the origin and back: nothing of a stranger's claims, nothing of one leader's wishes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import OriginProtocolError
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.policy.forwarding import (
    MAX_LOOPS,
    ClientAddress,
    assert_safe,
    ends_here,
    forward_fields,
    forward_host,
    loops,
    response_fields,
    seen_by_origin,
    with_conditions,
)
from tests.policy.heads import NOW, fields_of, request, response, route

STRANGER = ClientAddress("192.0.2.1", "http")
TRUSTED = ClientAddress("192.0.2.1", "https", trusted=True)


def forwarded(
    fields: str = "",
    *,
    client: ClientAddress = STRANGER,
    leader: bool = False,
    method: str = "GET",
    revalidate: tuple[Pair, ...] = (),
    **settings: Any,
) -> Fields:
    return forward_fields(
        request(fields, method=method),
        route=route(**settings),
        client=client,
        via_name="Lockgate",
        leader_of_flight=leader,
        revalidate=revalidate,
    )


def test_host_comes_first_and_ours_come_last() -> None:
    assert list(forwarded("Accept: */*|Host: EXAMPLE.org")) == [
        (b"Host", b"example.org"),
        (b"Accept", b"*/*"),
        (b"X-Forwarded-For", b"192.0.2.1"),
        (b"X-Forwarded-Host", b"example.org"),
        (b"X-Forwarded-Proto", b"http"),
        (b"Forwarded", b"for=192.0.2.1;host=example.org;proto=http"),
        (b"Via", b"1.1 Lockgate"),
    ]


@pytest.mark.parametrize(
    ("host_header", "host"),
    [
        pytest.param("keep", b"example.org", id="keep"),
        pytest.param("origin", b"", id="origin-is-filled-in-by-who-chooses-the-address"),
        pytest.param("www.example.net:81", b"www.example.net:81", id="literal"),
    ],
)
def test_the_route_says_which_host_the_origin_gets(host_header: str, host: bytes) -> None:
    assert forward_host(request(), route=route(host_header=host_header)) == host
    assert next(iter(forwarded(host_header=host_header))) == (b"Host", host)


@pytest.mark.parametrize(
    "claim",
    [
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Port: 1",
        "X-Forwarded-Anything: 1",
        "X_Forwarded_For: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "True-Client-IP: 6.6.6.6",
    ],
)
def test_a_strangers_claims_are_dropped(claim: str) -> None:
    assert forwarded(claim) == forwarded()
    assert forwarded(f"{claim}|Connection: {claim.partition(':')[0]}") == forwarded()


def test_a_trusted_proxys_words_are_extended() -> None:
    fields = forwarded(
        "X-Forwarded-For: 203.0.113.9|X-Forwarded-Host: www.example.org|X-Forwarded-Proto: https"
        "|X-Forwarded-Port: 443|Forwarded: for=203.0.113.9;proto=https",
        client=ClientAddress("2001:db8::1", "http", trusted=True),
    )
    assert fields.members(b"x-forwarded-for") == (b"203.0.113.9", b"2001:db8::1")
    assert fields.get_all(b"x-forwarded-host") == (b"www.example.org",)
    assert fields.get_all(b"x-forwarded-proto") == (b"https",)
    assert fields.get_all(b"x-forwarded-port") == (b"443",)
    assert fields.members(b"forwarded") == (
        b"for=203.0.113.9;proto=https",
        b'for="[2001:db8::1]";host=example.org;proto=http',
    )


@pytest.mark.parametrize(
    ("ip", "element"),
    [
        pytest.param("192.0.2.1", b"for=192.0.2.1", id="ipv4"),
        pytest.param("::1", b'for="[::1]"', id="ipv6"),
        pytest.param("fe80::1%eth0", b'for="[fe80::1]"', id="zone"),
        pytest.param(None, b"for=unknown", id="unix-socket"),
    ],
)
def test_forwarded_names_the_client(ip: str | None, element: bytes) -> None:
    fields = forwarded(client=ClientAddress(ip, "http"))
    assert (fields.get(b"forwarded") or b"").split(b";")[0] == element
    assert (b"x-forwarded-for" in fields) == (ip is not None)


def test_a_host_with_port_is_quoted_in_forwarded() -> None:
    head = RequestHead("GET", b"/", Fields(), authority=b"[::1]:8080")
    fields = forward_fields(head, route=route(), client=STRANGER, via_name="L", leader_of_flight=True)
    assert fields.get(b"forwarded") == b'for=192.0.2.1;host="[::1]:8080";proto=http'


def test_an_http_1_0_client_without_host_leaves_it_to_the_address() -> None:
    head = RequestHead("GET", b"/", Fields(), minor_version=0)
    fields = forward_fields(head, route=route(), client=STRANGER, via_name="L", leader_of_flight=True)
    assert fields.get_all(b"host") == (b"",)
    assert b"x-forwarded-host" not in fields
    assert fields.get(b"via") == b"1.0 L"


@pytest.mark.parametrize(
    "own",
    [
        'If-None-Match: "a"',
        'If-Match: "a"',
        "If-Modified-Since: x",
        "If-Unmodified-Since: x",
        'If-Range: "a"',
        "Range: bytes=0-1",
        "X-Original-URL: /admin",
        "X_Original_URL: /admin",
        "X-Rewrite-URL: /admin",
        "X-HTTP-Method: DELETE",
        "X-HTTP-Method-Override: DELETE",
        "X-Method-Override: DELETE",
        "Expect: 100-continue",
        "Cache-Control: max-stale=60",
        "Cache-Control: only-if-cached",
    ],
)
def test_a_flight_carries_nothing_of_its_leader_that_others_did_not_ask_for(own: str) -> None:
    assert forwarded(own, leader=True) == forwarded(leader=True)


@pytest.mark.parametrize(
    ("field", "method", "settings", "kept"),
    [
        pytest.param('If-None-Match: "a"', "GET", {}, True, id="condition"),
        pytest.param("Range: bytes=0-1", "GET", {}, True, id="range"),
        pytest.param("Cache-Control: max-stale", "GET", {}, True, id="directives"),
        pytest.param("X-HTTP-Method-Override: PATCH", "POST", {}, True, id="override-of-a-post"),
        pytest.param("X-Original-URL: /b", "GET", {}, False, id="an-answer-that-may-be-stored"),
        pytest.param(
            "X-Original-URL: /b", "GET", {"cache": {"enabled": False}}, True, id="nothing-is-stored"
        ),
        pytest.param("Expect: 100-continue", "PUT", {}, False, id="expect-is-the-adapters"),
        pytest.param("TE: trailers", "GET", {}, False, id="hop-by-hop"),
        pytest.param("Content-Length: 3", "PUT", {}, False, id="framing"),
    ],
)
def test_a_request_by_itself_keeps_its_own(
    field: str, method: str, settings: dict[str, Any], kept: bool
) -> None:
    name = field.partition(":")[0].lower().encode()
    assert (name in forwarded(field, method=method, **settings)) == kept


def test_the_cache_sees_what_the_origin_sees() -> None:
    asked = request("X-Forwarded-Proto: https|Cookie: a=b|X-A: 1|X-B: 1|Range: bytes=0-1|Connection: X-A")
    seen = seen_by_origin(asked, route=route(cookies="strip"), client=STRANGER)
    assert seen == request("X-B: 1|Range: bytes=0-1")
    assert b"x-forwarded-proto" in seen_by_origin(asked, route=route(), client=TRUSTED).fields


def test_other_directives_of_a_leader_go_on() -> None:
    fields = forwarded("Cache-Control: no-cache, max-stale=5|Pragma: no-cache", leader=True)
    assert fields.get(b"cache-control") == b"no-cache"
    assert fields.get(b"pragma") == b"no-cache"


CONDITIONS: tuple[Pair, ...] = (
    (b"If-None-Match", b'"abc--gzip", "other"'),
    (b"If-Modified-Since", b"Thu, 01 Jan 2026 00:00:00 GMT"),
)


@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize(
    "asked", ["Accept: */*", 'If-None-Match: "mine"|If-Match: *|Range: bytes=0-1|X-A: b']
)
def test_conditions_are_added_to_what_is_forwarded_without_any(asked: str, compression: bool) -> None:
    settings = {"compression": {"enabled": compression}}
    plain = forwarded(asked, leader=True, **settings)
    found = with_conditions(plain, CONDITIONS, route=route(**settings))
    assert found is not None
    assert sorted(found) == sorted(forwarded(asked, leader=True, revalidate=CONDITIONS, **settings))


@pytest.mark.parametrize(
    "rules", [{"remove": ["If-None-Match"]}, {"set": {"If-None-Match": "*"}}, {"add": {"X-A": "b"}}]
)
def test_where_a_route_has_rules_conditions_are_for_them_to_see(rules: dict[str, Any]) -> None:
    settings = route(request_headers=rules)
    assert with_conditions(forwarded(leader=True), CONDITIONS, route=settings) is None


def test_conditions_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(OriginProtocolError):
        with_conditions(forwarded(leader=True), ((b"If-None-Match", b'"a\r\nX: y"'),), route=route())


@pytest.mark.parametrize("leader", [True, False])
def test_a_revalidation_has_the_stored_validators_only(leader: bool) -> None:
    fields = forwarded('If-None-Match: "mine"', leader=leader, revalidate=((b"If-None-Match", b'"stored"'),))
    assert fields.get_all(b"if-none-match") == (b'"stored"',)


@pytest.mark.parametrize(
    ("rule", "kept"), [("forward", True), ("key", True), ("bypass", True), ("strip", False)]
)
def test_the_route_says_what_becomes_of_cookies(rule: str, kept: bool) -> None:
    assert (b"cookie" in forwarded("Cookie: a=b", cookies=rule)) == kept


def test_the_routes_rules_come_last() -> None:
    rules = {
        "remove": ("Via", "X-Gone"),
        "set": {"User-Agent": "L", "x-forwarded-for": "-"},
        "add": {"X-A": "2"},
    }
    fields = forwarded("User-Agent: x|X-A: 1|X-Gone: 1", request_headers=rules)
    assert fields.get_all(b"user-agent") == (b"L",)
    assert fields.get_all(b"x-forwarded-for") == (b"-",)
    assert fields.get_all(b"x-a") == (b"1", b"2")
    assert b"via" not in fields
    assert b"x-gone" not in fields


def test_other_names_with_underscores_pass() -> None:
    assert forwarded("X_A: 1").get(b"x_a") == b"1"


def test_via_is_added_behind_those_before() -> None:
    assert forwarded("Via: 1.0 a, 1.1 b").members(b"via") == (b"1.0 a", b"1.1 b", b"1.1 Lockgate")


@pytest.mark.parametrize(
    ("via", "expected"),
    [
        pytest.param("", False, id="none"),
        pytest.param("1.1 Lockgate", False, id="two-tiers"),
        pytest.param(", ".join(["1.1 Lockgate"] * (MAX_LOOPS - 1)), False, id="many-tiers"),
        pytest.param(", ".join(["1.1 lockGATE (x)"] * MAX_LOOPS), True, id="a-circle"),
        pytest.param(", ".join(["1.1 other"] * 50), False, id="others"),
        pytest.param(", ".join(["Lockgate"] * 50), False, id="no-version"),
    ],
)
def test_a_request_that_came_by_too_often_goes_in_a_circle(via: str, expected: bool) -> None:
    assert loops(request(f"Via: {via}"), "Lockgate") is expected


@pytest.mark.parametrize(
    ("method", "value", "ends", "sent"),
    [
        pytest.param("OPTIONS", "0", True, b"0", id="zero"),
        pytest.param("TRACE", "3", False, b"2", id="counts"),
        pytest.param("OPTIONS", "x", False, b"x", id="unreadable"),
        pytest.param("GET", "0", False, b"0", id="other-methods-do-not-count"),
    ],
)
def test_max_forwards_counts_down(method: str, value: str, ends: bool, sent: bytes) -> None:
    fields = f"Max-Forwards: {value}"
    assert ends_here(request(fields, method=method)) is ends
    assert forwarded(fields, method=method).get(b"max-forwards") == sent


# the response


def answered(fields: str, *, status: int = 200, received_at: float | None = None, **settings: Any) -> Fields:
    head = response(fields, status=status)
    return response_fields(head, route=route(**settings), via_name="Lockgate", received_at=received_at)


def test_a_response_loses_its_connection_fields_and_gets_our_via() -> None:
    fields = answered(
        "Connection: X-Hop|X-Hop: 1|Content-Length: 1|Transfer-Encoding: chunked|X-A: 1|Via: 1.1 x"
    )
    assert fields == fields_of("X-A: 1|Via: 1.1 x|Via: 1.1 Lockgate")


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        pytest.param({}, True, id="private"),
        pytest.param({"set_cookie": "ignore"}, True, id="ignore"),
        pytest.param({"set_cookie": "strip"}, False, id="strip"),
        pytest.param(
            {"set_cookie": "strip", "cache": {"enabled": False}}, True, id="strip-where-nothing-is-shared"
        ),
    ],
)
def test_the_route_says_what_becomes_of_set_cookie(settings: dict[str, Any], kept: bool) -> None:
    assert (b"set-cookie" in answered("Set-Cookie: a=b", **settings)) == kept


def test_a_date_is_added_only_where_the_origin_gave_none() -> None:
    assert answered("", received_at=NOW).get(b"date") == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert answered("Date: x", received_at=NOW).get_all(b"date") == (b"x",)
    assert b"date" not in answered("", status=103, received_at=NOW)


def test_the_routes_rules_change_the_response_last() -> None:
    fields = answered("Server: x|X-A: 1", response_headers={"set": {"server": "L"}, "add": {"X-A": "é"}})
    assert fields.get_all(b"server") == (b"L",)
    assert fields.get_all(b"x-a") == (b"1", "é".encode())


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param((b"X-A", b"1\r\nX-B: 2"), id="crlf"),
        pytest.param((b"X-A", b"1\n"), id="lf"),
        pytest.param((b"X-A", b"1\r"), id="cr"),
        pytest.param((b"X-A", b"\0"), id="nul"),
        pytest.param((b"X A", b"1"), id="space-in-name"),
        pytest.param((b"X-A:", b"1"), id="colon-in-name"),
        pytest.param((b"", b"1"), id="no-name"),
    ],
)
def test_a_field_that_could_end_its_line_is_refused(pair: Pair) -> None:
    with pytest.raises(OriginProtocolError, match="cannot be written"):
        assert_safe(Fields([(b"X-Good", b"1"), pair]))


FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"X-Forwarded-For", b"x_forwarded_for", b"Forwarded", b"Connection", b"X-A", b"Host", b"Range"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.encode),
    ),
    max_size=8,
).map(Fields)


@given(FIELDS, st.booleans())
def test_the_client_address_is_ours_whatever_a_stranger_sends(fields: Fields, leader: bool) -> None:
    head = RequestHead("GET", b"/", fields, authority=b"example.org")
    sent = forward_fields(head, route=route(), client=STRANGER, via_name="Lockgate", leader_of_flight=leader)
    assert sent.get_all(b"x-forwarded-for") == (b"192.0.2.1",)
    assert b"x_forwarded_for" not in sent
    assert sent.get_all(b"forwarded") == (b"for=192.0.2.1;host=example.org;proto=http",)
    assert sent.get_all(b"host") == (b"example.org",)
    assert (b"range" in sent) == (not leader and b"range" in fields)


def test_a_trusted_proxy_that_says_nothing_is_spoken_for() -> None:
    assert forwarded(client=TRUSTED).get(b"x-forwarded-proto") == b"https"


def test_accept_encoding_is_reduced_to_what_the_origin_distinguishes() -> None:
    settings = route(cache={"accept_encoding": ["br", "gzip"]})
    asked = request("Accept-Encoding: gzip|accept_encoding: x|Accept-Encoding: deflate")
    seen = seen_by_origin(asked, route=settings, client=STRANGER)
    assert seen.fields.get_all(b"accept-encoding") == (b"gzip",)
    assert b"accept_encoding" not in seen.fields, "an origin behind CGI would take it for the other"
    sent = forward_fields(asked, route=settings, client=STRANGER, via_name="Lockgate", leader_of_flight=True)
    assert sent.get_all(b"accept-encoding") == (b"gzip",)


@pytest.mark.parametrize(
    ("asked", "method"),
    [
        pytest.param("Accept-Encoding: gzip, identity;q=0", "GET", id="identity-refused"),
        pytest.param("Accept-Encoding: gzip, deflate", "POST", id="unsafe"),
    ],
)
def test_accept_encoding_stays_where_reducing_it_would_change_what_is_meant(asked: str, method: str) -> None:
    settings = route(cache={"accept_encoding": ["gzip"]})
    head = request(asked, method=method)
    sent = forward_fields(head, route=settings, client=STRANGER, via_name="Lockgate", leader_of_flight=False)
    assert sent.get_all(b"accept-encoding") == head.fields.get_all(b"accept-encoding")


def test_tags_of_our_own_codings_are_explained_where_the_route_compresses() -> None:
    def sent(**settings: Any) -> bytes | None:
        return forward_fields(
            request('If-Match: "a--gzip"', method="PUT"),
            route=route(**settings),
            client=STRANGER,
            via_name="Lockgate",
            leader_of_flight=False,
        ).get(b"if-match")

    assert sent() == b'"a--gzip"'
    assert sent(compression={"enabled": True}) == b'"a--gzip", "a"'
