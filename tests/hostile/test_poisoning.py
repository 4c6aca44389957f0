"""What one client sends changes nothing of what another is answered from the cache."""

from __future__ import annotations

import os

import pytest

from tests.hostile.arena import HOST, get
from tests.hostile.conftest import MakeArena
from tests.hostile.readings import Message
from tests.hostile.recording import answer, reflect
from tests.hostile.test_refused import post

BATCHES = 100 if os.environ.get("LOCKGATE_FUZZ") else 20
"""Of 100 requests, in the floods of variants and keys."""

CLEAN = (
    b"host=shop.example\nx-forwarded-host=shop.example\nx-forwarded-proto=http\n"
    b"forwarded=for=127.0.0.1;host=shop.example;proto=http\nbody="
)

UNKEYED = {
    "x-forwarded-host": [b"X-Forwarded-Host: evil.example"],
    "x-forwarded-host-underscores": [b"X_Forwarded_Host: evil.example"],
    "x-forwarded-proto": [b"X-Forwarded-Proto: https"],
    "x-forwarded-scheme": [b"X-Forwarded-Scheme: nothttps"],
    "x-forwarded-port": [b"X-Forwarded-Port: 1234"],
    "x-forwarded-server": [b"X-Forwarded-Server: evil.example"],
    "x-forwarded-prefix": [b"X-Forwarded-Prefix: /evil"],
    "forwarded": [b"Forwarded: host=evil.example"],
    "x-host": [b"X-Host: evil.example"],
    "x-original-host": [b"X-Original-Host: evil.example"],
    "x-http-host-override": [b"X-HTTP-Host-Override: evil.example"],
    "x-original-url": [b"X-Original-URL: /admin"],
    "x-original-uri": [b"X-Original-URI: /admin"],
    "x-rewrite-url": [b"X-Rewrite-URL: /admin"],
    "x-rewrite-url-underscores": [b"X_Rewrite_URL: /admin"],
    "x-http-method-override": [b"X-HTTP-Method-Override: POST"],
    "x-http-method": [b"X-HTTP-Method: DELETE"],
    "x-method-override": [b"X-Method-Override: PUT"],
    "x-scheme": [b"X-Scheme: https"],
    "x-url-scheme": [b"X-URL-Scheme: https"],
    "front-end-https": [b"Front-End-Https: on"],
    "x-real-ip": [b"X-Real-IP: 10.0.0.1"],
    "true-client-ip": [b"True-Client-IP: 10.0.0.1"],
    "range": [b"Range: bytes=0-0"],
    "range-far": [b"Range: bytes=99999999999-"],
    "ranges-many": [b"Range: bytes=" + b",".join([b"0-"] * 500)],
    "ranges-overlapping": [b"Range: bytes=0-5,0-5,1-4,2-"],
    "if-none-match": [b'If-None-Match: "x"'],
    "if-none-match-star": [b"If-None-Match: *"],
    "if-none-match-many": [b"If-None-Match: " + b", ".join(b'"%d"' % n for n in range(1000))],
    "if-match": [b'If-Match: "x"'],
    "te": [b"TE: trailers"],
    "expect": [b"Expect: 100-continue"],
    "hop-named": [b"Connection: close, x-a", b"X-A: b"],
    "max-forwards": [b"Max-Forwards: 0"],
    "only-if-cached": [b"Cache-Control: only-if-cached"],
    "no-cache": [b"Cache-Control: no-cache"],
    "no-store": [b"Cache-Control: no-store"],
    "max-age-0": [b"Cache-Control: max-age=0"],
    "pragma": [b"Pragma: no-cache"],
    "cookie": [b"Cookie: session=evil"],
    "authorization": [b"Authorization: Basic ZXZpbDpldmls"],
    "user-agent": [b"User-Agent: <script>"],
}


@pytest.mark.parametrize("lines", [pytest.param(lines, id=name) for name, lines in UNKEYED.items()])
async def test_a_field_outside_the_key_leaves_no_trace_in_the_cache(
    arena: MakeArena, lines: list[bytes]
) -> None:
    async with arena() as ring:
        client = await ring.client()
        await client.send(get(b"/page", *lines))
        await client.response()
        answered = await ring.innocently(b"/page")
        assert answered.start[0] == b"200"
        assert answered.body == b"GET /page\n" + CLEAN


BODIES = {
    "fat-get": get(b"/page", b"Content-Length: 4") + b"evil",
    "fat-get-chunked": get(b"/page", b"Transfer-Encoding: chunked") + b"4\r\nevil\r\n0\r\n\r\n",
    "fat-head": get(b"/page", b"Content-Length: 4", method=b"HEAD") + b"evil",
    "head": get(b"/page", method=b"HEAD"),
    "post": post(b"Content-Length: 4", body=b"evil").replace(b"/a", b"/page"),
    "post-overridden": post(b"X-HTTP-Method-Override: GET").replace(b"/a", b"/page"),
    "put": get(b"/page", b"Content-Length: 4", method=b"PUT") + b"evil",
    "trace": get(b"/page", method=b"TRACE"),
    "options": get(b"/page", method=b"OPTIONS"),
    "query": get(b"/page", b"Content-Length: 4", method=b"QUERY") + b"evil",
    "absolute-form": b"GET http://shop.example/page HTTP/1.1\r\nHost: SHOP.EXAMPLE:80\r\n\r\n",
    "http10-without-host": b"GET /page HTTP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("octets", [pytest.param(octets, id=name) for name, octets in BODIES.items()])
async def test_another_kind_of_request_leaves_no_trace_in_the_cache(arena: MakeArena, octets: bytes) -> None:
    async with arena() as ring:
        client = await ring.client()
        await client.send(octets)
        await client.response(octets.partition(b" ")[0])
        assert (await ring.innocently(b"/page")).body == b"GET /page\n" + CLEAN


OTHER_KEYS = {
    "other-host": get(b"/page", host=b"evil.example"),
    "other-port": get(b"/page", host=b"shop.example:8080"),
    "port-80-of-evil": get(b"/page", host=b"evil.example:80"),
    "trailing-dot": get(b"/page", host=b"shop.example."),
    "other-case-path": get(b"/PAGE"),
    "double-slash": get(b"//page"),
    "trailing-slash": get(b"/page/"),
    "dot": get(b"/./page"),
    "encoded": get(b"/p%61ge"),
    "encoded-slash": get(b"/%2fpage"),
    "semicolon": get(b"/page;x=1"),
    "empty-query": get(b"/page?"),
    "query": get(b"/page?utm_source=1"),
    "query-duplicate": get(b"/page?a=1&a=2"),
    "query-cloaked": get(b"/page?a=1;a=2"),
    "encoded-question": get(b"/page%3fa"),
    "encoded-hash": get(b"/page%23a"),
    "encoded-nul": get(b"/page%00"),
    "encoded-newline": get(b"/page%0a"),
    "netstring-lookalike": get(b"/page,12:shop.example,5:/page,"),
}


@pytest.mark.parametrize("octets", [pytest.param(octets, id=name) for name, octets in OTHER_KEYS.items()])
async def test_another_target_or_host_has_an_entry_of_its_own(arena: MakeArena, octets: bytes) -> None:
    async with arena() as ring:
        client = await ring.client()
        await client.send(octets)
        await client.response()
        assert (await ring.innocently(b"/page")).body == b"GET /page\n" + CLEAN
        assert len(ring.origin.asked(b"/page")) == 1 + (octets.startswith(b"GET /page HTTP"))


async def test_two_routes_with_one_path_at_the_origin_do_not_share(arena: MakeArena) -> None:
    route = {"path": "/one", "rewrite": {"strip_prefix": "/one"}}
    other = {"origin": "shop", "path": "/two", "rewrite": {"strip_prefix": "/two"}}
    async with arena(routes=[{"origin": "shop", **route}, other]) as ring:
        for path in (b"/one/page", b"/two/page", b"/page"):
            assert (await ring.innocently(path)).body == b"GET /page\n" + CLEAN
        assert len(ring.origin.asked(b"/page")) == 3


DECEPTIONS = [
    b"/account/x.css", b"/account;.css", b"/account;x.css", b"/account%2ecss", b"/account.css",
    b"/account/..%2fx.js",
    b"/account%00.css", b"/account%0a.css", b"/account%23.css", b"/account%3f.css", b"/account?x.css",
    b"/static/..%2faccount", b"/static/%2e%2e/account", b"/static/../account", b"/account//x.png",
    b"/robots.txt/../account", b"/account/favicon.ico",
]  # fmt: skip


@pytest.mark.parametrize("target", [pytest.param(t, id=t.decode()) for t in DECEPTIONS])
@pytest.mark.parametrize(
    "control", [b"Cache-Control: private", b"X-None: 1", b"Cache-Control: no-store", b"Set-Cookie: s=1"]
)
async def test_a_personal_page_under_any_name_stays_personal(
    arena: MakeArena, target: bytes, control: bytes
) -> None:
    def personal(request: Message) -> bytes:
        return answer(b"account of %b" % (request.get(b"cookie") or b"nobody"), control)

    async with arena() as ring:
        ring.origin.on(target, personal)
        client = await ring.client()
        await client.send(get(target, b"Cookie: user=victim"))
        assert (await client.response()).body == b"account of user=victim"
        assert (await ring.innocently(target)).body == b"account of nobody"
        assert (await ring.innocently(target, b"Cookie: user=a")).body == b"account of user=a"


FAILURES = {
    "400": b"400 Bad Request", "403": b"403 Forbidden", "404": b"404 Not Found",
    "405": b"405 Method Not Allowed",
    "413": b"413 Content Too Large", "414": b"414 URI Too Long", "416": b"416 Range Not Satisfiable",
    "431": b"431 Request Header Fields Too Large", "500": b"500 Internal Server Error",
    "501": b"501 Not Implemented", "502": b"502 Bad Gateway", "503": b"503 Service Unavailable",
}  # fmt: skip
TRIGGERS = {
    "oversized": b"X-Big: " + b"a" * 4000,
    "meta-character": b"X-Metachar: \x80\xff",
    "method-override": b"X-HTTP-Method-Override: HELP",
    "hop": b"X-Odd: 1",
}


@pytest.mark.parametrize("status", [pytest.param(status, id=name) for name, status in FAILURES.items()])
@pytest.mark.parametrize("trigger", [pytest.param(line, id=name) for name, line in TRIGGERS.items()])
async def test_an_error_that_one_client_provokes_is_not_kept_for_others(
    arena: MakeArena, status: bytes, trigger: bytes
) -> None:
    name = trigger.partition(b":")[0].lower()

    def picky(request: Message) -> bytes:
        if request.get(name) is not None:
            return answer(b"error", status=status)
        return reflect(request)

    async with arena() as ring:
        ring.origin.on(b"/page", picky)
        client = await ring.client()
        await client.send(get(b"/page", trigger))
        await client.response()
        assert (await ring.innocently(b"/page")).body == b"GET /page\n" + CLEAN


SHARED = b"Cache-Control: max-age=60"


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        pytest.param([b"Authorization: Basic dTpw"], [SHARED], id="authorization"),
        pytest.param([b"X: y"], [SHARED, b"Set-Cookie: id=1"], id="set-cookie"),
        pytest.param([b"X: y"], [b"Cache-Control: private, max-age=60"], id="private"),
        pytest.param([b"X: y"], [b"Cache-Control: max-age=60, no-store"], id="no-store"),
        pytest.param([b"X: y"], [b'Cache-Control: max-age=60, private="set-cookie"'], id="private-field"),
        pytest.param([b"X: y"], [b"Cache-Control: max-age=60", b"Cache-Control: private"], id="two-lines"),
        pytest.param([b"X: y"], [SHARED, b"Vary: *"], id="vary-star"),
        pytest.param([b"X: y"], [SHARED, b"Vary: X, *"], id="vary-star-among"),
        pytest.param([b"X: y"], [b"Cache-Control: max-age=60x, max-age=-1"], id="malformed-lifetime"),
        pytest.param([b"X: y"], [b"Expires: 0"], id="expires-0"),
        pytest.param([b"X: y"], [SHARED, b"Connection: cache-control", b"X: a"], id="named-hop-still-judged"),
    ],
)
async def test_what_is_not_for_sharing_is_asked_for_again(
    arena: MakeArena, lines: list[bytes], fields: list[bytes]
) -> None:
    async with arena() as ring:
        count = iter(range(10))
        ring.origin.on(b"/page", lambda _: answer(b"answer %d" % next(count), *fields))
        client = await ring.client()
        await client.send(get(b"/page", *lines))
        first = await client.response()
        other = await ring.innocently(b"/page")
        if b"Connection: cache-control" in fields:
            assert other.body == first.body  # a directive cannot be taken away: it is as cacheable as before
        else:
            assert other.body != first.body


@pytest.mark.slow
async def test_thousands_of_variants_are_bounded(arena: MakeArena) -> None:
    async with arena(route={"cache": {"max_variants": 8}}) as ring:
        ring.origin.on(b"/page", lambda _: answer(b"x" * 100, SHARED, b"Vary: X-Any"))
        client = await ring.client()
        for batch in range(BATCHES):
            await client.send(b"".join(get(b"/page", b"X-Any: %d" % (batch * 100 + n)) for n in range(100)))
            for _ in range(100):
                assert (await client.response()).start[0] == b"200"
        assert ring.server.proxy.cache.statistics().entries <= 8 + 1


@pytest.mark.slow
async def test_a_flood_of_keys_is_bounded_in_bytes(arena: MakeArena) -> None:
    cache = {"max_bytes": 1_000_000, "max_entry_bytes": 100_000, "max_keys_remembered": 100}
    async with arena(cache=cache) as ring:
        client = await ring.client()
        for batch in range(BATCHES):
            targets = [b"/flood?%d-%b" % (batch * 100 + n, b"q" * 500) for n in range(100)]
            await client.send(b"".join(get(target, b"X: y") for target in targets))
            for _ in targets:
                assert (await client.response()).start[0] == b"200"
        statistics = ring.server.proxy.cache.statistics()
        assert statistics.evictions
        assert statistics.stored_bytes <= 1_000_000


async def test_a_post_invalidates_its_own_target_only(arena: MakeArena) -> None:
    async with arena() as ring:
        for target in (b"/page", b"/other"):
            await ring.innocently(target)
        client = await ring.client()
        for octets in (
            post(b"Content-Location: /other", b"Content-Length: 0").replace(b"/a", b"/page"),
            post(b"X-Original-URL: /other", b"Content-Length: 0").replace(b"/a", b"/page"),
            get(b"/other", method=b"PURGE", host=b"evil.example"),
        ):
            await client.send(octets)
            await client.response()
        await ring.innocently(b"/other")
        assert len([r for r in ring.origin.asked(b"/other") if r.get(b"host") == HOST]) == 1


async def test_a_stranger_purges_nothing(arena: MakeArena) -> None:
    async with arena() as ring:
        await ring.innocently(b"/page")
        client = await ring.client()
        for lines in ([], [b"Authorization: Bearer guess"], [b"X-Forwarded-For: 127.0.0.1"]):
            await client.send(get(b"/page", *lines, method=b"PURGE"))
            assert (await client.response()).start[0] in (b"401", b"403", b"405")
        await ring.innocently(b"/page")
        assert len(ring.origin.asked(b"/page")) == 1


async def test_a_post_that_fails_invalidates_nothing(arena: MakeArena) -> None:
    def page(request: Message) -> bytes:
        return reflect(request) if request.start[0] == b"GET" else answer(b"no", status=b"403 Forbidden")

    async with arena() as ring:
        ring.origin.on(b"/page", page)
        await ring.innocently(b"/page")
        client = await ring.client()
        await client.send(post(b"Content-Length: 0").replace(b"/a", b"/page"))
        assert (await client.response()).start[0] == b"403"
        await ring.innocently(b"/page")
        assert len([r for r in ring.origin.asked(b"/page") if r.start[0] == b"GET"]) == 1


def careful(request: Message) -> bytes:
    """An origin that answers conditions and ranges rightly, with one Cache-Control for everything."""
    if request.get(b"range") is not None:
        return answer(b"", SHARED, b"Content-Range: bytes */3", status=b"416 Range Not Satisfiable")
    if request.get(b"if-match") is not None or request.get(b"if-unmodified-since") is not None:
        return answer(b"", SHARED, status=b"412 Precondition Failed")
    if request.get(b"if-none-match") is not None or request.get(b"if-modified-since") is not None:
        return b'HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: "x"\r\n\r\n'
    return answer(b"new", SHARED)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"Range: bytes=99999999999-", id="range-far"),
        pytest.param(b"Range: bytes=-5", id="range-suffix"),
        pytest.param(b'If-Match: "evil"', id="if-match"),
        pytest.param(b"If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT", id="if-unmodified-since"),
        pytest.param(b"If-None-Match: *", id="if-none-match"),
        pytest.param(b"If-Modified-Since: Fri, 31 Dec 2038 00:00:00 GMT", id="if-modified-since"),
    ],
)
@pytest.mark.parametrize("marked", [pytest.param(False, id="cold"), pytest.param(True, id="marked")])
async def test_an_answer_to_the_conditions_of_one_client_is_not_kept_for_others(
    arena: MakeArena, line: bytes, marked: bool
) -> None:
    async with arena() as ring:
        if marked:  # a key whose answer was not for sharing is not waited for, and its requests go alone
            ring.origin.on(b"/page", answer(b"old", b"Cache-Control: private"))
            await ring.innocently(b"/page")
        ring.origin.on(b"/page", careful)
        client = await ring.client()
        await client.send(get(b"/page", line))
        await client.response()
        answered = await ring.innocently(b"/page")
        assert (answered.start[0], answered.body) == (b"200", b"new")
