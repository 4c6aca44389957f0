"""`POST /purge` and `GET /explain` by a real socket."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from proxy.server.server import Server
from tests.server.stage import Stage

TOKEN = "0123456789abcdef"
ADMIN = {"enabled": True, "address": "127.0.0.1:0"}
FRESH = {"cache_control": "max-age=60"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    await made.origin.listen()
    yield made
    await made.close()


@pytest.fixture
async def server(stage: Stage) -> Server:
    return await stage.started(admin=ADMIN)


@pytest.fixture
async def admin(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://{server.admin_address}") as session:
        yield session


async def purge(admin: aiohttp.ClientSession, order: object = None, **options: Any) -> tuple[int, Any]:
    if order is not None:
        options["json"] = order
    async with admin.post("/purge", **options) as response:
        document = await response.json(content_type=None)
        expected = "application/json" if response.status == 200 else "application/problem+json"
        assert response.content_type == expected
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, document


async def stored(stage: Stage, server: Server, *targets: str) -> None:
    client = stage.client(server.addresses[0])
    for target in targets:
        stage.origin.on(f"GET {target}").reply(200, b"A", surrogate_key="t", **FRESH)
        await client.send(f"GET {target}").expect(200, b"A")


async def test_a_purge_is_answered_with_its_count(
    stage: Stage, server: Server, admin: aiohttp.ClientSession
) -> None:
    await stored(stage, server, "/a", "/b")
    status, answer = await purge(admin, {"tag": "t"})
    assert status == 200
    assert (answer["kind"], answer["soft"], answer["entries"]) == ("tag", False, 2)
    assert answer["seconds"] >= 0
    assert (await purge(admin, {"url": "http://shop.example/a"}))[1]["entries"] == 0
    async with admin.get("/metrics") as response:
        text = await response.text()
    assert 'lockgate_purges_total{kind="tag"} 1.0\n' in text
    assert 'lockgate_purges_total{kind="url"} 1.0\n' in text
    assert "lockgate_purged_entries_total 2.0\n" in text


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, "the body is not JSON"),
        ({"data": b"\xff", "headers": {"Content-Type": "application/json"}}, 400, "the body is not JSON"),
        ({"data": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 400, "not JSON"),
        (
            {"data": b'{"tag":"a","tag":"b"}', "headers": {"Content-Type": "application/json"}},
            400,
            "a name twice",
        ),
        ({"data": b'{"tag":"a"}', "headers": {"Content-Type": "text/plain"}}, 415, "send JSON"),
        ({"json": {"tga": "a"}}, 400, "did you mean tag?"),
        ({"json": {"url": "shop.example"}}, 400, "write it whole"),
        ({"json": {"pattern": "("}}, 400, "no regular expression"),
        ({"json": {"tag": "a" * 300_000}}, 413, "above 262144 octets"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_input_is_refused_with_the_fix(
    admin: aiohttp.ClientSession, options: dict[str, Any], status: int, told: str
) -> None:
    found, document = await purge(admin, **options)
    assert (found, document["status"]) == (status, status)
    assert told in document["detail"]
    assert document["title"]


async def test_a_url_that_no_route_takes_is_told(stage: Stage) -> None:
    server = await stage.started(admin=ADMIN, routes=[{"origin": "shop", "host": "shop.example"}])
    async with aiohttp.ClientSession(f"http://{server.admin_address}") as admin:
        status, document = await purge(admin, {"url": "http://other.example/a"})
    assert status == 404
    assert "no route takes host other.example, path /a" in document["detail"]


async def test_with_a_token_nothing_is_done_without_it(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = await stage.started(admin={**ADMIN, "token": TOKEN})
    await stored(stage, server, "/a")
    async with aiohttp.ClientSession(f"http://{server.admin_address}") as admin:
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}):
            status, document = await purge(admin, {"everything": True}, headers=headers)
            assert (status, document["title"]) == (401, "Unauthorized")
        async with admin.get("/explain", params={"url": "http://a/"}) as response:
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert server.statistics().proxy.memory.entries == 1
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert (await purge(admin, {"everything": True}, headers=right))[1]["entries"] == 1
        async with admin.get("/healthz") as response:
            assert response.status == 200
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(server.config)


async def test_where_others_can_reach_it_a_token_is_needed(stage: Stage) -> None:
    server = await stage.started(admin={"enabled": True, "address": "0.0.0.0:0"})
    assert server.admin_address is not None
    port = server.admin_address.rpartition(":")[2]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as admin:
        status, document = await purge(admin, {"everything": True})
    assert status == 403
    assert "set admin.token" in document["detail"]


async def test_a_page_in_a_browser_on_this_machine_can_order_nothing(admin: aiohttp.ClientSession) -> None:
    status, _ = await purge(admin, {"everything": True}, headers={"Host": "rebound.example:9901"})
    assert status == 403
    status, _ = await purge(admin, data=b'{"everything": true}', headers={"Content-Type": "text/plain"})
    assert status == 415


async def test_too_many_are_told_to_wait(stage: Stage) -> None:
    server = await stage.started(admin={**ADMIN, "request_rate": 0.5})
    async with aiohttp.ClientSession(f"http://{server.admin_address}") as admin:
        assert (await purge(admin, {"everything": True}))[0] == 200
        async with admin.post("/purge", json={"everything": True}) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "2")


async def test_explain_tells_what_a_request_would_get(
    stage: Stage, server: Server, admin: aiohttp.ClientSession
) -> None:
    await stored(stage, server, "/a")
    params = [("url", "http://shop.example/a"), ("header", "Accept-Language: de"), ("header", "Cookie:a=b")]
    async with admin.get("/explain", params=params) as response:
        assert response.status == 200
        answer = await response.json()
    assert answer["verdict"] == "hit"
    assert answer["stored"]["labels"] == ["t"]
    assert set(answer) >= {"because", "request", "route", "key", "variant", "stored", "marks", "flight"}


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ([], "url is given 0 times"),
        ([("url", "http://a/"), ("url", "http://b/")], "url is given 2 times"),
        ([("url", "a")], "write it whole"),
        ([("url", "http://a/"), ("header", "x")], "write it as `Name: value`"),
        ([("url", "http://a/"), ("header", "ä: x")], "other than ASCII"),
        ([("url", "http://a/"), *[("header", "a: b")] * 101], "at most 100"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_bad_question_is_refused_with_the_fix(
    admin: aiohttp.ClientSession, params: list[tuple[str, str]], told: str
) -> None:
    async with admin.get("/explain", params=params) as response:
        assert response.status == 400
        assert told in json.loads(await response.text())["detail"]
