"""A question is read as it was written, whatever a client put into its fields."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import RouteSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest
from proxy.origin.request_head import write_request_head
from proxy.peers.question import FIELD, Question, heard, look_field, question_field, question_of
from proxy.policy.forwarding import ClientAddress

ROUTE = RouteSettings(origin="shop")


def asked(
    *pairs: tuple[bytes, bytes], authority: bytes = b"shop.example", minor_version: int = 1
) -> RequestHead:
    return RequestHead("GET", b"/a?b", Fields(pairs), "https", authority, minor_version)


def question(request: RequestHead, *, alone: bool = False, trusted: bool = False) -> Question:
    client = ClientAddress("10.0.0.1", request.scheme, trusted)
    return question_of(request, key=b"k", route=ROUTE, client=client, conditions=(), alone=alone)


def wire_pairs(one: Question) -> list[tuple[bytes, bytes]]:
    """The fields as they arrive."""
    field = question_field(one, slot=2, arrangement="abc")
    fields = one.request.fields.without((b"host",)).with_added(field)
    head = write_request_head(ForwardRequest("GET", b"/a?b", fields), authority=b"localhost")
    lines = head.split(b"\r\n")[1:-2]
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("minor_version", [0, 1])
def test_what_the_owner_cannot_see_arrives(trusted: bool, minor_version: int) -> None:
    request = asked((b"Host", b"Shop.example:443"), (b"Cookie", b"caf\xe9"), minor_version=minor_version)
    got = heard("GET", "/a?b", wire_pairs(question(request, trusted=trusted)))
    assert got.slot == 2
    assert got.arrangement == "abc"
    assert got.client == ClientAddress("10.0.0.1", "https", trusted)
    assert got.request == request


def test_without_a_host_there_is_none() -> None:
    got = heard("GET", "/a?b", wire_pairs(question(asked(authority=b"", minor_version=0))))
    assert got.request == asked(authority=b"", minor_version=0)


def test_the_leaders_own_wishes_are_not_in_it_and_those_of_one_alone_are() -> None:
    own = (b"Range", b"bytes=0-1"), (b"If-None-Match", b'"1"'), (b"X-HTTP-Method-Override", b"PUT")
    request = asked((b"Accept", b"*/*"), *own, (b"Cache-Control", b"no-cache, only-if-cached"))
    of_flight, of_one = question(request), question(request, alone=True)
    assert list(of_flight.request.fields) == [(b"Accept", b"*/*"), (b"Cache-Control", b"no-cache")]
    assert of_one.request.fields == request.fields


def test_a_field_of_a_client_with_our_name_is_a_field_and_no_question() -> None:
    forged = (FIELD, b'{"slot":0,"arrangement":"abc","ip":"6.6.6.6","trusted":true}')
    got = heard("GET", "/a?b", wire_pairs(question(asked(forged))))
    assert got.client.ip == "10.0.0.1"
    assert got.request is not None
    assert forged in list(got.request.fields)


def test_a_look_is_no_request() -> None:
    got = heard("GET", "/", [(b"Host", b"localhost"), look_field(slot=1)])
    assert (got.slot, got.request) == (1, None)


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([], id="no-fields"),
        pytest.param([(b"Host", b"a")], id="no-question"),
        pytest.param([(FIELD, b"{}"), (b"Host", b"a")], id="not-the-last"),
        pytest.param([(FIELD, b"{}")], id="empty"),
        pytest.param([(FIELD, b"nonsense")], id="no-json"),
        pytest.param([(FIELD, b"[]")], id="no-object"),
        pytest.param([(FIELD, b'{"slot":1,"arrangement":"","authority":1}')], id="half"),
    ],
)
def test_anything_else_is_refused(pairs: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        heard("GET", "/", pairs)


@given(octets=st.binary(max_size=60))
def test_no_octets_in_the_place_of_a_question_do_harm(octets: bytes) -> None:
    with contextlib.suppress(ValueError):
        heard("GET", "/", [(b"Host", b"a"), (FIELD, octets)])
