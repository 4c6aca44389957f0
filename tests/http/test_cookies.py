"""Cookies of a request, by name."""

from __future__ import annotations

import pytest

from proxy.http.cookies import cookie_values
from proxy.http.fields import Fields


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        ((), ()),
        ((b"a=1; b=2",), (b"1",)),
        ((b"a=1; a=2", b"b=3;a= 4 "), (b"1", b"2", b"4")),
        ((b"aa=1; A=2; a",), (b"",)),
        ((b' a = "x=y" ',), (b'"x=y"',)),
        ((b"a=\xe9",), (b"\xe9",)),
    ],
)
def test_the_values_of_a_cookie_come_as_sent_and_in_order(
    lines: tuple[bytes, ...], values: tuple[bytes, ...]
) -> None:
    assert cookie_values(Fields([(b"Cookie", line) for line in lines]), b"a") == values
