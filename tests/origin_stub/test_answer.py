from __future__ import annotations

import json

import aiohttp
import pytest

from origin_stub import Stub, body_of
from tests.origin_stub.raw_client import exchange


async def test_the_body_can_be_verified(stub: Stub, session: aiohttp.ClientSession) -> None:
    async with session.get("/a?size=100000&cc=max-age=60&vary=Accept&type=text/x") as answer:
        assert await answer.read() == body_of("/a", 100_000) == stub.body_of("/a", 100_000)
        assert answer.headers["Cache-Control"] == "max-age=60"
        assert answer.headers["Vary"] == "Accept"
        assert answer.headers["Content-Length"] == "100000"
        assert answer.content_type == "text/x"


async def test_without_parameters_nothing_is_said_about_caching(session: aiohttp.ClientSession) -> None:
    async with session.get("/a") as answer:
        for name in ("Cache-Control", "Vary", "ETag", "Last-Modified", "Set-Cookie"):
            assert name not in answer.headers


async def test_chunks_are_counted_on_the_wire(stub: Stub) -> None:
    octets = await exchange(stub, b"GET /a?size=9&chunks=3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in octets
    assert octets.count(b"\r\n3\r\n") == 3


async def test_http_1_0_gets_no_chunks(stub: Stub) -> None:
    octets = await exchange(stub, b"GET /a?size=9&chunked=1 HTTP/1.0\r\n\r\n")
    assert octets.endswith(b"\r\n\r\n" + body_of("/a", 9))


async def test_head_has_the_fields_of_get_and_no_body(session: aiohttp.ClientSession) -> None:
    async with session.head("/a?size=100&etag=1") as answer:
        assert answer.headers["Content-Length"] == "100"
        assert "ETag" in answer.headers
        assert await answer.read() == b""


@pytest.mark.parametrize("status", [204, 304])
async def test_a_bodiless_status_has_no_body(session: aiohttp.ClientSession, status: int) -> None:
    async with session.get(f"/a?status={status}") as answer:
        assert answer.status == status
        assert await answer.read() == b""


async def test_validators_give_304_until_the_path_is_touched(
    stub: Stub, session: aiohttp.ClientSession
) -> None:
    target = "/a?etag=1&lm=60&cc=max-age=5"
    async with session.get(target) as answer:
        etag, modified = answer.headers["ETag"], answer.headers["Last-Modified"]
    for fields in ({"If-None-Match": etag}, {"If-Modified-Since": modified}):
        async with session.get(target, headers=fields) as answer:
            assert answer.status == 304
            assert answer.headers["ETag"] == etag
            assert answer.headers["Cache-Control"] == "max-age=5"
            assert "Content-Length" not in answer.headers
    stub.touch("/a")
    async with session.get(target, headers={"If-None-Match": etag}) as answer:
        assert answer.status == 200
        assert answer.headers["ETag"] != etag
        assert await answer.read() == stub.body_of("/a", 1024) != body_of("/a", 1024)


async def test_ranges_of_a_fixed_body(session: aiohttp.ClientSession) -> None:
    async with session.get("/a?size=100", headers={"Range": "bytes=10-19"}) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == "bytes 10-19/100"
        assert await answer.read() == body_of("/a", 100)[10:20]
    async with session.get("/a?size=100", headers={"Range": "bytes=100-"}) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == "bytes */100"
    async with session.get("/a?size=100&chunked=1", headers={"Range": "bytes=10-19"}) as answer:
        assert answer.status == 200


async def test_unique_answers_say_whose_they_are(session: aiohttp.ClientSession) -> None:
    numbers = set()
    for who in ("ann", "ben"):
        fields = {"X-Who": who, "Cookie": f"u={who}", "Accept-Language": who}
        async with session.get("/a?unique=1&vary=Accept-Language&size=500", headers=fields) as answer:
            octets = await answer.read()
        told = json.loads(octets)
        assert len(octets) == 500
        assert (told["who"], told["cookie"], told["vary"]) == (who, f"u={who}", {"Accept-Language": who})
        numbers.add(told["number"])
    assert len(numbers) == 2


async def test_a_cookie_is_another_one_each_time(stub: Stub) -> None:
    async with aiohttp.ClientSession(stub.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
        cookies = set()
        for _ in range(2):
            async with session.get("/a?cookie=s") as answer:
                cookies.add(answer.headers["Set-Cookie"])
    assert len(cookies) == 2


async def test_early_hints_go_before_the_answer(stub: Stub) -> None:
    octets = await exchange(stub, b"GET /a?hints=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert octets.startswith(b"HTTP/1.1 103 Early Hints\r\n")
    assert b"\r\n\r\nHTTP/1.1 200 OK\r\n" in octets


@pytest.mark.parametrize("how", ["", ":reset"])
async def test_a_body_is_cut(session: aiohttp.ClientSession, how: str) -> None:
    async with session.get(f"/a?size=100&cut=17{how}") as answer:
        assert answer.headers["Content-Length"] == "100"
        with pytest.raises(aiohttp.ClientError):
            await answer.read()


async def test_a_chunked_body_is_cut(session: aiohttp.ClientSession) -> None:
    async with session.get("/a?size=100&chunked=1&cut=17") as answer:
        with pytest.raises(aiohttp.ClientError):
            await answer.read()


async def test_a_reset_comes_instead_of_a_head(stub: Stub) -> None:
    with pytest.raises(ConnectionResetError):
        await exchange(stub, b"GET /a?reset=1 HTTP/1.1\r\nHost: a\r\n\r\n")


async def test_a_dripping_body_is_whole(session: aiohttp.ClientSession) -> None:
    async with session.get("/a?size=1000&drip=20000") as answer:
        assert await answer.read() == body_of("/a", 1000)


async def test_a_body_stops_at_its_barrier(stub: Stub, session: aiohttp.ClientSession) -> None:
    stub.hold("/a", after_bytes=10)
    async with session.get("/a?size=20") as answer:
        assert await answer.content.readexactly(10) == body_of("/a", 20)[:10]
        await stub.until(lambda: stub.held("/a") == 1)
        stub.release("/a")
        assert await answer.read() == body_of("/a", 20)[10:]
