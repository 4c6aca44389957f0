"""Messages as octets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.workers.frames import MAX_FRAME_BYTES, FrameBroken, Unframer, framed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=5,
)
MESSAGES = st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=4)


@given(messages=MESSAGES, cut=st.integers(1, 40))
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[dict[str, object]], cut: int
) -> None:
    octets = b"".join(map(framed, messages))
    unframer = Unframer()
    found = [
        message
        for start in range(0, len(octets), cut)
        for message in unframer.feed(octets[start : start + cut])
    ]
    assert found == messages
    assert unframer.rest == b""


def test_half_a_message_is_kept() -> None:
    octets = framed({"ask": 1})
    unframer = Unframer()
    assert unframer.feed(octets[:5]) == []
    assert unframer.rest == octets[:5]
    assert unframer.feed(octets[5:]) == [{"ask": 1}]


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param((MAX_FRAME_BYTES + 1).to_bytes(4, "big"), id="too-long"),
        pytest.param(b"\x00\x00\x00\x01{", id="no-json"),
        pytest.param(b"\x00\x00\x00\x01\xff", id="no-text"),
        pytest.param(b"\x00\x00\x00\x02[]", id="no-object"),
    ],
)
def test_what_is_no_message_is_an_error(octets: bytes) -> None:
    with pytest.raises(FrameBroken):
        Unframer().feed(octets)


def test_a_message_is_ascii() -> None:
    assert json.loads(framed({"key": "ä\ud800"})[4:]) == {"key": "ä\ud800"}
