"""Attacks on shared caches by the names under which they were published, each against the whole proxy.

`test_poisoning`, `test_passed`, `test_refused` and `test_lying_origin` go through the mechanisms one by one;
here each attack goes the way its author described, with the victim asking afterwards.
"""

from __future__ import annotations

import pytest

from tests.hostile.arena import HOST, Arena, get
from tests.hostile.conftest import MakeArena
from tests.hostile.readings import Message
from tests.hostile.recording import Reply, answer, reflect
from tests.hostile.test_poisoning import CLEAN, SHARED

ACCOUNT = b"/account"


def page_of(cookie: bytes | None) -> bytes:
    """What the origin shows to who is logged in with this cookie."""
    return b"account of %b" % (cookie or b"nobody")


def personal(*fields: bytes) -> Reply:
    return lambda request: answer(page_of(request.get(b"cookie")), *fields)


async def sent(ring: Arena, octets: bytes) -> Message:
    """The attacker's request (or the victim's that the attacker causes), on a connection of its own."""
    client = await ring.client()
    await client.send(octets)
    return await client.response(octets.partition(b" ")[0])


async def expect_clean(ring: Arena, target: bytes = b"/page") -> None:
    assert (await ring.innocently(target)).body == b"GET %b\n" % target + CLEAN


# Web cache deception (Omer Gil, 2017): the victim opens a link to his own page under a static-looking name.


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"/account/nonexistent.css", id="path-confusion-gil-2017"),
        pytest.param(b"/account;nonexistent.css", id="path-parameter-mirheidari-2020"),
        pytest.param(b"/account%0anonexistent.css", id="encoded-newline-mirheidari-2020"),
        pytest.param(b"/account%23nonexistent.css", id="encoded-fragment-mirheidari-2020"),
        pytest.param(b"/account%3fnonexistent.css", id="encoded-query-mirheidari-2020"),
        pytest.param(b"/account%00nonexistent.css", id="encoded-nul-doyhenard-2024"),
        pytest.param(b"/account%2f%2e%2e%2fstatic%2fx.js", id="static-directory-doyhenard-2024"),
        pytest.param(b"/share/%2f..%2f..%2faccount", id="wildcard-directory-nagli-2023"),
        pytest.param(b"/static/..%2faccount?cachebuster=1", id="normalising-origin-doyhenard-2024"),
        pytest.param(b"/account/favicon.ico", id="static-file-name-doyhenard-2024"),
        pytest.param(b"/robots.txt/..%2faccount", id="robots-txt-doyhenard-2024"),
    ],
)
async def test_web_cache_deception(arena: MakeArena, target: bytes) -> None:
    async with arena() as ring:
        ring.origin.on(target, personal(b"Content-Type: text/css"))
        victim = await sent(ring, get(target, b"Cookie: session=victim"))
        assert victim.body == page_of(b"session=victim")
        assert (await sent(ring, get(target))).body == page_of(None)


async def test_web_cache_deception_with_a_date_that_could_be_guessed_from(arena: MakeArena) -> None:
    async with arena() as ring:
        old = b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"
        ring.origin.on(ACCOUNT + b"/x.css", personal(old))
        await sent(ring, get(ACCOUNT + b"/x.css", b"Cookie: session=victim"))
        assert (await sent(ring, get(ACCOUNT + b"/x.css"))).body == page_of(None)


# Cached denial of service (Nguyen, Lo Iacono, Federrath, 2019).


async def denied(
    arena: MakeArena, trigger: bytes, status: bytes, *, field: bytes, error_fields: tuple[bytes, ...] = ()
) -> None:
    def picky(request: Message) -> bytes:
        if request.get(field) is not None:
            return answer(b"error", *error_fields, status=status)
        return reflect(request)

    async with arena() as ring:
        ring.origin.on(b"/page", picky)
        await sent(ring, get(b"/page", trigger))
        await expect_clean(ring)


async def test_cpdos_by_an_oversized_header_hho(arena: MakeArena) -> None:
    oversized = b"X-Oversized: " + b"a" * 8000
    await denied(arena, oversized, b"400 Bad Request", field=b"x-oversized")


@pytest.mark.parametrize("octets", [b"\x07", b"\x80", b"\xff"], ids=["bel", "c1", "latin-1"])
async def test_cpdos_by_a_meta_character_hmc(arena: MakeArena, octets: bytes) -> None:
    await denied(arena, b"X-Meta: a%bb" % octets, b"400 Bad Request", field=b"x-meta")


@pytest.mark.parametrize(
    "name", [b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Method-Override", b"X-Method"]
)
async def test_cpdos_by_method_override_hmo(arena: MakeArena, name: bytes) -> None:
    await denied(arena, name + b": DELETE", b"404 Not Found", field=name.lower())


@pytest.mark.parametrize(
    ("trigger", "field", "status"),
    [
        pytest.param(b"Range: bytes=999999-", b"range", b"416 Range Not Satisfiable", id="range"),
        pytest.param(b"If-Match: none", b"if-match", b"412 Precondition Failed", id="if-match"),
        pytest.param(b"Expect: 42", b"expect", b"417 Expectation Failed", id="expect"),
        pytest.param(b"Upgrade: h3", b"upgrade", b"426 Upgrade Required", id="upgrade"),
        pytest.param(b"Content-Encoding: x", b"content-encoding", b"415 Unsupported Media Type", id="coding"),
    ],
)
async def test_cpdos_by_the_fields_that_later_studies_added(
    arena: MakeArena, trigger: bytes, field: bytes, status: bytes
) -> None:
    await denied(arena, trigger, status, field=field)


# Web cache poisoning (James Kettle, 2018 and 2020).


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"X-Forwarded-Host: evil.example"], id="forwarded-host-resource-import"),
        pytest.param([b"X-Forwarded-Host: a.\"><script>alert(1)</script>"], id="forwarded-host-xss"),
        pytest.param([b"X-Forwarded-Scheme: http", b"X-Forwarded-Host: evil.example"], id="redirect-chained"),
        pytest.param([b"X-Forwarded-Port: 123"], id="unkeyed-port"),
        pytest.param([b"X-Original-URL: /admin"], id="original-url"),
        pytest.param([b"X-Rewrite-URL: /admin"], id="rewrite-url"),
        pytest.param([b"Forwarded: host=evil.example"], id="forwarded"),
        pytest.param([b"X-Forwarded-Host: evil.example", b"Connection: X-Forwarded-Host"], id="hop-by-hop"),
    ],
)  # fmt: skip
async def test_unkeyed_header_poisoning(arena: MakeArena, lines: list[bytes]) -> None:
    async with arena() as ring:
        await sent(ring, get(b"/page", *lines))
        await expect_clean(ring)


async def test_unkeyed_port_poisoning_of_a_redirect(arena: MakeArena) -> None:
    def redirect(request: Message) -> bytes:
        location = b"Location: http://%b/en" % (request.get(b"host") or b"")
        return answer(b"", SHARED, location, status=b"302 Found")

    async with arena() as ring:
        ring.origin.on(b"/", redirect)
        await sent(ring, get(b"/", host=HOST + b":1337"))
        assert (await ring.innocently(b"/")).get(b"location") == b"http://%b/en" % HOST


async def test_fat_get_poisoning(arena: MakeArena) -> None:
    async with arena() as ring:
        await sent(ring, get(b"/page", b"Content-Length: 12") + b"report=evil!")
        await expect_clean(ring)


async def test_parameter_cloaking(arena: MakeArena) -> None:
    """Rails splits at `;` where a cache that drops utm_content does not: the second callback wins there."""

    def callback(request: Message) -> bytes:
        query = request.start[1].partition(b"?")[2].replace(b";", b"&")
        pairs = dict(pair.partition(b"=")[::2] for pair in query.split(b"&"))
        return answer(pairs.get(b"callback", b"none"), SHARED)

    async with arena(route={"query": {"sort": True, "drop": ["utm_*"]}}) as ring:
        for target in (
            b"/js?callback=legit&utm_content=1;callback=evil",
            b"/js?utm_content=1;callback=evil&callback=legit",
            b"/js?callback=legit",
            b"/js?callback=legit&utm_content=1",
        ):
            ring.origin.on(target, callback)
        await sent(ring, get(b"/js?callback=legit&utm_content=1;callback=evil"))
        for target in (b"/js?callback=legit", b"/js?callback=legit&utm_content=1"):
            assert (await ring.innocently(target)).body == b"legit"


async def test_cache_parameter_cloaking_with_a_second_question_mark(arena: MakeArena) -> None:
    async with arena(route={"query": {"drop": ["utm_*"]}}) as ring:
        await sent(ring, get(b"/page?a=1?utm_source=x&a=evil"))
        assert (await ring.innocently(b"/page?a=1")).body == b"GET /page?a=1\n" + CLEAN


async def test_cache_key_injection(arena: MakeArena) -> None:
    """Two requests whose parts, put together with a delimiter, would give one key (Kettle, 2020)."""
    async with arena(route={"key": {"fields": ["X-Theme"]}}) as ring:
        await sent(ring, get(b"/page", b"X-Theme: a__Origin='evil'"))
        await sent(ring, get(b"/page__x-theme=a", b"X-Theme: "))
        await sent(ring, get(b"/page?x-theme=a"))
        theme = await ring.innocently(b"/page", b"X-Theme: a")
        assert theme.body == b"GET /page\n" + CLEAN
        assert len(ring.origin.asked(b"/page")) == 2


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(b'/page?x="><script>', id="raw-characters"),
        pytest.param(b"/page?x=%22%3e%3cscript%3e", id="lower-case"),
        pytest.param(b"/page?x=%22%3E%3Cscript%3E", id="upper-case"),
    ],
)
async def test_cache_key_normalisation(arena: MakeArena, encoded: bytes) -> None:
    """A key that is decoded is one for two targets that the origin answers differently (Kettle, 2020)."""
    async with arena() as ring:
        await sent(ring, get(encoded))
        for other in (b"/page?x=%22%3e%3cscript%3e", b"/page?x=%22%3E%3Cscript%3E"):
            assert (await ring.innocently(other)).body == b"GET %b\n" % other + CLEAN


# Delimiters and dot segments that cache and origin read differently (Martin Doyhenard, 2024).


@pytest.mark.parametrize(
    "poison",
    [
        b"/page;evil", b"/page%3bevil", b"/page%00evil", b"/page%0aevil", b"/page%23evil", b"/page.evil",
        b"/x/..%2fpage", b"/x/%2e%2e/page", b"/x/../page", b"/./page", b"//page", b"/%70age", b"/page%2f",
        b"/x%2f%2e%2e%2fpage", b"/page\\evil",
    ],
)  # fmt: skip
async def test_delimiter_discrepancies(arena: MakeArena, poison: bytes) -> None:
    def lenient(request: Message) -> bytes:
        return answer(b"poison" if request.start[1] != b"/page" else b"page", SHARED)

    async with arena() as ring:
        for target in (poison, b"/page"):
            ring.origin.on(target, lenient)
        await sent(ring, get(poison))
        assert (await ring.innocently(b"/page")).body == b"page"


async def test_a_fragment_in_a_request_target_is_refused(arena: MakeArena) -> None:
    async with arena() as ring:
        refused = await sent(ring, get(b"/page#/../evil"))
        assert refused.start[0] == b"400"
        await expect_clean(ring)


# Response splitting (Klein, 2004), and what a reader at the origin makes of one request too many.


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"X-Lang: en\rSet-Cookie: evil=1", id="bare-cr"),
        pytest.param(b"X-Lang: en\nSet-Cookie: evil=1", id="bare-lf"),
        pytest.param(b"X-Lang: en\x00", id="nul"),
    ],
)
async def test_response_splitting_by_an_origin_that_copies_a_value(arena: MakeArena, line: bytes) -> None:
    async with arena() as ring:
        ring.origin.on(b"/page", lambda _: answer(b"split", SHARED, line))
        told = await sent(ring, get(b"/page"))
        assert told.start[0] == b"502"
        assert told.get(b"set-cookie") is None
        ring.origin.on(b"/page", reflect)
        await expect_clean(ring)


async def test_response_splitting_with_a_whole_second_response(arena: MakeArena) -> None:
    second = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: max-age=60\r\n\r\nevil"
    async with arena() as ring:
        ring.origin.on(b"/redirect", lambda _: answer(b"", SHARED, status=b"302 Found") + second)
        await sent(ring, get(b"/redirect"))
        await expect_clean(ring)


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param((b"Content-Length: 6", b"Transfer-Encoding: chunked"), id="cl-te"),
        pytest.param((b"Transfer-Encoding: chunked", b"Content-Length: 6"), id="te-cl"),
        pytest.param((b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"), id="te-te"),
        pytest.param((b"Transfer-Encoding: xchunked",), id="te-unknown"),
        pytest.param((b"Content-Length: 0", b"Content-Length: 6"), id="cl-cl"),
    ],
)
async def test_request_smuggling_to_poison_the_cache(arena: MakeArena, framing: tuple[bytes, ...]) -> None:
    async with arena() as ring:
        smuggled = b"0\r\n\r\n" + get(b"/evil")
        refused = await sent(ring, get(b"/page", *framing, method=b"POST") + smuggled)
        assert refused.start[0] in (b"400", b"501")
        assert not ring.origin.asked(b"/evil")
        await expect_clean(ring)


# Host header and absolute form (Squid CVE-2016-4553), and other ways to name two places at once.


@pytest.mark.parametrize(
    "octets",
    [
        b"GET http://evil.example/page HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        b"GET http://shop.example/page HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: shop.example\r\nHost: evil.example\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: shop.example, evil.example\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: shop.example@evil.example\r\n\r\n",
        b"GET /page HTTP/1.1\r\n Host: evil.example\r\nHost: shop.example\r\n\r\n",
    ],
    ids=["absolute-form", "host-differs", "two-hosts", "host-list", "userinfo", "indented"],
)
async def test_host_of_death(arena: MakeArena, octets: bytes) -> None:
    async with arena() as ring:
        assert (await sent(ring, octets)).start[0] == b"400"
        await expect_clean(ring)


# Amplification: one small request, a large or repeated fetch behind it.


async def test_range_amplification_obr(arena: MakeArena) -> None:
    """Overlapping byte ranges (RangeAmp, 2020): the answer is not longer than what is stored."""
    async with arena() as ring:
        body = b"x" * 10_000
        ring.origin.on(b"/page", lambda _: answer(body, SHARED))
        await ring.innocently(b"/page")
        told = await sent(ring, get(b"/page", b"Range: bytes=" + b",".join([b"0-"] * 1000)))
        assert len(told.body) <= len(body) + 1000
        assert len(ring.origin.asked(b"/page")) == 1


async def test_range_amplification_sbr(arena: MakeArena) -> None:
    """Small byte range (RangeAmp, 2020): a thousand of them cost the origin one body, not a thousand."""
    async with arena() as ring:
        ring.origin.on(b"/page", lambda _: answer(b"x" * 10_000, SHARED))
        client = await ring.client()
        for number in range(50):
            await client.send(get(b"/page", b"Range: bytes=%d-%d" % (number, number)))
            assert (await client.response()).start[0] == b"206"
        assert len(ring.origin.asked(b"/page")) == 1


async def test_an_origin_that_vouches_for_a_cookie_in_front_of_everybody_is_not_believed(
    arena: MakeArena,
) -> None:
    """Session fixation by a cached Set-Cookie: it goes to the client whose request was answered alone."""
    async with arena() as ring:
        numbers = iter(range(10))
        ring.origin.on(b"/page", lambda _: answer(b"page", SHARED, b"Set-Cookie: session=%d" % next(numbers)))
        cookies = [(await sent(ring, get(b"/page"))).get(b"set-cookie") for _ in range(3)]
        assert len(set(cookies)) == 3
