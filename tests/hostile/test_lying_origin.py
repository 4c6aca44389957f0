"""An origin that lies: nobody gets more than was meant for them, and no cut answer looks whole."""

from __future__ import annotations

import pytest

from tests.hostile.arena import Arena, get
from tests.hostile.conftest import MakeArena
from tests.hostile.readings import Incomplete, strict_response
from tests.hostile.recording import answer

OK = b"HTTP/1.1 200 OK\r\n"
FRESH = b"Cache-Control: max-age=60\r\n"
CHUNKED = OK + FRESH + b"Transfer-Encoding: chunked\r\n\r\n"
STOLEN = answer(b"stolen", b"Cache-Control: max-age=60")


def head(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A response with this start line and these lines, and the body `hello`."""
    return start + b"\r\n" + FRESH + b"".join(line + b"\r\n" for line in lines) + b"\r\nhello"


LENGTH = b"Content-Length: 5"

REFUSED = {
    "cl-te": head(LENGTH, b"Transfer-Encoding: chunked"),
    "te-cl": head(b"Transfer-Encoding: chunked", LENGTH),
    "cl-twice": head(LENGTH, b"Content-Length: 9"),
    "cl-twice-same": head(LENGTH, LENGTH),
    "cl-list": head(b"Content-Length: 5, 5"),
    "cl-plus": head(b"Content-Length: +5"),
    "cl-minus": head(b"Content-Length: -5"),
    "cl-hex": head(b"Content-Length: 0x5"),
    "cl-empty": head(b"Content-Length:"),
    "cl-overflow": head(b"Content-Length: 18446744073709551617"),
    "cl-spaced": head(b"Content-Length: 5 5"),
    "te-gzip-chunked": head(b"Transfer-Encoding: gzip, chunked"),
    "te-xchunked": head(b"Transfer-Encoding: xchunked"),
    "te-identity": head(b"Transfer-Encoding: identity"),
    "te-twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "te-http10": head(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK"),
    "te-vertical-tab": head(b"Transfer-Encoding:\x0bchunked"),
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "bare-lf-field": head(b"X: a\nSet-Cookie: evil=1", LENGTH),
    "bare-cr-field": head(b"X: a\rSet-Cookie: evil=1", LENGTH),
    "nul-field": head(b"X: a\0b", LENGTH),
    "control-field": head(b"X: a\x01b", LENGTH),
    "folded": head(b"X: a\r\n b", LENGTH),
    "space-before-colon": head(b"Content-Length : 5"),
    "empty-name": head(b": a", LENGTH),
    "no-colon": head(b"X", LENGTH),
    "blank-first": head(b" X: a", LENGTH),
    "reason-nul": head(LENGTH, start=b"HTTP/1.1 200 O\0K"),
    "reason-lf": head(LENGTH, start=b"HTTP/1.1 200 OK\nSet-Cookie: evil=1"),
    "http09": b"hello",
    "http2": head(LENGTH, start=b"HTTP/2.0 200 OK"),
    "icy": head(LENGTH, start=b"ICY 200 OK"),
    "status-999": head(LENGTH, start=b"HTTP/1.1 999 OK"),
    "status-099": head(LENGTH, start=b"HTTP/1.1 099 OK"),
    "status-2000": head(LENGTH, start=b"HTTP/1.1 2000 OK"),
    "status-letters": head(LENGTH, start=b"HTTP/1.1 two OK"),
    "empty-lines-before": b"\r\n\r\n" + head(LENGTH),
    "101-unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "100-forever": b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + head(LENGTH),
    "103-flood": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 5000,
    "100-with-cl-te": b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "many-fields": head(*[b"X-%d: a" % number for number in range(300)], LENGTH),
    "giant-field": head(b"X: " + b"a" * 70_000, LENGTH),
    "endless-head": OK + b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(200)),
    "endless-line": b"HTTP/1.1 200 " + b"a" * 200_000,
    "binary": bytes(range(256)) * 4,
}

CUT = {
    "short-body": OK + FRESH + b"Content-Length: 50\r\n\r\nhello",
    "no-body": OK + FRESH + b"Content-Length: 50\r\n\r\n",
    "chunk-size-hex-prefix": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk-size-plus": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk-size-minus": CHUNKED + b"-1\r\nhello\r\n0\r\n\r\n",
    "chunk-size-space": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "chunk-size-underscore": CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "chunk-size-overflow": CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "chunk-size-letters": CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n",
    "chunk-bare-lf": CHUNKED + b"5\nhello\n0\n\n",
    "chunk-no-crlf": CHUNKED + b"5\r\nhelloX\r\n0\r\n\r\n",
    "chunk-longer": CHUNKED + b"3\r\nhello\r\n0\r\n\r\n",
    "chunk-unfinished": CHUNKED + b"50\r\nhello",
    "chunk-no-end": CHUNKED + b"5\r\nhello\r\n",
    "chunk-no-last-crlf": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "chunk-extension-lf": CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "chunk-endless-extension": CHUNKED + b"5;" + b"a" * 200_000,
    "trailer-endless": CHUNKED + b"5\r\nhello\r\n0\r\n" + b"X: a\r\n" * 30_000,
    "trailer-no-colon": CHUNKED + b"5\r\nhello\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n",
}


async def _ask(ring: Arena, method: bytes = b"GET") -> bytes:
    client = await ring.client()
    await client.send(get(b"/page", b"Connection: close", method=method))
    return await client.rest()


def _cut_after(ring: Arena, octets: bytes) -> None:
    ring.origin.on(b"/page", octets)
    ring.origin.cut_after.add(b"/page")


@pytest.mark.parametrize("octets", [pytest.param(octets, id=name) for name, octets in REFUSED.items()])
async def test_a_head_that_can_be_read_in_two_ways_is_a_502(arena: MakeArena, octets: bytes) -> None:
    async with arena() as ring:
        _cut_after(ring, octets)
        answers = await _ask(ring)
        response, end = strict_response(answers, closed=True)
        assert response.start[0] == b"502"
        assert answers[end:] == b""
        assert b"evil" not in answers
        ring.expect_logged(502)
        ring.origin.on(b"/page", answer(b"good"))
        assert (await ring.innocently(b"/page")).body == b"good"


@pytest.mark.parametrize("octets", [pytest.param(octets, id=name) for name, octets in CUT.items()])
async def test_a_body_that_breaks_off_never_looks_whole(arena: MakeArena, octets: bytes) -> None:
    async with arena() as ring:
        _cut_after(ring, octets)
        answers = await _ask(ring)
        if answers and not answers.startswith(b"HTTP/1.1 502"):
            with pytest.raises(Incomplete):
                strict_response(answers, closed=True)
        ring.origin.on(b"/page", answer(b"good"))
        assert (await ring.innocently(b"/page")).body == b"good"


WHOLE = {
    "surplus": (answer(b"hello", FRESH[:-2]) + STOLEN, b"hello"),
    "surplus-octet": (answer(b"hello", FRESH[:-2]) + b"x", b"hello"),
    "surplus-newline": (answer(b"hello", FRESH[:-2]) + b"\r\n", b"hello"),
    "surplus-after-chunks": (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + STOLEN, b"hello"),
    "surplus-after-204": (b"HTTP/1.1 204 No Content\r\n\r\n" + STOLEN, b""),
    "204-with-length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nstolen", b""),
    "204-with-chunks": (
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nstolen\r\n0\r\n\r\n",
        b"",
    ),
    "304-unasked": (b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\n\r\n", b""),
    "304-unasked-with-body": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nstolen", b""),
    "206-unasked": (
        head(LENGTH, b"Content-Range: bytes 0-4/500", start=b"HTTP/1.1 206 Partial Content"),
        b"hello",
    ),
    "trailers-are-dropped": (
        CHUNKED + b"5\r\nhello\r\n0\r\nSet-Cookie: evil=1\r\nContent-Type: a\r\n\r\n",
        b"hello",
    ),
    "early-hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"hello"), b"hello"),
    "hop-by-hop": (
        head(
            b"Connection: keep-alive, x-a", b"X-A: evil", b"Keep-Alive: timeout=5", b"Upgrade: evil", LENGTH
        ),
        b"hello",
    ),
    "hop-takes-framing": (head(b"Connection: content-length, set-cookie", LENGTH), b"hello"),
}


@pytest.mark.parametrize(
    ("octets", "body"), [pytest.param(octets, body, id=name) for name, (octets, body) in WHOLE.items()]
)
async def test_what_belongs_to_no_request_answers_none(arena: MakeArena, octets: bytes, body: bytes) -> None:
    async with arena() as ring:
        ring.origin.on(b"/page", octets)
        client = await ring.client()
        await client.send(get(b"/page"), get(b"/next"), get(b"/after"))
        first = await client.response()
        assert first.body == body
        assert (await client.response()).body.startswith(b"GET /next\n")
        assert (await client.response()).body.startswith(b"GET /after\n")
        assert b"evil" not in client.received
        if b"evil" in octets:
            assert not any(b"evil" in value for _, value in first.fields)
        if first.start[0] in (b"206", b"304"):
            ring.origin.on(b"/page", answer(b"good"))
            assert (await ring.innocently(b"/page")).body == b"good"


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(answer(b"a body to HEAD", FRESH[:-2]), id="length"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", id="chunks"),
        pytest.param(OK + b"Content-Length: 5\r\n\r\n" + STOLEN, id="an-answer-behind"),
    ],
)
async def test_a_body_in_answer_to_head_answers_nobody(arena: MakeArena, octets: bytes) -> None:
    async with arena() as ring:
        ring.origin.on(b"/page", octets)
        client = await ring.client()
        await client.send(get(b"/page", method=b"HEAD"))
        assert (await client.response(b"HEAD")).start[0] == b"200"
        await client.send(get(b"/next"))
        assert (await client.response()).body.startswith(b"GET /next\n")


async def test_an_answer_that_nobody_asked_for_answers_nobody(arena: MakeArena) -> None:
    async with arena() as ring:
        side = ring.origin.sides[-1]  # idle since the innocent asked
        side.send(STOLEN)
        await ring.until(lambda: side.lost)
        assert (await ring.innocently(b"/next")).body.startswith(b"GET /next\n")


async def test_an_answer_that_came_just_before_the_request_answers_nobody(arena: MakeArena) -> None:
    async with arena() as ring:
        ring.origin.sides[-1].send(STOLEN)
        client = await ring.client()
        await client.send(get(b"/next"))
        response = await client.response()
        assert response.body.startswith(b"GET /next\n") or response.start[0] == b"502"


SPLITS = [
    b"X: a%0d%0aSet-Cookie:%20evil=1",
    b"Location: /a\xe5\x98\x8a\xe5\x98\x8dSet-Cookie: evil=1",
    b"X: a\tb",
]


@pytest.mark.parametrize("line", SPLITS)
async def test_what_only_looks_like_a_line_end_stays_inside_its_field(arena: MakeArena, line: bytes) -> None:
    async with arena() as ring:
        ring.origin.on(b"/page", answer(b"hello", line))
        response = await ring.innocently(b"/page")
        name, _, value = line.partition(b": ")
        assert response.get(name.lower()) == value
        assert response.get(b"set-cookie") is None


@pytest.mark.slow
async def test_a_slow_head_is_a_504_for_everybody_who_waited(arena: MakeArena) -> None:
    async with arena(origin={"first_byte_timeout_s": 0.3}) as ring:
        ring.origin.on(b"/page", OK)
        clients = [await ring.client() for _ in range(5)]
        for client in clients:
            await client.send(get(b"/page"))
        statuses = {(await client.response()).start[0] for client in clients}
        assert statuses <= {b"504", b"503"}
        ring.expect_logged(504)
