"""What is told beside a relayed request, and beside its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.peers.relay_field import (
    FIELD,
    WORD,
    Relayed,
    Told,
    heard_relayed,
    relayed_fields,
    told_field,
    told_in,
)
from proxy.policy.forwarding import ClientAddress

CLIENT = ClientAddress("192.0.2.1", "https", True)


def relayed(*pairs: Pair, client: ClientAddress = CLIENT, target: bytes = b"/a?b") -> Relayed:
    request = RequestHead(
        "PUT", target, Fields(pairs), scheme=client.scheme, authority=b"shop.example", minor_version=1
    )
    return Relayed(request, client)


def sent(one: Relayed, *behind: Pair) -> tuple[str, str, tuple[Pair, ...]]:
    """As the parser of the other side has it: Host first, framing last."""
    target = one.request.target.decode("utf-8", "surrogateescape")
    return one.request.method, target, ((b"Host", b"worker"), *relayed_fields(one), *behind)


def test_a_request_arrives_as_it_came() -> None:
    one = relayed(
        (b"Host", b"Shop.example"), (b"Prefer", b"wait=5"), (b"X", b"1"), (b"x", b"2"), target=b"/\xff"
    )
    heard = heard_relayed(*sent(one))
    assert heard == one


def test_fields_of_the_connection_are_told_beside_it() -> None:
    of_client = ((b"Expect", b"100-continue"), (b"Connection", b"X-Mine"), (b"Content-Length", b"4"))
    one = relayed((b"Host", b"a"), (b"X-Mine", b"1"), *of_client)
    assert not {name.lower() for name, _ in relayed_fields(one)} & {
        b"expect",
        b"connection",
        b"content-length",
    }
    heard = heard_relayed(*sent(one, (b"Content-Length", b"9"), (b"Connection", b"close")))
    assert heard == one


def test_a_client_cannot_say_who_he_is() -> None:
    forged = relayed_fields(relayed(client=ClientAddress("203.0.113.9", "http"))).get(FIELD.lower())
    assert forged is not None
    heard = heard_relayed(*sent(relayed((b"Host", b"a"), (FIELD, forged), (b"Expect", b"x"))))
    assert heard.client == CLIENT
    assert heard.request.fields.get(FIELD.lower()) == forged


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="nothing"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b"[]", id="no-object"),
        pytest.param(b"x", id="no-json"),
    ],
)
def test_what_nobody_relayed_is_refused(value: bytes | None) -> None:
    pairs = () if value is None else ((FIELD, value),)
    with pytest.raises(ValueError, match=r"relayed|Expecting"):
        heard_relayed("GET", "/", pairs)


@given(outcome=st.sampled_from(["written", "refused"]), reason=st.text(), origin_s=st.floats(0, 1e6))
def test_what_is_told_of_an_exchange_arrives(outcome: str, reason: str, origin_s: float) -> None:
    told = Told(outcome, origin_s, reason[:1000])
    of_origin = (WORD, b"forged")
    heard, fields = told_in((of_origin, told_field(told), (b"Content-Length", b"0")))
    assert heard == told
    assert fields == (of_origin, (b"Content-Length", b"0"))


@pytest.mark.parametrize("value", [None, b"{}", b"x"])
def test_an_answer_of_which_nothing_is_told_is_refused(value: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"relayed|Expecting"):
        told_in(() if value is None else ((WORD, value),))
