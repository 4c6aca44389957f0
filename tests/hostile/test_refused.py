"""Requests that two careful parsers could read in two ways: refused, none of them reaches the origin."""

from __future__ import annotations

import pytest

from tests.hostile.arena import get
from tests.hostile.conftest import MakeArena
from tests.hostile.readings import strict_response

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"


def post(*lines: bytes, body: bytes = b"", version: bytes = b"1.1", host: bytes = b"shop.example") -> bytes:
    """A POST whose framing is what these lines say."""
    fields = b"".join(b"%b\r\n" % line for line in (b"Host: " + host, *lines))
    return b"POST /a HTTP/%b\r\n%b\r\n%b" % (version, fields, body)


def line(octets: bytes) -> bytes:
    """A request that begins with this line."""
    return octets + b"\r\nHost: shop.example\r\n\r\n"


def smuggling_chunk(size_line: bytes) -> bytes:
    """A chunked body that begins with this size line and holds a request."""
    return post(CHUNKED, body=size_line + b"\r\n" + SMUGGLED + b"\r\n" + END + SMUGGLED)


N = str(len(SMUGGLED)).encode()
TE_VARIANTS = {
    "xchunked": b"Transfer-Encoding: xchunked",
    "chunked-identity": b"Transfer-Encoding: chunked, identity",
    "identity": b"Transfer-Encoding: identity",
    "identity-chunked": b"Transfer-Encoding: identity, chunked",
    "gzip-chunked": b"Transfer-Encoding: gzip, chunked",
    "chunked-chunked": b"Transfer-Encoding: chunked, chunked",
    "tabs-around": b"Transfer-Encoding:\t chunked \t",
    "two-lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "two-lines-one-identity": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "two-lines-other-last": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "quoted": b'Transfer-Encoding: "chunked"',
    "single-quoted": b"Transfer-Encoding: 'chunked'",
    "parameter": b"Transfer-Encoding: chunked;q=1",
    "trailing-junk": b"Transfer-Encoding: chunked foo",
    "trailing-comma": b"Transfer-Encoding: chunked,",
    "leading-comma": b"Transfer-Encoding: ,chunked",
    "vertical-tab": b"Transfer-Encoding: \x0bchunked",
    "form-feed": b"Transfer-Encoding: chunked\x0c",
    "nul": b"Transfer-Encoding: chunked\0",
    "bare-cr": b"Transfer-Encoding: chunked\r",
    "bare-cr-before": b"X: a\rTransfer-Encoding: chunked",
    "bare-lf-before": b"X: a\nTransfer-Encoding: chunked",
    "non-ascii": b"Transfer-Encoding: chunked\xa0",
    "dotless": "Transfer-Encoding: chunke\u0501".encode(),
    "empty": b"Transfer-Encoding:",
    "underscore": b"Transfer_Encoding: chunked",
    "space-before-colon": b"Transfer-Encoding : chunked",
    "tab-before-colon": b"Transfer-Encoding\t: chunked",
    "leading-space": b" Transfer-Encoding: chunked",
    "folded-name": b"Transfer-\r\n Encoding: chunked",
    "folded-value": b"Transfer-Encoding:\r\n chunked",
    "folded-tab": b"Transfer-Encoding:\r\n\tchunked",
    "no-colon": b"Transfer-Encoding chunked",
    "control-in-name": b"Transfer-Encoding\x01: chunked",
    "cow": b"Transfer-Encoding: cow",
}
TE_ATTACKS = {
    **{
        f"te-{name}-with-cl": (400, post(te, b"Content-Length: 5", body=END + SMUGGLED))
        for name, te in TE_VARIANTS.items()
    },
    **{f"te-{name}": (400, post(te, body=END + SMUGGLED)) for name, te in TE_VARIANTS.items()},
}
CL_TE = {
    "cl-te": (400, post(b"Content-Length: 6", CHUNKED, body=END + b"G")),
    "te-cl": (400, post(CHUNKED, b"Content-Length: 4", body=b"5c\r\n" + SMUGGLED + END)),
    "cl-te-case": (400, post(b"content-length: 6", b"tRANSFER-eNCODING: cHUNKED", body=END + b"G")),
    "cl-te-http10": (400, post(b"Content-Length: 6", CHUNKED, version=b"1.0", body=END + b"G")),
    "te-http10": (400, post(CHUNKED, version=b"1.0", body=END + SMUGGLED)),
    "te-http10-keep-alive": (
        400,
        post(CHUNKED, b"Connection: keep-alive", version=b"1.0", body=END + SMUGGLED),
    ),
    "cl-0-te": (400, post(b"Content-Length: 0", CHUNKED, body=END + SMUGGLED)),
    "get-cl-te": (400, get(b"/a", b"Content-Length: 5", CHUNKED) + END + SMUGGLED),
}
CL_VALUES = {
    "plus": b"+5", "minus": b"-5", "hex": b"0x5", "underscore": b"1_0", "space-inside": b"5 5",
    "decimal": b"5.0", "exponent": b"5e0", "list-same": b"5, 5", "list-other": b"5, 0", "comma": b"5,",
    "empty": b"", "letters": b"five", "quoted": b'"5"', "semicolon": b"5;", "arabic": "\u0665".encode(),
    "nul": b"5\0", "vertical-tab": b"\x0b5", "overflow": b"18446744073709551617",
    "overflow-by-5": b"18446744073709551621", "twenty-digits": b"00000000000000000005", "trailing-x": b"5x",
    "fullwidth": "５".encode(), "superscript": "\u00b2".encode("latin-1"),
}  # fmt: skip
CL_ATTACKS = {
    **{
        f"cl-{name}": (400, post(b"Content-Length: " + value, body=b"hello" + SMUGGLED))
        for name, value in CL_VALUES.items()
    },
    "cl-twice-same": (400, post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello" + SMUGGLED)),
    "cl-twice-other": (400, post(b"Content-Length: 5", b"Content-Length: 0", body=b"hello" + SMUGGLED)),
    "cl-twice-zero-first": (400, post(b"Content-Length: 0", b"content-length: 5", body=b"hello" + SMUGGLED)),
    "cl-space-before-colon": (400, post(b"Content-Length : 5", body=b"hello" + SMUGGLED)),
    "cl-underscore": (400, post(b"Content_Length: 5", body=b"hello" + SMUGGLED)),
    "cl-and-underscore": (400, post(b"Content_Length: 0", b"Content-Length: 5", body=b"hello" + SMUGGLED)),
    "cl-folded": (400, post(b"Content-Length:\r\n 5", body=b"hello" + SMUGGLED)),
    "cl-after-bare-lf": (400, post(b"X: a\nContent-Length: 5", body=b"hello" + SMUGGLED)),
    "cl-after-bare-cr": (400, post(b"X: a\rContent-Length: 5", body=b"hello" + SMUGGLED)),
    "cl-leading-space": (400, post(b" Content-Length: 5", body=b"hello" + SMUGGLED)),
}
CHUNK_SIZES = {
    "hex-prefix": b"0x" + N, "plus": b"+" + N, "minus": b"-1", "underscore": b"1_0",
    "leading-space": b" " + N,
    "trailing-space": N + b" ", "tab": b"\t" + N, "empty": b"", "overflow": b"fffffffffffffffff",
    "overflow-64": b"10000000000000000", "letters": b"xyz", "quoted": b'"5"', "bare-lf": N + b"\n",
    "extension-bare-lf": N + b";a\nb", "extension-bare-cr": N + b";a\rb", "extension-nul": N + b";a\0",
    "extension-open-quote-lf": N + b';a="\n"', "cr-cr": N + b"\r", "comma": N + b",",
}  # fmt: skip
CHUNK_ATTACKS = {
    **{f"chunk-size-{name}": (400, smuggling_chunk(size)) for name, size in CHUNK_SIZES.items()},
    "chunk-no-crlf-after": (400, post(CHUNKED, body=b"5\r\nhelloX\r\n" + END + SMUGGLED)),
    "chunk-bare-lf-after": (400, post(CHUNKED, body=b"5\r\nhello\n" + END + SMUGGLED)),
    "chunk-bare-cr-after": (400, post(CHUNKED, body=b"5\r\nhello\r" + END + SMUGGLED)),
    "chunk-longer-than-size": (400, post(CHUNKED, body=b"2\r\nhello\r\n" + END + SMUGGLED)),
    "chunk-end-bare-lf": (400, post(CHUNKED, body=b"5\r\nhello\r\n0\n\n" + SMUGGLED)),
    "trailer-bare-lf": (400, post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n" + SMUGGLED)),
    "trailer-content-length": (
        400, post(CHUNKED, body=b"5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n" + SMUGGLED)
    ),
    "trailer-no-colon": (400, post(CHUNKED, body=b"5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n")),
}  # fmt: skip
HEADS = {
    "bare-lf-lines": (505, b"GET /a HTTP/1.1\nHost: shop.example\n\n"),
    "bare-lf-field": (400, b"GET /a HTTP/1.1\r\nHost: shop.example\nX: y\r\n\r\n"),
    "bare-lf-end": (400, b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\n" + SMUGGLED),
    "bare-cr-lines": (400, b"GET /a HTTP/1.1\rHost: shop.example\r\r"),
    "cr-in-value": (400, get(b"/a", b"X: a\rY: b")),
    "lf-in-value": (400, get(b"/a", b"X: a\nY: b")),
    "nul-in-value": (400, get(b"/a", b"X: a\0b")),
    "bell-in-value": (400, get(b"/a", b"X: a\x07b")),
    "delete-in-value": (400, get(b"/a", b"X: a\x7fb")),
    "nul-in-name": (400, get(b"/a", b"X\0: a")),
    "space-before-colon": (400, get(b"/a", b"X : a")),
    "space-in-name": (400, get(b"/a", b"X Y: a")),
    "empty-name": (400, get(b"/a", b": a")),
    "no-colon": (400, get(b"/a", b"X")),
    "quote-in-name": (400, get(b"/a", b'"X": a')),
    "non-ascii-name": (400, get(b"/a", b"X\xff: a")),
    "folded": (400, get(b"/a", b"X: a\r\n b")),
    "folded-first": (400, b"GET /a HTTP/1.1\r\n Host: shop.example\r\nHost: shop.example\r\n\r\n"),
    "blank-first-line": (400, b"GET /a HTTP/1.1\r\n X: a\r\nHost: shop.example\r\n\r\n"),
    "sec-websocket-key1": (400, get(b"/a", b"Sec-WebSocket-Key1: x")),
}
LINES = {
    "http09": (505, b"GET /a\r\n\r\n"),
    "http09-then": (400, b"GET /a\r\n" + SMUGGLED),
    "http12": (505, line(b"GET /a HTTP/1.2")),
    "http20": (505, line(b"GET /a HTTP/2.0")),
    "http10-lower": (400, line(b"GET /a http/1.1")),
    "http11-padded": (400, line(b"GET /a HTTP/01.1")),
    "http1-no-minor": (400, line(b"GET /a HTTP/1")),
    "http1-long-minor": (505, line(b"GET /a HTTP/1.10")),
    "icy": (501, line(b"SOURCE /a ICE/1.0")),
    "rtsp": (501, line(b"DESCRIBE /a RTSP/1.0")),
    "tab-delimited": (400, line(b"GET\t/a\tHTTP/1.1")),
    "trailing-space": (505, line(b"GET /a HTTP/1.1 ")),
    "leading-space": (400, line(b" GET /a HTTP/1.1")),
    "space-in-target": (400, line(b"GET /a b HTTP/1.1")),
    "second-request-in-line": (505, line(b"GET /a HTTP/1.1 GET /smuggled HTTP/1.1")),
    "lower-method": (501, line(b"get /a HTTP/1.1")),
    "unknown-method": (501, line(b"BREW /a HTTP/1.1")),
    "method-with-junk": (501, line(b"GETX /a HTTP/1.1")),
    "non-token-method": (400, line(b"GE(T /a HTTP/1.1")),
    "connect": (501, line(b"CONNECT shop.example:80 HTTP/1.1")),
    "connect-then": (501, b"CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example\r\n\r\n" + SMUGGLED),
    "connect-path": (501, line(b"CONNECT /a HTTP/1.1")),
    "http2-preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"),
    "tls-hello": (400, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(64)),
    "socks": (400, b"\x05\x01\0"),
    "proxy-protocol": (501, b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + SMUGGLED),
    "trace-ends-here": (501, b"TRACE /a HTTP/1.1\r\nHost: shop.example\r\nMax-Forwards: 0\r\n\r\n"),
}
TARGETS = {
    "fragment": (400, line(b"GET /a#b HTTP/1.1")),
    "non-ascii": (400, line(b"GET /\xc3\xa4 HTTP/1.1")),
    "control": (400, line(b"GET /a\x01 HTTP/1.1")),
    "nul": (400, line(b"GET /a\0 HTTP/1.1")),
    "delete": (400, line(b"GET /a\x7f HTTP/1.1")),
    "no-slash": (400, line(b"GET a HTTP/1.1")),
    "backslash": (400, line(b"GET \\a HTTP/1.1")),
    "asterisk": (400, line(b"GET * HTTP/1.1")),
    "at": (400, line(b"GET @evil.example/a HTTP/1.1")),
    "other-scheme": (400, line(b"GET ftp://shop.example/a HTTP/1.1")),
    "https-on-http": (400, line(b"GET https://shop.example/a HTTP/1.1")),
    "javascript": (400, line(b"GET javascript:alert(1) HTTP/1.1")),
    "absolute-other-host": (400, line(b"GET http://evil.example/a HTTP/1.1")),
    "absolute-other-port": (400, line(b"GET http://shop.example:81/a HTTP/1.1")),
    "absolute-userinfo": (400, line(b"GET http://shop.example@evil.example/a HTTP/1.1")),
    "absolute-user": (400, line(b"GET http://user:pass@shop.example/a HTTP/1.1")),
    "absolute-no-host": (400, line(b"GET http:///a HTTP/1.1")),
    "absolute-backslash": (400, line(b"GET http://shop.example\\@evil.example/a HTTP/1.1")),
    "too-long": (414, line(b"GET /" + b"a" * 9000 + b" HTTP/1.1")),
}
HOSTS = {
    "none": (400, b"GET /a HTTP/1.1\r\n\r\n"),
    "two": (400, get(b"/a", b"Host: evil.example")),
    "two-same": (400, get(b"/a", b"Host: shop.example")),
    "list": (400, get(b"/a", host=b"shop.example, evil.example")),
    "list-tight": (400, get(b"/a", host=b"shop.example,evil.example")),
    "empty": (400, get(b"/a", host=b"")),
    "space": (400, get(b"/a", host=b"shop.example evil")),
    "userinfo": (400, get(b"/a", host=b"shop.example@evil.example")),
    "path": (400, get(b"/a", host=b"shop.example/evil")),
    "scheme": (400, get(b"/a", host=b"http://shop.example")),
    "fragment": (400, get(b"/a", host=b"shop.example#evil")),
    "query": (400, get(b"/a", host=b"shop.example?evil")),
    "backslash": (400, get(b"/a", host=b"shop.example\\evil")),
    "port-letters": (400, get(b"/a", host=b"shop.example:evil")),
    "port-high": (400, get(b"/a", host=b"shop.example:65536")),
    "port-negative": (400, get(b"/a", host=b"shop.example:-80")),
    "two-ports": (400, get(b"/a", host=b"shop.example:80:81")),
    "port-at": (400, get(b"/a", host=b"shop.example:@evil.example")),
    "only-port": (400, get(b"/a", host=b":80")),
    "non-ascii": (400, get(b"/a", host=b"sh\xc3\xb6p.example")),
    "zone": (400, get(b"/a", host=b"[fe80::1%25eth0]")),
    "open-bracket": (400, get(b"/a", host=b"[::1")),
    "after-bracket": (400, get(b"/a", host=b"[::1]evil")),
    "folded": (400, b"GET /a HTTP/1.1\r\nHost: shop.example\r\n evil.example\r\n\r\n"),
    "underscore-twin": (400, get(b"/a", b"H_OST: x", b"Host : evil")),
    "long": (400, get(b"/a", host=b"a" * 256)),
}
SIZES = {
    "field-too-long": (431, get(b"/a", b"X: " + b"a" * 9000)),
    "name-too-long": (431, get(b"/a", b"X" * 9000 + b": a")),
    "too-many-fields": (431, get(b"/a", *[b"X-%d: a" % number for number in range(101)])),
    "head-too-large": (431, get(b"/a", *[b"X-%d: " % number + b"a" * 8000 for number in range(9)])),
    "endless-head": (431, b"GET /a HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(9000))),
    "endless-empty-lines": (431, b"\r\n" * 40_000),
}  # fmt: skip
EXPECTATIONS = {
    "expect-unknown": (417, post(b"Content-Length: 5", b"Expect: y", body=b"hello")),
    "expect-y-100": (417, post(b"Content-Length: 5", b"Expect: y 100-continue", body=b"hello" + SMUGGLED)),
    "expect-list": (417, post(b"Content-Length: 5", b"Expect: 100-continue, y", body=b"hello")),
    "expect-twice": (
        417, post(b"Content-Length: 5", b"Expect: 100-continue", b"Expect: 100-continue", body=b"hello")
    ),
    "expect-folded": (400, post(b"Content-Length: 5", b"Expect:\r\n 100-continue", body=b"hello")),
}  # fmt: skip

GROUPS = {
    "": TE_ATTACKS | CL_TE | CL_ATTACKS | CHUNK_ATTACKS | EXPECTATIONS,
    "head-": HEADS,
    "line-": LINES,
    "target-": TARGETS,
    "host-": HOSTS,
    "size-": SIZES,
}
ATTACKS = {prefix + name: attack for prefix, group in GROUPS.items() for name, attack in group.items()}


@pytest.mark.parametrize(
    ("status", "octets"), [pytest.param(*attack, id=name) for name, attack in ATTACKS.items()]
)
async def test_it_is_refused_and_the_connection_closed(arena: MakeArena, status: int, octets: bytes) -> None:
    async with arena() as ring:
        answers = await ring.attack(octets)
        response, end = strict_response(answers, closed=True)
        assert response.start[0] == b"%d" % status, answers
        assert answers[end:] == b"", "a second answer to one request"
        assert response.get(b"connection") == b"close"
        ring.expect_logged(status)
        for request in ring.origin.requests:
            assert request.start == (b"GET", b"/innocent")


@pytest.mark.parametrize("octets", [pytest.param(a[1], id=n) for n, a in CL_TE.items()])
async def test_it_is_refused_behind_a_good_request_as_well(arena: MakeArena, octets: bytes) -> None:
    async with arena() as ring:
        client = await ring.client()
        await client.send(get(b"/good"), octets)
        assert (await client.response()).start[0] == b"200"
        assert (await client.response()).start[0] == b"400"
        assert await client.rest() == b""
        ring.expect_logged(400)
