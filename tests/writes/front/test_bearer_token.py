"""Claims are read where they can be, and nothing that a client sends does harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.writes.front.bearer_token import MAX_TOKEN_OCTETS, claim, claims_of, expiry_of
from tests.writes.front.making import bearing, token


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_claims_of_a_token_are_read(scheme: str) -> None:
    fields = bearing({"sub": "é", "exp": 1_700_000_000}, scheme=scheme)
    assert claim(claims_of(fields), "sub") == "é"
    assert claim(claims_of(fields), "other") is None
    assert expiry_of(fields) == 1_700_000_000.0


@pytest.mark.parametrize(
    ("expiry", "expected"),
    [
        (1.5, 1.5),
        (0, 0.0),
        (-5, -5.0),
        (10**400, None),
        ("1700000000", None),
        (True, None),
        (None, None),
        ([1], None),
        ({}, None),
    ],
)
def test_an_expiry_is_a_number_of_seconds(expiry: object, expected: float | None) -> None:
    assert expiry_of(bearing({"exp": expiry})) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'"exp"',
        b"\xff",
        b'{"exp": 1, "exp": 2}',
        b'{"exp": 1e999}',
        b'{"exp": NaN}',
        b'{"exp":' * 1500,
        b'{"exp": ' + b"9" * 5000 + b"}",
    ],
    ids=str,
)
def test_a_token_that_cannot_be_read_expires_never(payload: bytes) -> None:
    assert expiry_of(bearing(payload)) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer opaque",
        b"Bearer a.b",
        b"Bearer a.b.c",
        b"Bearer ..",
        b"Bearer a.e30.b.c.d",
        b"Bearer a.e30=.c",
        b"Bearer a.e+/0.c",
        b"Bearer a.e.c",
        b"Basic YTpi",
        token({"exp": 1}, scheme="DPoP"),
        token({"exp": 1}) + b" x",
        token({"exp": 1, "x": "y" * MAX_TOKEN_OCTETS}),
    ],
)
def test_what_is_no_token_has_no_claims(value: bytes) -> None:
    fields = Fields([(b"Authorization", value)])
    assert not claims_of(fields)
    assert expiry_of(fields) is None


def test_two_tokens_are_none() -> None:
    assert expiry_of(Fields([(b"Authorization", token({"exp": 1}))] * 2)) is None


def test_a_request_without_a_token_expires_never() -> None:
    assert expiry_of(Fields()) is None


@given(st.binary(max_size=80))
def test_no_octets_make_it_raise(octets: bytes) -> None:
    for fields in (bearing(octets), Fields([(b"Authorization", b"Bearer a." + octets + b".c")])):
        expiry_of(fields)
        claims_of(fields)
