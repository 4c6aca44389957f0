"""Odd requests that mean one thing only: the origin sees exactly that, and the next one is the next one."""

from __future__ import annotations

import pytest

from tests.hostile.arena import get
from tests.hostile.conftest import MakeArena
from tests.hostile.readings import Message
from tests.hostile.recording import answer
from tests.hostile.test_refused import CHUNKED, SMUGGLED, N, post

END = b"0\r\n\r\n"
UPGRADE = b"Connection: Upgrade"

# id: octets, what the origin sees (method, target, body), statuses; then the connection still works
KEPT = {
    "cl-0-style-body": (post(b"Content-Length: " + N, body=SMUGGLED), [(b"POST", b"/a", SMUGGLED)]),
    "chunked-body-is-a-request": (
        post(CHUNKED, body=b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n" + END),
        [(b"POST", b"/a", SMUGGLED)],
    ),
    "te-in-capitals": (
        post(b"TRANSFER-ENCODING: CHUNKED", body=b"5\r\nhello\r\n" + END), [(b"POST", b"/a", b"hello")]
    ),
    "cl-with-blanks": (post(b"Content-Length: \t 5 \t", body=b"hello"), [(b"POST", b"/a", b"hello")]),
    "cl-leading-zeros": (post(b"Content-Length: 00005", body=b"hello"), [(b"POST", b"/a", b"hello")]),
    "chunk-size-zeros": (
        post(CHUNKED, body=b"0000000000005\r\nhello\r\n" + END), [(b"POST", b"/a", b"hello")]
    ),
    "chunk-extension": (
        post(CHUNKED, body=b'5;a="0"\r\nhello\r\n' + END), [(b"POST", b"/a", b"hello")]
    ),
    "chunk-extension-quoted-escape": (
        post(CHUNKED, body=b'5;a="\\"x"\r\nhello\r\n' + END), [(b"POST", b"/a", b"hello")]
    ),
    "empty-lines-before": (b"\r\n\r\n" + get(b"/a"), [(b"GET", b"/a", b"")]),
    "two-spaces": (b"GET  /a HTTP/1.1\r\nHost: shop.example\r\n\r\n", [(b"GET", b"/a", b"")]),
    "two-spaces-after": (b"GET /a  HTTP/1.1\r\nHost: shop.example\r\n\r\n", [(b"GET", b"/a", b"")]),
    "get-cl-0": (get(b"/a", b"Content-Length: 0"), [(b"GET", b"/a", b"")]),
    "fat-get": (get(b"/a", b"Content-Length: " + N) + SMUGGLED, [(b"GET", b"/a", SMUGGLED)]),
    "fat-get-chunked": (get(b"/a", CHUNKED) + b"5\r\nhello\r\n" + END, [(b"GET", b"/a", b"hello")]),
    "get-expect": (get(b"/a", b"Expect: 100-continue"), [(b"GET", b"/a", b"")]),
    "get-expect-junk": (get(b"/a", b"Expect: y 100-continue"), [(b"GET", b"/a", b"")]),
    "connection-close-misspelt": (get(b"/a", b"Connection: closed"), [(b"GET", b"/a", b"")]),
    "upgrade-without-connection": (get(b"/a", b"Upgrade: websocket"), [(b"GET", b"/a", b"")]),
    "connection-upgrade-alone": (get(b"/a", UPGRADE), [(b"GET", b"/a", b"")]),
    "content-length-named-hop": (
        post(b"Content-Length: 5", b"Connection: content-length", body=b"hello"), [(b"POST", b"/a", b"hello")]
    ),
    "te-named-hop": (
        post(CHUNKED, b"Connection: transfer-encoding", body=b"5\r\nhello\r\n" + END),
        [(b"POST", b"/a", b"hello")],
    ),
    "te-field": (get(b"/a", b"TE: trailers, chunked"), [(b"GET", b"/a", b"")]),
    "absolute-same-host": (
        b"GET http://SHOP.example:80/a HTTP/1.1\r\nHost: shop.example\r\n\r\n", [(b"GET", b"/a", b"")]
    ),
    "absolute-no-path": (
        b"GET http://shop.example?a HTTP/1.1\r\nHost: shop.example\r\n\r\n", [(b"GET", b"/?a", b"")]
    ),
    "options-asterisk": (
        b"OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n", [(b"OPTIONS", b"*", b"")]
    ),
    "double-slash": (get(b"//evil.example/a"), [(b"GET", b"//evil.example/a", b"")]),
    "triple-slash-at": (get(b"///a@evil.example/"), [(b"GET", b"///a@evil.example/", b"")]),
    "backslash": (get(b"/\\evil.example"), [(b"GET", b"/\\evil.example", b"")]),
    "dot-segments": (get(b"/static/../account"), [(b"GET", b"/static/../account", b"")]),
    "encoded-dots": (get(b"/static/%2e%2e%2faccount"), [(b"GET", b"/static/%2e%2e%2faccount", b"")]),
    "encoded-nul": (get(b"/a%00.css"), [(b"GET", b"/a%00.css", b"")]),
    "encoded-crlf": (get(b"/a%0d%0aX:%20y"), [(b"GET", b"/a%0d%0aX:%20y", b"")]),
    "broken-percent": (get(b"/a%zz%"), [(b"GET", b"/a%zz%", b"")]),
    "empty-query": (get(b"/a?"), [(b"GET", b"/a?", b"")]),
    "two-question-marks": (get(b"/a?b?c"), [(b"GET", b"/a?b?c", b"")]),
    "non-ascii-value": (get(b"/a", b"X: \xff\xfe"), [(b"GET", b"/a", b"")]),
    "host-upper": (get(b"/a", host=b"SHOP.EXAMPLE"), [(b"GET", b"/a", b"")]),
    "host-empty-port": (get(b"/a", host=b"shop.example:"), [(b"GET", b"/a", b"")]),
    "host-trailing-dot": (get(b"/a", host=b"shop.example."), [(b"GET", b"/a", b"")]),
    "delete-without-body": (get(b"/a", method=b"DELETE"), [(b"DELETE", b"/a", b"")]),
    "post-without-length": (get(b"/a", method=b"POST"), [(b"POST", b"/a", b"")]),
    "pipelined": (
        post(b"Content-Length: 5", body=b"hello") + get(b"/b"),
        [(b"POST", b"/a", b"hello"), (b"GET", b"/b", b"")]
    ),
}  # fmt: skip

# id: octets, what the origin sees; then the connection is closed
CLOSED = {
    "http10": (b"GET /a HTTP/1.0\r\n\r\n", [(b"GET", b"/a", b"")]),
    "http10-body": (
        b"POST /a HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED, [(b"POST", b"/a", b"hello")]
    ),
    "close-then-more": (get(b"/a", b"Connection: close") + SMUGGLED, [(b"GET", b"/a", b"")]),
    "h2c-tail": (
        get(b"/a", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
        + SMUGGLED,
        [(b"GET", b"/a", b"")],
    ),
    "h2c-with-body-and-tail": (
        post(UPGRADE, b"Upgrade: h2c", b"Content-Length: 5", body=b"hello" + SMUGGLED),
        [(b"POST", b"/a", b"hello")],
    ),
    "h2c-preface": (
        get(b"/a", UPGRADE, b"Upgrade: h2c") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [(b"GET", b"/a", b"")]
    ),
    "websocket-refused-then-get": (
        get(b"/a", UPGRADE, b"Upgrade: websocket", b"Sec-WebSocket-Version: 777") + SMUGGLED,
        [(b"GET", b"/a", b"")],
    ),
    "websocket-with-body": (
        post(UPGRADE, b"Upgrade: websocket", b"Content-Length: 5", body=b"hello" + SMUGGLED),
        [(b"POST", b"/a", b"hello")],
    ),
    "websocket-chunked": (
        post(UPGRADE, b"Upgrade: websocket", CHUNKED, body=b"5\r\nhello\r\n" + END + SMUGGLED),
        [(b"POST", b"/a", b"hello")],
    ),
    "upgrade-unknown": (get(b"/a", UPGRADE, b"Upgrade: foo/1") + SMUGGLED, [(b"GET", b"/a", b"")]),
    "upgrade-tls": (get(b"/a", UPGRADE, b"Upgrade: TLS/1.0") + SMUGGLED, [(b"GET", b"/a", b"")]),
    "http10-upgrade": (
        b"GET /a HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + SMUGGLED,
        [(b"GET", b"/a", b"")],
    ),
    "trailer": (
        post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Trailer: a\r\n\r\n" + SMUGGLED),
        [(b"POST", b"/a", b"hello")]
    ),
    "trailer-like-an-end": (
        post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: a\r\n\r\n" + get(b"/b", CHUNKED) + END),
        [(b"POST", b"/a", b"hello")],
    ),
    "last-chunk-extension": (
        post(CHUNKED, body=b"5\r\nhello\r\n0;a=b\r\n\r\n"), [(b"POST", b"/a", b"hello")]
    ),
    "last-chunk-many-zeros": (post(CHUNKED, body=b"5\r\nhello\r\n000\r\n\r\n"), [(b"POST", b"/a", b"hello")]),
}  # fmt: skip

Seen = list[tuple[bytes, bytes, bytes]]


def params(table: dict[str, tuple[bytes, Seen]]) -> list[object]:
    return [pytest.param(*attack, id=name) for name, attack in table.items()]


def seen(requests: list[Message]) -> Seen:
    """What the origin saw, less the questions of the innocent."""
    found = [(*request.start, request.body) for request in requests]
    return [(m, t, b) for m, t, b in found if t not in (b"/innocent", b"/next")]


@pytest.mark.parametrize(("octets", "expected"), params(KEPT))
async def test_it_reaches_the_origin_as_one_request(arena: MakeArena, octets: bytes, expected: Seen) -> None:
    async with arena() as ring:
        client = await ring.client()
        await client.send(octets)
        for _ in expected:
            assert (await client.response()).start[0] == b"200"
        await client.send(get(b"/next"))
        assert (await client.response()).body.startswith(b"GET /next\nhost=shop.example\n")
        assert sorted(seen(ring.origin.requests)) == sorted(expected)


@pytest.mark.parametrize(("octets", "expected"), params(KEPT))
async def test_it_does_so_octet_by_octet(arena: MakeArena, octets: bytes, expected: Seen) -> None:
    async with arena() as ring:
        client = await ring.client()
        await client.send(*[octets[at : at + 1] for at in range(len(octets))])
        for _ in expected:
            assert (await client.response()).start[0] == b"200"
        assert sorted(seen(ring.origin.requests)) == sorted(expected)


@pytest.mark.parametrize(("octets", "expected"), params(CLOSED))
async def test_it_reaches_the_origin_as_one_request_and_the_connection_closes(
    arena: MakeArena, octets: bytes, expected: Seen
) -> None:
    async with arena() as ring:
        client = await ring.client()
        await client.send(octets)
        for _ in expected:
            assert (await client.response()).start[0] == b"200"
        assert await client.rest() == b"", "a second answer to one request"
        assert seen(ring.origin.requests) == expected


HOPS = [
    b"authorization", b"host", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"forwarded",
    b"via", b"cache-control", b"cookie", b"content-type", b"content-length", b"range", b"if-none-match",
    b"origin", b"referer", b"sec-fetch-site",
]  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(name, id=name.decode()) for name in HOPS])
async def test_connection_takes_no_end_to_end_field_away(arena: MakeArena, name: bytes) -> None:
    async with arena() as ring:
        client = await ring.client()
        value = b"5" if name == b"content-length" else b"x"
        lines = [b"%b: %b" % (name, value)] if name != b"host" else []
        await client.send(
            post(*lines, b"Connection: close, " + name) + (b"hello" if name == b"content-length" else b"")
        )
        assert (await client.response()).start[0] == b"200"
        (request,) = ring.origin.asked(b"/a")
        assert request.get(name) is not None
        assert request.get(b"connection") is None


async def test_an_early_refusal_leaves_no_body_behind_for_the_next_request(arena: MakeArena) -> None:
    async with arena() as ring:
        ring.origin.hold(b"/a")
        client = await ring.client()
        await client.send(post(b"Content-Length: " + N, b"Expect: 100-continue"))
        await ring.until(lambda: ring.origin.sides[-1].received.endswith(b"Expect: 100-continue\r\n\r\n"))
        ring.origin.sides[-1].send(answer(b"no", status=b"403 Forbidden"))
        response = await client.response()
        assert response.start[0] == b"403"
        await client.send(SMUGGLED)  # a client that goes on without a body, or the body: it is the body
        assert not ring.origin.asked(b"/smuggled")
