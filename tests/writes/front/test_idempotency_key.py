"""The client's key, quoted or bare, and what tells two requests apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientError, IdempotencyKeyMalformed, IdempotencyKeyMissing
from proxy.http.fields import Fields
from proxy.writes.front.idempotency_key import fingerprint, idempotency_key


def key_of(*values: bytes, required: bool = False) -> str | None:
    return idempotency_key(Fields([(b"Idempotency-Key", value) for value in values]), required=required)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b'"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (b"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (b" abc ", "abc"),
        (b'"a \\"b\\" \\\\"', 'a "b" \\'),
        (b'"k";version=1', "k"),
        (b'"a, b"', "a, b"),
        (b"KG5LxwFBepaKHyUD", "KG5LxwFBepaKHyUD"),
        (b"urn:x/y+z==", "urn:x/y+z=="),
        (b"x" * 255, "x" * 255),
    ],
)
def test_a_key_is_read_in_quotes_and_bare(value: bytes, key: str) -> None:
    assert key_of(value) == key


@pytest.mark.parametrize(
    ("values", "why"),
    [
        pytest.param((b"",), "cannot be read or is empty", id="nothing"),
        pytest.param((b'""',), "cannot be read or is empty", id="empty"),
        pytest.param((b'"a',), "cannot be read", id="open"),
        pytest.param((b'"a" "b"',), "cannot be read", id="two-in-one"),
        pytest.param((b'"a", "b"',), "cannot be read", id="a-list"),
        pytest.param((b"a b",), "cannot be read", id="space"),
        pytest.param((b"a;x=1",), "cannot be read", id="a-token-with-parameters"),
        pytest.param((b'"\xc3\xa9"',), "cannot be read", id="no-ascii"),
        pytest.param((b"\xc3\xa9",), "cannot be read", id="no-ascii-and-bare"),
        pytest.param((b'"\\x"',), "cannot be read", id="no-such-escape"),
        pytest.param((b'"a"', b'"a"'), "more than once", id="twice"),
        pytest.param((b"x" * 256,), "256 characters; at most 255", id="long"),
        pytest.param((b'"%b"' % (b"x" * 256),), "256 characters", id="long-in-quotes"),
    ],
)
def test_what_is_no_key_is_refused(values: tuple[bytes, ...], why: str) -> None:
    with pytest.raises(IdempotencyKeyMalformed, match=why):
        key_of(*values)


def test_a_request_without_a_key_is_refused_only_where_one_is_required() -> None:
    assert key_of() is None
    with pytest.raises(IdempotencyKeyMissing, match="a new one for each"):
        key_of(required=True)
    assert key_of(b"k", required=True) == "k"
    assert IdempotencyKeyMissing.status == IdempotencyKeyMalformed.status == 400


@given(st.binary(max_size=30))
def test_no_octets_make_it_raise_anything_else(value: bytes) -> None:
    try:
        key = key_of(value)
    except ClientError:
        return
    assert key
    assert key_of(b'"%b"' % key.replace("\\", "\\\\").replace('"', '\\"').encode()) == key


_PARTS = st.tuples(
    st.text("AB1:", max_size=3),
    st.binary(max_size=4),
    st.none() | st.binary(max_size=4),
    st.binary(max_size=4),
)


@given(_PARTS, _PARTS)
def test_two_requests_have_one_fingerprint_only_if_they_are_equal(
    one: tuple[str, bytes, bytes | None, bytes], other: tuple[str, bytes, bytes | None, bytes]
) -> None:
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)
    assert len(fingerprint(*one)) == 32


def test_octets_cannot_move_from_one_part_into_the_next() -> None:
    prints = {
        fingerprint("PUT", b"/a", None, b"x"),
        fingerprint("PUT", b"/a", b"", b"x"),
        fingerprint("PUT", b"/a", b"x", b""),
        fingerprint("PUT", b"/ax", None, b""),
        fingerprint("PUT", b"/a", None, b"0:x"),
    }
    assert len(prints) == 5
