from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from origin_stub import Stub


async def post(session: aiohttp.ClientSession, name: str, **arguments: object) -> None:
    async with session.post(f"/_stub/{name}", json=arguments) as answer:
        assert answer.status == 200, await answer.text()


async def look(session: aiohttp.ClientSession, name: str) -> Any:
    async with session.get(f"/_stub/{name}") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return await answer.json()


async def test_counters_are_told_and_reset(session: aiohttp.ClientSession) -> None:
    for method in ("GET", "POST"):
        await session.request(method, "/a?x=1", data=b"12345" if method == "POST" else None)
    assert (await look(session, "counters"))["/a"]["methods"] == {"GET": 1, "POST": 1}
    assert (await look(session, "counters?path=/a"))["body_bytes"] == 5
    assert (await look(session, "counters?path=/b"))["requests"] == 0
    assert [seen["method"] for seen in await look(session, "requests")] == ["GET", "POST"]
    await post(session, "reset")
    assert await look(session, "counters") == {}


async def test_failures_on_command(session: aiohttp.ClientSession) -> None:
    await post(session, "fail", path="/a", behaviour="status=500", times=1)
    statuses = []
    for _ in range(2):
        async with session.get("/a?status=201") as answer:
            statuses.append(answer.status)
    assert statuses == [500, 201]


async def test_hold_and_release(stub: Stub, session: aiohttp.ClientSession) -> None:
    await post(session, "hold", path="/a")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(session.get("/a").__aenter__())
        await stub.until(lambda: stub.held("/a") == 1)
        assert await look(session, "held?path=/a") == {"held": 1}
        await post(session, "release", path="/a")
    assert waiting.result().status == 200


async def test_entities_are_told(session: aiohttp.ClientSession) -> None:
    await session.post("/entities/7/increment")
    report = await look(session, "entities/7")
    assert (report["value"], report["max_overlap"]) == ("1", 1)


async def test_a_touch_changes_the_body(session: aiohttp.ClientSession) -> None:
    bodies = []
    for _ in range(2):
        async with session.get("/a") as answer:
            bodies.append(await answer.read())
        await post(session, "touch", path="/a")
    assert bodies[0] != bodies[1]


async def test_refusing_keeps_the_connection_that_asked_for_it(
    stub: Stub, session: aiohttp.ClientSession
) -> None:
    await post(session, "refuse", seconds=0)
    async with session.get("/a") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        pytest.param("fail", '{"path": "/a", "behaviour": "status=no"}', 400, id="bad-behaviour"),
        pytest.param("fail", '{"path": "/a"}', 400, id="argument-missing"),
        pytest.param("hold", '{"where": "/a"}', 400, id="argument-unknown"),
        pytest.param("hold", "[]", 400, id="no-object"),
        pytest.param("hold", "{", 400, id="no-json"),
        pytest.param("explode", "", 404, id="unknown"),
    ],
)
async def test_what_cannot_be_done_is_refused(
    session: aiohttp.ClientSession, name: str, body: str, status: int
) -> None:
    async with session.post(f"/_stub/{name}", data=body) as answer:
        assert answer.status == status
