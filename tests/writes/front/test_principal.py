"""Whose a write is: nobody is taken for somebody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.writes.front.principal import MAX_CHARACTERS, PrincipalRule, principal_of
from tests.writes.front.making import bearing

HEADER, COOKIE, CLAIM = (
    PrincipalRule(header="X-User"),
    PrincipalRule(cookie="session"),
    PrincipalRule(claim="sub"),
)


def by_header(*values: bytes) -> str:
    return principal_of(Fields([(b"X-User", value) for value in values]), HEADER)


def by_cookie(*lines: bytes) -> str:
    return principal_of(Fields([(b"Cookie", line) for line in lines]), COOKIE)


def test_by_header() -> None:
    assert by_header(b" anna ") == "anna"
    assert by_header("müller".encode()) == "müller"
    assert by_header() == by_header(b"") == ""


def test_a_field_that_a_client_takes_from_the_origin_names_nobody() -> None:
    fields = Fields([(b"X-User", b"anna"), (b"Connection", b"x-user")])
    assert principal_of(fields, HEADER) == ""


def test_what_is_there_twice_is_neither_of_the_two() -> None:
    both = by_header(b"anna", b"bert")
    assert both not in ("anna", "bert", "anna, bert", "")
    assert both != by_header(b"bert", b"anna")
    assert both != by_header(b"ann", b"abert")
    assert by_header(b"anna, bert") == "anna, bert"


def test_of_a_cookie_it_is_a_digest() -> None:
    found = by_cookie(b"a=1; session=secret; b=2")
    assert found.startswith("sha256:")
    assert "secret" not in found
    assert found == by_cookie(b"session=secret")
    assert found != by_cookie(b"session=secret2")
    assert found != by_cookie(b"session=secret; session=secret")
    assert by_cookie(b"other=secret") == by_cookie() == by_cookie(b"session=") == ""


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"sub": "anna"}, "anna"),
        ({"sub": 17}, "17"),
        ({"sub": ""}, ""),
        ({"sub": True}, ""),
        ({"sub": 1.5}, ""),
        ({"sub": ["anna"]}, ""),
        ({"sub": None}, ""),
        ({"user": "anna"}, ""),
        (b'{"sub": "anna", "sub": "bert"}', ""),
        (b'{"sub": "anna", "SUB": "bert"}', ""),
        (b"garbage", ""),
    ],
)
def test_by_claim(claims: object, expected: str) -> None:
    assert principal_of(bearing(claims), CLAIM) == expected


def test_a_refreshed_token_is_the_same_principal() -> None:
    assert principal_of(bearing({"sub": "anna", "exp": 1}), CLAIM) == principal_of(
        bearing({"exp": 2, "sub": "anna"}), CLAIM
    )


@pytest.mark.parametrize(
    "value", [b"\xff", b"a" * (MAX_CHARACTERS + 1), b"sha256:0", b"a\tb", "\u202ea".encode()]
)
def test_what_cannot_be_shown_is_a_digest(value: bytes) -> None:
    found = by_header(value)
    assert found.startswith("sha256:")
    assert len(found) == len("sha256:") + 64
    assert by_header(found.encode()) != found, "nobody can write a digest"


def test_a_rule_that_names_nothing_names_nobody() -> None:
    assert principal_of(Fields([(b"X-User", b"anna")]), PrincipalRule()) == ""


@given(
    st.lists(st.binary(max_size=12).map(bytes.strip), max_size=3),
    st.lists(st.binary(max_size=12).map(bytes.strip), max_size=3),
)
def test_two_requests_have_one_principal_only_if_they_say_the_same(
    one: list[bytes], other: list[bytes]
) -> None:
    if any(one) or any(other):
        assert (by_header(*one) == by_header(*other)) == (one == other)
    else:
        assert by_header(*one) == by_header(*other) == ""
