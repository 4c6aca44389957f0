"""Heads are alike if they differ in nothing but values that do not matter, each of them plain."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.folding import INDIFFERENT
from proxy.server.likeness import Likenesses

LIKENESSES = Likenesses(INDIFFERENT, max_bytes=8000)
HEAD = b"GET /a HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n"
PLAIN = st.from_regex(rb"[!-~][ -~]{0,20}", fullmatch=True)


def of(*lines: bytes) -> tuple[bytes, ...] | None:
    return LIKENESSES.of(HEAD % b"\r\n".join(lines))


@pytest.mark.parametrize("name", sorted(INDIFFERENT))
@pytest.mark.parametrize("spelt", ["lower", "usual"])
def test_each_indifferent_field_may_have_another_value(name: bytes, spelt: str) -> None:
    if spelt == "usual":
        name = b"-".join(map(bytes.capitalize, name.split(b"-")))
    assert of(name + b": one") == of(name + b": another one") is not None
    assert of(name + b": one") != of(b"X-" + name + b": one")


@given(one=PLAIN, other=PLAIN, between=PLAIN)
def test_only_plain_values_differ(one: bytes, other: bytes, between: bytes) -> None:
    x = b"X-A: " + between
    assert of(b"Cookie: " + one, x, b"Referer: " + other) == of(b"Cookie: " + other, x, b"Referer: " + one)
    assert of(b"Cookie: " + one, x) != of(b"Cookie: " + one, x + b"!")
    assert of(b"Cookie: " + one, x) != of(x, b"Cookie: " + one)
    assert of(b"Cookie: " + one) != of(b"Cookie: " + one, b"Cookie: " + one)


@given(value=st.binary(max_size=12))
def test_what_is_taken_out_is_plain_and_the_rest_is_all_there(value: bytes) -> None:
    octets = HEAD % (b"Cookie: " + value + b"\r\nX-A: b")
    parts = LIKENESSES.of(octets)
    if parts is None:
        return
    assert len(parts) % 2 == 1
    before, *rest = parts
    pattern = re.escape(before)
    for name, after in zip(rest[::2], rest[1::2], strict=True):
        assert name.lower() in INDIFFERENT
        pattern += rb"\r\n" + re.escape(name) + rb": [!-~][ -~]*" + re.escape(after)
        assert after.startswith(b"\r\n")
    assert re.fullmatch(pattern, octets)


@pytest.mark.parametrize(
    "line",
    [
        b"Cookie:a", b"Cookie:  a", b"Cookie: ", b"Cookie: a\tb", b"Cookie: \xe9", b"Cookie: a\x00",
        b"cOOkie: a", b"Cookie : a", b"X-Cookie: a", b"Range: bytes=0-1", b"Content-Length: 3",
        b"Transfer-Encoding: chunked", b"Connection: close", b"Upgrade: a", b"Host: b",
        b"Authorization: a", b"If-None-Match: a",
    ],
)  # fmt: skip
def test_other_lines_have_to_be_the_same(line: bytes) -> None:
    assert of(line) is None


def test_a_head_above_the_limit_is_like_no_other() -> None:
    longest = HEAD % (b"Cookie: " + b"c" * (8000 - len(HEAD % b"Cookie: ")))
    assert len(longest) == 8000
    assert LIKENESSES.of(longest) is not None
    assert LIKENESSES.of(longest.replace(b"cc", b"ccc", 1)) is None


def test_with_no_indifferent_field_nothing_is_alike() -> None:
    assert Likenesses((), max_bytes=8000).of(HEAD % b"Cookie: a") is None


def test_a_name_that_begins_as_another_is_told_apart() -> None:
    some = Likenesses({b"a", b"ab", b"abc"}, max_bytes=8000)
    found = {name: some.of(HEAD % (name + b": x")) for name in (b"a", b"ab", b"abc", b"A", b"Ab")}
    assert len(set(found.values())) == 5
    assert None not in found.values()
    assert some.of(HEAD % b"abcd: x") is None
