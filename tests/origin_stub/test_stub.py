from __future__ import annotations

import asyncio

import aiohttp
import pytest

import origin_stub
from origin_stub import Stub, body_of
from tests.origin_stub.conftest import MovableClock


async def test_defaults_apply_where_the_query_says_nothing() -> None:
    async with (
        origin_stub.running(behaviour="cc=max-age=60&size=5") as stub,
        aiohttp.ClientSession(stub.url) as session,
    ):
        async with session.get("/a") as answer:
            assert answer.headers["Cache-Control"] == "max-age=60"
            assert await answer.read() == body_of("/a", 5)
        async with session.get("/a?cc=no-store") as answer:
            assert answer.headers["Cache-Control"] == "no-store"


async def test_a_bad_parameter_is_answered_400(session: aiohttp.ClientSession) -> None:
    async with session.get("/a?size=big") as answer:
        assert answer.status == 400
        assert "size=big" in await answer.text()


async def test_concurrent_requests_are_counted_while_they_are_held(
    stub: Stub, session: aiohttp.ClientSession
) -> None:
    stub.hold("/a")
    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(session.get("/a").__aenter__())
        await stub.until(lambda: stub.held("/a") == 5)
        stub.release()
    assert stub.counters()["/a"].peak == 5


async def test_a_client_that_leaves_is_counted_and_its_request_ends(
    stub: Stub, session: aiohttp.ClientSession
) -> None:
    task = asyncio.get_running_loop().create_task(session.get("/a?hang=1").__aenter__())
    await stub.until(lambda: stub.counters()["/a"].in_progress == 1)
    task.cancel()
    await stub.until(lambda: stub.counters()["/a"].aborted == 1)
    await stub.until(lambda: stub.counters()["/a"].in_progress == 0)


async def test_a_reset_lets_hanging_requests_go_on(stub: Stub, session: aiohttp.ClientSession) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(session.get("/a?hang=1").__aenter__())
        await stub.until(lambda: stub.counters()["/a"].in_progress == 1)
        stub.reset()
    assert waiting.result().status == 200


@pytest.mark.parametrize("kind", ["503", "404"])
async def test_a_share_of_requests_fails_by_rate(session: aiohttp.ClientSession, kind: str) -> None:
    statuses = []
    for _ in range(40):
        async with session.get(f"/a?fail=0.5:{kind}") as answer:
            statuses.append(answer.status)
    assert set(statuses) == {200, int(kind)}


async def test_failures_by_rate_follow_the_seed() -> None:
    runs = []
    for _ in range(2):
        async with (
            origin_stub.running(behaviour="fail=0.5", seed=7) as stub,
            aiohttp.ClientSession(stub.url) as session,
        ):
            runs.append([(await session.get("/a")).status for _ in range(20)])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_a_failure_may_be_a_broken_connection(stub: Stub, kind: str) -> None:
    async with aiohttp.ClientSession(stub.url) as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.post(f"/a?size=50000&fail=1:{kind}") as answer:
                await answer.read()


async def test_a_delay_goes_before_the_head(stub: Stub, session: aiohttp.ClientSession) -> None:
    loop = asyncio.get_running_loop()
    began_mono = loop.time()
    async with session.get("/a?delay=0.02"):
        assert loop.time() - began_mono >= 0.02


async def test_viewers_follow_the_live_channel(
    stub: Stub, session: aiohttp.ClientSession, clock: MovableClock
) -> None:
    async with session.get("/live/news/index.m3u8") as answer:
        assert answer.content_type == "application/vnd.apple.mpegurl"
        assert answer.headers["Cache-Control"] == "max-age=1"
        segment = (await answer.text()).splitlines()[-1]
        etag = answer.headers["ETag"]
    async with session.get("/live/news/index.m3u8", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304
    async with session.get(f"/live/news/{segment}") as answer:
        assert answer.content_type == "video/mp2t"
        assert answer.headers["Cache-Control"] == "max-age=60"
        assert all(name in answer.headers for name in ("ETag", "Last-Modified"))
        assert await answer.read() == body_of(f"/live/news/{segment}", 1000)
    coming = f"/live/news/segment-{stub.channel.newest() + 1}.ts"
    async with session.get(coming) as answer:
        assert answer.status == 404
        assert answer.headers["Cache-Control"] == "no-store"
    clock.now += 2
    async with session.get(coming) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", ["segment-.ts", "segment-1.mp4", "other", "segment-٣.ts"])
async def test_other_names_below_a_channel_do_not_exist(session: aiohttp.ClientSession, name: str) -> None:
    async with session.get(f"/live/news/{name}") as answer:
        assert answer.status == 404


async def test_entities_over_http(stub: Stub, session: aiohttp.ClientSession) -> None:
    async with session.get("/entities/1") as answer:
        assert answer.status == 404
    async with session.put("/entities/1", data="x", headers={"Idempotency-Key": "k"}) as answer:
        assert await answer.text() == "x\n"
    async with session.get("/entities/1") as answer:
        assert await answer.text() == "x\n"
    async with session.delete("/entities/1") as answer:
        assert answer.status == 200
    async with session.patch("/entities/1") as answer:
        assert answer.status == 405
    assert stub.entities.report("1")["writes"] == 2


async def test_concurrent_increments_over_http_lose_updates(
    stub: Stub, session: aiohttp.ClientSession
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(session.post("/entities/1/increment?delay=0.02").__aenter__())
    report = stub.entities.report("1")
    assert report["max_overlap"] == 5
    assert report["value"] == "1"
