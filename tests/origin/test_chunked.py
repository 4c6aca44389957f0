"""Chunked bodies: content out, framing errors found, the end found exactly (RFC 9112 §7.1)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.origin.chunked import ChunkDefect, ChunkedReader


def reader() -> ChunkedReader:
    return ChunkedReader(max_framing_octets=1024)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", id="plain"),
        pytest.param(b'3;a=b;c="d"\r\nabc\r\n0;x\r\n\r\n', id="extensions"),
        pytest.param(b"003\r\nabc\r\n000\r\n\r\n", id="leading-zeros"),
        pytest.param(b"3\r\nabc\r\n0\r\nChecksum: x\r\nB: c\r\n\r\n", id="trailers"),
    ],
)
def test_content_is_taken_out_in_any_segmentation(octets: bytes) -> None:
    for step in (1, 2, 3, 5, len(octets)):
        chunks = reader()
        pieces = [chunks.feed(octets[at : at + step]) for at in range(0, len(octets), step)]
        assert b"".join(pieces) == b"abc"
        assert chunks.finished
        assert not chunks.surplus
        chunks.close()


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"2 \r\nab\r\n", id="blank-after-the-size"),
        pytest.param(b" 2\r\nab\r\n", id="blank-before-the-size"),
        pytest.param(b"2\nab\r\n", id="bare-lf-after-the-size"),
        pytest.param(b"2\r\r\nab\r\n", id="two-cr"),
        pytest.param(b"0x2\r\nab\r\n", id="hexadecimal-prefix"),
        pytest.param(b"+2\r\nab\r\n", id="sign"),
        pytest.param(b"-2\r\nab\r\n", id="minus"),
        pytest.param(b"2_0\r\nab\r\n", id="underscore"),
        pytest.param(b"g\r\nab\r\n", id="not-hexadecimal"),
        pytest.param(b"\r\n", id="no-size"),
        pytest.param(b"fffffffffffffffff\r\nab", id="overflow"),
        pytest.param(b"2;a\nb\r\nab\r\n", id="lf-in-an-extension"),
        pytest.param(b"2;\x00\r\nab\r\n", id="nul-in-an-extension"),
    ],
)
def test_a_malformed_size_is_refused(octets: bytes) -> None:
    with pytest.raises(ChunkDefect) as caught:
        reader().feed(octets)
    assert caught.value.good == b""


@pytest.mark.parametrize("tail", [b"X\r\n", b"\n0\r\n\r\n", b"c\r\n"])
def test_a_chunk_longer_than_its_size_is_refused_after_its_good_octets(tail: bytes) -> None:
    with pytest.raises(ChunkDefect) as caught:
        reader().feed(b"2\r\nab" + tail)
    assert caught.value.good == b"ab"


@pytest.mark.parametrize("tail", [b"A: b\n\n", b"A: b\r\n c\r\n\r\n", b"A : b\r\n\r\n", b"A: \x00\r\n\r\n"])
def test_a_malformed_trailer_is_refused(tail: bytes) -> None:
    chunks = reader()
    with pytest.raises(ChunkDefect):
        chunks.feed(b"2\r\nab\r\n0\r\n" + tail)
    assert not chunks.finished


@pytest.mark.parametrize("octets", [b"0;" + b"x" * 2000, b"0\r\nA: " + b"x" * 2000])
def test_framing_without_content_is_bounded(octets: bytes) -> None:
    chunks = reader()
    for at in range(0, 1000, 100):
        assert chunks.feed(octets[at : at + 100]) == b""
    with pytest.raises(ChunkDefect, match="1024"):
        chunks.feed(octets[1000:1100])


@pytest.mark.parametrize(
    "surplus",
    [
        b"H",
        b"HTTP/1.1 200 OK\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\0",
    ],
)
def test_octets_after_the_end_are_noticed(surplus: bytes) -> None:
    for octets in ((b"2\r\nab\r\n0\r\n\r\n" + surplus,), (b"2\r\nab\r\n0\r", b"\n\r", b"\n" + surplus)):
        chunks = reader()
        content = b"".join(chunks.feed(segment) for segment in octets)
        assert content == b"ab"
        assert chunks.finished
        assert chunks.surplus


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    cuts=st.lists(st.integers(0, 500), max_size=12),
    trailers=st.sampled_from([b"", b"A: b\r\n"]),
)
def test_any_content_in_any_chunks_and_segments_comes_out_whole(
    pieces: list[bytes], cuts: list[int], trailers: bytes
) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    chunks = reader()
    content = b""
    for begin, end in pairwise(edges):
        assert not chunks.finished or begin == len(wire)
        if begin < end:
            content += chunks.feed(wire[begin:end])
    assert content == b"".join(pieces)
    assert chunks.finished
    assert not chunks.surplus
