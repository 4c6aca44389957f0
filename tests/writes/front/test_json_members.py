"""A JSON text names something only if no other parser could name another thing."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.writes.front.json_members import member_at, parse_json, scalar_text


def read(text: str | bytes, *names: str) -> str:
    octets = text.encode() if isinstance(text, str) else text
    return scalar_text(member_at(parse_json(octets), names))


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ('{"a": "x"}', ("a",), "x"),
        ('{"a": {"b": {"c": 7}}}', ("a", "b", "c"), "7"),
        ('{"a": 1}', ("a",), "1"),
        ('{"a": 1.0}', ("a",), "1"),
        ('{"a": 1e0}', ("a",), "1"),
        ('{"a": 10E1}', ("a",), "100"),
        ('{"a": "1"}', ("a",), "1"),
        ('{"a": "1.0"}', ("a",), "1.0"),
        ('{"a": "01"}', ("a",), "01"),
        ('{"a": -0}', ("a",), "0"),
        ('{"a": -0.0}', ("a",), "0"),
        ('{"a": 18446744073709551615}', ("a",), "18446744073709551615"),
        ('{"a": true}', ("a",), "true"),
        ('{"a": "\\u00e9"}', ("a",), "é"),
        ('{"a": "\\u0000"}', ("a",), "\0"),
        ('{"a": "x", "b": 1, "b": 2}', ("a",), "x"),
        ('{"a": "x", "b": {"a": 1, "a": 2}}', ("a",), "x"),
    ],
)
def test_a_scalar_is_read_as_text(text: str, names: tuple[str, ...], expected: str) -> None:
    assert read(text, *names) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b"", "is not JSON", id="empty"),
        pytest.param(b"{", "is not JSON", id="cut"),
        pytest.param(b'{"a": 1} x', "is not JSON", id="more-behind-it"),
        pytest.param(b"{'a': 1}", "is not JSON", id="single-quotes"),
        pytest.param(b'{"a": NaN}', "NaN is no number", id="nan"),
        pytest.param(b'{"a": -Infinity}', "is no number", id="infinity"),
        pytest.param(b'{"a": "\n"}', "is not JSON", id="control-character"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', "is not JSON", id="byte-order-mark"),
        pytest.param('{"a": 1}'.encode("utf-16"), "is not UTF-8", id="utf-16"),
        pytest.param(b'{"a": "\xe9"}', "is not UTF-8", id="latin-1"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="deep-array"),
        pytest.param(b'{"a":' * 100_000, "nested too deeply", id="deep-object"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "is not JSON", id="thousands-of-digits"),
        pytest.param(b"[1]", "has no object around 'a'", id="array"),
        pytest.param(b"1", "has no object", id="scalar"),
        pytest.param(b"{}", "has no member 'a'", id="absent"),
        pytest.param(b'{"A": 1}', "has no member 'a'", id="another-case"),
        pytest.param(b'{"a": 1, "a": 1}', "more than once", id="twice"),
        pytest.param(b'{"a": 1, "A": 2}', "more than once", id="twice-where-case-is-ignored"),
        pytest.param(b'{"a": 1, "\\u0061": 2}', "more than once", id="twice-by-an-escape"),
        pytest.param(
            b'{"a": 1, "a\\u0000b": 2, "a\\u0000": 3}', "more than once", id="twice-where-nul-ends-it"
        ),
        pytest.param(b'{"a": 1, "a\\ud800": 2}', "more than once", id="twice-where-half-a-pair-is-dropped"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(text, "a")


def test_letters_that_fold_to_ascii_ones_are_taken_for_them() -> None:
    with pytest.raises(ValueError, match="can be taken for it"):
        read('{"key": 1, "\u212aEY": 2}', "key")


@pytest.mark.parametrize(
    "value", [None, [], (), "", "\ud800", 1.5, 1e300, -1e300, 2.0**54, 10**20, -(10**20), math.inf]
)
def test_what_names_nothing_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"null|object|empty|surrogate|number"):
        scalar_text(value)


@pytest.mark.slow
@given(
    st.dictionaries(st.text(max_size=3), st.integers(-(10**19), 10**19) | st.text(min_size=1, max_size=9)),
    st.data(),
)
def test_every_member_of_an_object_is_found(members: dict[str, int | str], data: st.DataObject) -> None:
    names = [name for name in members if sum(one.casefold() == name.casefold() for one in members) == 1]
    names = [name for name in names if name.isprintable() and all(one.isprintable() for one in members)]
    if names:
        name = data.draw(st.sampled_from(names))
        expected = members[name]
        assert member_at(parse_json(json.dumps(members).encode()), (name,)) == expected


@given(st.binary(max_size=60))
def test_no_octets_make_it_raise_anything_else(octets: bytes) -> None:
    with contextlib.suppress(ValueError):
        scalar_text(member_at(parse_json(octets), ("a",)))
