"""Prefer, as RFC 7240 has it read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.writes.front.prefer import LONGEST_WAIT_S, Preferences, preferences, without_ours


def read(*values: bytes) -> Preferences:
    return preferences(Fields([(b"Prefer", value) for value in values]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param((), Preferences(), id="none"),
        pytest.param((b"respond-async",), Preferences(True), id="async"),
        pytest.param((b"Respond-ASYNC",), Preferences(True), id="names-have-no-case"),
        pytest.param((b"respond-async, wait=5",), Preferences(True, 5.0), id="both"),
        pytest.param((b"respond-async", b"wait=5"), Preferences(True, 5.0), id="two-fields"),
        pytest.param((b" ,, wait = 5 ,",), Preferences(False, 5.0), id="empty-members-and-space"),
        pytest.param((b'wait="5"',), Preferences(False, 5.0), id="quoted"),
        pytest.param((b'wait="\\5"',), Preferences(False, 5.0), id="quoted-pair"),
        pytest.param((b"wait=5, wait=9",), Preferences(False, 5.0), id="the-first-counts"),
        pytest.param((b"wait=x, wait=9",), Preferences(), id="the-first-counts-though-it-says-nothing"),
        pytest.param((b'respond-async=""',), Preferences(True), id="an-empty-value-is-none"),
        pytest.param((b"respond-async=",), Preferences(True), id="nothing-behind-the-sign-is-none"),
        pytest.param((b"respond-async=yes",), Preferences(), id="a-value-it-does-not-have"),
        pytest.param((b"respond-async; foo=bar; x",), Preferences(True), id="parameters"),
        pytest.param(
            (b"respond-async; wait=3, wait=4",), Preferences(True, 4.0), id="a-parameter-is-no-preference"
        ),
        pytest.param((b'foo="a, respond-async", wait=1',), Preferences(False, 1.0), id="a-comma-in-quotes"),
        pytest.param(
            (b'foo="a\\", respond-async", wait=1',), Preferences(False, 1.0), id="a-quote-in-quotes"
        ),
        pytest.param(
            (b'foo; x="a, wait=7", wait=1',), Preferences(False, 1.0), id="a-comma-in-a-quoted-parameter"
        ),
        pytest.param((b"handling=lenient, return=minimal, respond-async",), Preferences(True), id="others"),
        pytest.param((b"foo bar, respond-async",), Preferences(True), id="a-malformed-one-is-left-out"),
        pytest.param((b"=1, (x), respond-async",), Preferences(True), id="malformed-names"),
        pytest.param((b'x="open, respond-async',), Preferences(), id="an-open-quote-runs-to-the-end"),
        pytest.param((b"wait=-1",), Preferences(), id="negative"),
        pytest.param((b"wait=1.5",), Preferences(), id="fraction"),
        pytest.param((b"wait",), Preferences(), id="no-seconds"),
        pytest.param((b"wait=0",), Preferences(False, 0.0), id="zero"),
        pytest.param((b"wait=" + b"9" * 400,), Preferences(False, LONGEST_WAIT_S), id="hundreds-of-digits"),
    ],
)
def test_preferences(values: tuple[bytes, ...], expected: Preferences) -> None:
    assert read(*values) == expected


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ((), ()),
        ((b"respond-async",), ()),
        ((b"respond-async, wait=5; x=1", b"WAIT = 3"), ()),
        (
            (b"return=minimal, respond-async", b"handling=lenient; x"),
            (b"return=minimal, handling=lenient; x",),
        ),
        ((b'foo="a, respond-async", wait=1',), (b'foo="a, respond-async"',)),
        ((b"waiting=1, respond-async-x",), (b"waiting=1, respond-async-x",)),
    ],
)
def test_the_origin_is_told_what_is_not_heeded_here(
    values: tuple[bytes, ...], left: tuple[bytes, ...]
) -> None:
    fields = Fields([(b"A", b"1"), *((b"prefer", value) for value in values)])
    assert without_ours(fields).get_all(b"prefer") == left
    assert without_ours(fields).get(b"a") == b"1"


@pytest.mark.slow
@given(
    st.lists(
        st.binary(max_size=40) | st.text('respond-async,;="\\ wait19', max_size=40).map(str.encode),
        max_size=3,
    )
)
def test_no_octets_make_it_raise(values: list[bytes]) -> None:
    found = read(*values)
    assert found.wait_s is None or 0 <= found.wait_s <= LONGEST_WAIT_S
    left = without_ours(Fields([(b"Prefer", value) for value in values]))
    assert preferences(left) == Preferences()
