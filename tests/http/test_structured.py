"""What is no structured field is ignored whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.structured import parse_dictionary, parse_item, parse_list


@pytest.mark.parametrize(
    ("value", "members"),
    [
        pytest.param(b"a=1, b", {"a": 1, "b": True}, id="items"),
        pytest.param(b'a=("x" "y");q=1', {"a": ("x", "y")}, id="inner-list"),
        pytest.param(b"a=1, a=2", {"a": 2}, id="the-last-of-a-name-counts"),
        pytest.param(b"a=1;p=2", {"a": 1}, id="parameters-are-dropped"),
        pytest.param(b"", {}, id="empty"),
        pytest.param(b"a=1,", {}, id="trailing-comma"),
        pytest.param(b"A=1", {}, id="upper-case-name"),
        pytest.param(b"a=1 b", {}, id="missing-comma"),
        pytest.param(b'a="', {}, id="open-quote"),
        pytest.param(b"a=" + b"1" * 20_000, {}, id="huge"),
    ],
)
def test_a_dictionary_is_read_or_nothing_is(value: bytes, members: dict[str, object]) -> None:
    assert parse_dictionary(value) == members


@pytest.mark.parametrize(
    ("value", "members"),
    [
        pytest.param(b'"a", "b";x=1', ("a", "b"), id="strings"),
        pytest.param(b'("a" "b")', (("a", "b"),), id="inner-list"),
        pytest.param(b'"a",', (), id="trailing-comma"),
        pytest.param(b'"\xc3\xa9"', (), id="non-ascii"),
    ],
)
def test_a_list_is_read_or_nothing_is(value: bytes, members: tuple[object, ...]) -> None:
    assert parse_list(value) == members


@pytest.mark.parametrize(
    ("value", "item"),
    [(b'"a"', "a"), (b"1;q=2", 1), (b"(1 2)", None), (b'"a", "b"', None), (b"", None), (b"\xff", None)],
)
def test_an_item_is_read_or_nothing_is(value: bytes, item: object) -> None:
    assert parse_item(value) == item


@pytest.mark.slow
@given(
    st.one_of(
        st.binary(max_size=40),
        st.from_regex(
            rb"[a-z]=(\(\"a\"\)|@-?[0-9]{1,15}|%\"%[0-9a-f]{2}\"|:[A-Za-z=]{0,6}:|-?[0-9.]{1,18})",
            fullmatch=True,
        ),
    )
)
def test_no_octets_make_the_parsers_raise(value: bytes) -> None:
    parse_dictionary(value)
    parse_item(value)
    parse_list(value)
    parse_list(value[2:])
