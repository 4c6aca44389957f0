"""A request that one worker tells another of is the same there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.peers.told_request import request_told, told_of
from proxy.policy.forwarding import ClientAddress

ADDRESSES = st.builds(ClientAddress, st.none() | st.just("192.0.2.1"), st.just("https"), st.booleans())


@given(
    host=st.none() | st.binary(max_size=20),
    authority=st.binary(max_size=20),
    client=ADDRESSES,
    version=st.sampled_from([0, 1]),
)
def test_what_is_told_arrives_as_it_was(
    host: bytes | None, authority: bytes, client: ClientAddress, version: int
) -> None:
    sent: tuple[Pair, ...] = ((b"X", b"\xff"),)
    fields = Fields(sent if host is None else ((b"Host", host), *sent))
    request = RequestHead("GET", b"/\xff", fields, client.scheme, authority, version)
    told = json.loads(json.dumps(told_of(request, client)))
    assert request_told(told, method="GET", target="/\udcff", fields=sent) == (request, client)


@pytest.mark.parametrize("lacking", ["ip", "scheme", "trusted", "authority", "host", "version"])
def test_all_of_it_must_be_told(lacking: str) -> None:
    told = told_of(RequestHead("GET", b"/", Fields()), ClientAddress(None, "http"))
    del told[lacking]
    with pytest.raises(KeyError, match=lacking):
        request_told(told, method="GET", target="/", fields=())
