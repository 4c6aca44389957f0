"""Heads that are believed, and heads that are not (RFC 9112 §4–6)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.http.remembered import KNOWN_HEAD_BYTES
from proxy.origin.port import Framing
from proxy.origin.response_head import (
    MAX_FIELDS,
    HeadDefect,
    HeadReader,
    ReceivedHead,
    keeps_alive,
    read_response_head,
    received_head,
)

START = b"HTTP/1.1 200 OK\r\n"


def test_a_head_is_read_with_its_octets_as_they_came() -> None:
    head = read_response_head(
        b"HTTP/1.0 299 caf\xe9 au lait\r\nX-A:  b \t\r\nx-a: \xff\r\nEmpty:\r\nE2: \r\nColon: a:b\r\n\r\n"
    )
    assert (head.status, head.reason, head.minor_version) == (299, b"caf\xe9 au lait", 0)
    assert list(head.fields) == [
        (b"X-A", b"b"),
        (b"x-a", b"\xff"),
        (b"Empty", b""),
        (b"E2", b""),
        (b"Colon", b"a:b"),
    ]


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200\r\n", b"HTTP/1.1 200 \r\n", b"HTTP/1.1 599 ?\r\n", b"HTTP/1.1 100 Continue\r\n"]
)
def test_status_lines_that_are_good(start: bytes) -> None:
    assert read_response_head(start + b"\r\n").status == int(start[9:12])


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(START + b"A: b\n\r\n", id="bare-lf-after-a-field"),
        pytest.param(b"HTTP/1.1 200 OK\nA: b\r\n\r\n", id="bare-lf-after-the-status-line"),
        pytest.param(START + b"A: b\rC: d\r\n\r\n", id="bare-cr"),
        pytest.param(START + b"A: b\r\n folded\r\n\r\n", id="obs-fold"),
        pytest.param(START + b"A: b\r\n\tfolded\r\n\r\n", id="obs-fold-by-tab"),
        pytest.param(START + b" A: b\r\n\r\n", id="blank-before-the-first-field"),
        pytest.param(START + b"A : b\r\n\r\n", id="blank-before-the-colon"),
        pytest.param(START + b"A: \x00b\r\n\r\n", id="nul-in-a-value"),
        pytest.param(START + b"A\x00: b\r\n\r\n", id="nul-in-a-name"),
        pytest.param(b"HTTP/1.1 200 O\x00K\r\n\r\n", id="nul-in-the-reason"),
        pytest.param(START + b"A: \x1bb\r\n\r\n", id="control-in-a-value"),
        pytest.param(START + b"A: \x7fb\r\n\r\n", id="del-in-a-value"),
        pytest.param(START + b"no colon\r\n\r\n", id="no-colon"),
        pytest.param(START + b": b\r\n\r\n", id="no-name"),
        pytest.param(START + b"A(b): c\r\n\r\n", id="delimiter-in-a-name"),
        pytest.param(b"HTTP/2.0 200 OK\r\n\r\n", id="http-2"),
        pytest.param(b"HTTP/1.2 200 OK\r\n\r\n", id="http-1.2"),
        pytest.param(b"HTTP/0.9 200 OK\r\n\r\n", id="http-0.9"),
        pytest.param(b"http/1.1 200 OK\r\n\r\n", id="lower-case-version"),
        pytest.param(b"RTSP/1.0 200 OK\r\n\r\n", id="rtsp"),
        pytest.param(b"ICY 200 OK\r\n\r\n", id="icy"),
        pytest.param(b"HTTP/1.1 099 OK\r\n\r\n", id="status-099"),
        pytest.param(b"HTTP/1.1 600 OK\r\n\r\n", id="status-600"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="status-of-two-digits"),
        pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n", id="status-of-four-digits"),
        pytest.param(b"HTTP/1.1 +20 OK\r\n\r\n", id="signed-status"),
        pytest.param(b"HTTP/1.1  200 OK\r\n\r\n", id="two-blanks"),
        pytest.param(b"HTTP/1.1 200OK\r\n\r\n", id="no-blank-before-the-reason"),
        pytest.param(b"\r\nHTTP/1.1 200 OK\r\n\r\n", id="empty-line-first"),
        pytest.param(START + b"A: b\r\n" * (MAX_FIELDS + 1) + b"\r\n", id="too-many-fields"),
    ],
)
def test_a_malformed_head_is_refused(raw: bytes) -> None:
    with pytest.raises(HeadDefect):
        read_response_head(raw)


def test_the_error_names_the_line() -> None:
    with pytest.raises(HeadDefect, match="Bad : line"):
        read_response_head(START + b"Good: line\r\nBad : line\r\n\r\n")


@given(st.binary(max_size=60))
def test_whatever_stands_in_a_field_a_head_keeps_one_field_per_line(value: bytes) -> None:
    try:
        head = read_response_head(START + b"A: " + value + b"\r\nB: c\r\n\r\n")
    except HeadDefect:
        return
    lines = (b"A: " + value + b"\r\nB: c").count(b"\r\n") + 1
    assert len(head.fields) == lines
    assert not any(octet in b"\r\n\0" for _, found in head.fields for octet in found)


def framing(method: str, status: int, *pairs: tuple[bytes, bytes], minor: int = 1) -> object:
    return ReceivedHead.of(ResponseHead(status, Fields(pairs), minor_version=minor)).framing_for(method)


CHUNKED = (b"Transfer-Encoding", b"Chunked")
FIVE = (b"Content-Length", b"5")


@pytest.mark.parametrize(
    ("method", "status", "pairs", "expected"),
    [
        pytest.param("GET", 200, (FIVE,), (Framing.LENGTH, 5), id="length"),
        pytest.param("GET", 200, (CHUNKED,), (Framing.CHUNKED, None), id="chunked"),
        pytest.param("GET", 200, (), (Framing.CLOSE, None), id="neither"),
        pytest.param("HEAD", 200, (FIVE,), (Framing.NONE, 0), id="head-with-length"),
        pytest.param("HEAD", 200, (CHUNKED,), (Framing.NONE, 0), id="head-with-chunked"),
        pytest.param("GET", 204, (FIVE,), (Framing.NONE, 0), id="204-with-length"),
        pytest.param("GET", 304, (FIVE,), (Framing.NONE, 0), id="304-with-length"),
        pytest.param("GET", 103, (), (Framing.NONE, 0), id="informational"),
    ],
)
def test_framing_follows_the_rfc(
    method: str, status: int, pairs: tuple[tuple[bytes, bytes], ...], expected: object
) -> None:
    assert framing(method, status, *pairs) == expected


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param((FIVE, FIVE), id="two-equal-lengths"),
        pytest.param((FIVE, (b"content-length", b"6")), id="two-lengths"),
        pytest.param(((b"Content-Length", b"5, 5"),), id="list-of-lengths"),
        pytest.param(((b"Content-Length", b"+5"),), id="signed-length"),
        pytest.param(((b"Content-Length", b"-5"),), id="negative-length"),
        pytest.param(((b"Content-Length", b"0x5"),), id="hexadecimal-length"),
        pytest.param(((b"Content-Length", b"5_0"),), id="underscore-in-length"),
        pytest.param(((b"Content-Length", b""),), id="empty-length"),
        pytest.param(((b"Content-Length", b"\xb2"),), id="superscript-length"),
        pytest.param(((b"Content-Length", b"9" * 19),), id="huge-length"),
        pytest.param((FIVE, CHUNKED), id="length-and-coding"),
        pytest.param((CHUNKED, CHUNKED), id="two-codings"),
        pytest.param(((b"Transfer-Encoding", b"gzip, chunked"),), id="gzip-chunked"),
        pytest.param(((b"Transfer-Encoding", b"identity"),), id="identity"),
        pytest.param(((b"Transfer-Encoding", b"xchunked"),), id="xchunked"),
        pytest.param(((b"Transfer-Encoding", b"chunked;a=b"),), id="coding-with-parameter"),
        pytest.param(((b"Transfer-Encoding", b""),), id="empty-coding"),
    ],
)
def test_framing_that_can_be_read_two_ways_is_refused(
    method: str, pairs: tuple[tuple[bytes, bytes], ...]
) -> None:
    with pytest.raises(HeadDefect):
        framing(method, 200, *pairs)


def test_chunked_with_http_1_0_is_refused() -> None:
    with pytest.raises(HeadDefect):
        framing("GET", 200, CHUNKED, minor=0)


@pytest.mark.parametrize(
    ("status", "minor", "pairs", "expected"),
    [
        pytest.param(200, 1, (), True, id="http-1.1"),
        pytest.param(200, 1, ((b"Connection", b"x, Close"),), False, id="close"),
        pytest.param(200, 0, (), False, id="http-1.0"),
        pytest.param(200, 0, ((b"Connection", b"Keep-Alive"),), True, id="http-1.0-keep-alive"),
        pytest.param(200, 0, ((b"Connection", b"keep-alive, close"),), False, id="both"),
        pytest.param(204, 1, (FIVE,), False, id="204-that-announces-a-body"),
        pytest.param(204, 1, (CHUNKED,), False, id="204-that-announces-chunks"),
        pytest.param(204, 1, ((b"Content-Length", b"0"),), True, id="204-with-length-0"),
        pytest.param(304, 1, (FIVE,), True, id="304-with-length"),
    ],
)
def test_which_connections_may_carry_another_request(
    status: int, minor: int, pairs: tuple[tuple[bytes, bytes], ...], expected: bool
) -> None:
    assert keeps_alive(ResponseHead(status, Fields(pairs), minor_version=minor)) is expected


RAW = START + b"A: b\r\nC: d\r\n\r\n"


@given(cuts=st.lists(st.integers(0, len(RAW)), max_size=6))
def test_a_head_is_found_however_it_is_cut_into_segments(cuts: list[int]) -> None:
    octets = RAW + b"body"
    edges = [0, *sorted(cuts), len(octets)]
    reader = HeadReader(max_head_bytes=1024)
    found, rest = None, b""
    for begin, end in pairwise(edges):
        if found is not None:
            rest += octets[begin:end]
        elif begin < end:
            found, rest = reader.cut(octets[begin:end])
    assert (found, rest) == (RAW, b"body")


def test_a_head_at_the_limit_passes_and_one_above_is_refused() -> None:
    assert HeadReader(max_head_bytes=len(RAW)).cut(RAW)[0] == RAW
    with pytest.raises(HeadDefect, match="max_head_bytes"):
        HeadReader(max_head_bytes=len(RAW) - 1).cut(RAW)


def test_a_head_that_is_too_long_is_refused_before_its_end() -> None:
    reader = HeadReader(max_head_bytes=1024)
    assert reader.cut(START + b"A: ") == (None, b"")
    with pytest.raises(HeadDefect, match="max_head_bytes"):
        reader.cut(b"x" * 1024)


@pytest.mark.parametrize(
    "octets",
    [b"SSH-2.0-OpenSSH_9\r\n", b"<html>", b"\x15\x03\x01", b"HTTP/2.0", b"HTTP/1.1 200 OK\nA: b\n\n"],
)
def test_what_cannot_become_a_head_is_refused_at_once(octets: bytes) -> None:
    with pytest.raises(HeadDefect):
        HeadReader(max_head_bytes=1024).cut(octets)


def test_the_same_octets_are_the_same_head_again() -> None:
    raw = START + b"Content-Length: 3\r\nX-Same: again\r\n\r\n"
    assert received_head(bytes(bytearray(raw))) is received_head(raw)
    assert received_head(raw.replace(b"again", b"other")).head.fields.get(b"x-same") == b"other"


def test_a_long_head_is_not_remembered() -> None:
    raw = START + b"X-Long: " + b"x" * KNOWN_HEAD_BYTES + b"\r\n\r\n"
    assert received_head(raw) == received_head(raw)
    assert received_head(raw) is not received_head(raw)


def test_a_defect_is_told_each_time() -> None:
    raw = START + b"Transfer-Encoding: gzip, chunked\r\n\r\n"
    for _ in range(2):
        with pytest.raises(HeadDefect, match="understood"):
            received_head(raw)


@pytest.mark.parametrize(
    ("kind", "lasts"),
    [(b"text/event-stream", True), (b"Text/Event-Stream ; charset=utf-8", True), (b"text/html", False)],
)
def test_an_event_stream_lasts(kind: bytes, lasts: bool) -> None:
    assert received_head(START + b"Content-Type: " + kind + b"\r\n\r\n").lasts is lasts
