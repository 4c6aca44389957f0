"""Connection fields stay on their connection, and nobody can have more taken away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.policy.hop_by_hop import HOP_BY_HOP, declared_length, end_to_end
from tests.policy.heads import fields_of


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_the_standard_set_is_dropped_whether_named_or_not(name: bytes) -> None:
    assert end_to_end(Fields([(name.title(), b"x"), (b"X-A", b"1")])) == Fields([(b"X-A", b"1")])


def test_what_connection_names_is_dropped() -> None:
    fields = fields_of("Connection: close, X-A|connection: x-b|X-A: 1|X-B: 1|X-C: 1")
    assert end_to_end(fields) == fields_of("X-C: 1")


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Cache-Control",
        "Vary",
        "Content-Type",
        "Content-Encoding",
        "X-Forwarded-For",
        "Forwarded",
        "Via",
        "If-None-Match",
        "WWW-Authenticate",
    ],
)
def test_fields_for_the_recipient_cannot_be_named_away(name: str) -> None:
    fields = fields_of(f"Connection: close, {name.upper()}|{name}: x")
    assert end_to_end(fields) == fields_of(f"{name}: x")


def test_content_length_is_told_apart() -> None:
    fields = fields_of("Content-Length: 5|X-A: 1")
    assert end_to_end(fields) == fields_of("X-A: 1")
    assert declared_length(fields) == 5


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        pytest.param("", None, id="absent"),
        pytest.param("Content-Length: 5|Content-Length: 5", 5, id="twice-alike"),
        pytest.param("Content-Length: 5|Content-Length: 6", None, id="twice-different"),
        pytest.param("Content-Length: 5, 5", None, id="list"),
        pytest.param("Content-Length: -5", None, id="negative"),
        pytest.param("Content-Length: 9999999999999999999999", None, id="too-large"),
    ],
)
def test_a_declared_length_is_believed_only_if_it_is_clear(fields: str, length: int | None) -> None:
    assert declared_length(fields_of(fields)) == length


@given(
    st.lists(st.tuples(st.sampled_from([b"Connection", b"X-A", b"TE", b"Cookie"]), st.binary(max_size=20)))
)
def test_it_is_idempotent(pairs: list[tuple[bytes, bytes]]) -> None:
    once = end_to_end(Fields(pairs))
    assert end_to_end(once) == once
    assert once.get_all(b"cookie") == Fields(pairs).get_all(b"cookie")
