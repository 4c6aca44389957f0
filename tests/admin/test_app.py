from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.server.server import Server
from tests.origin.waiting import until
from tests.server.stage import Stage, connected

ADMIN = {"enabled": True, "address": "127.0.0.1:0"}


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


async def traffic(stage: Stage, server: Server) -> None:
    """One exchange or more of every outcome but `stale`, `released` and `gone`; twelve in all."""
    held = stage.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    stage.origin.on("POST /b").reply(201, b"B")
    stage.origin.on("GET /cut").raw(b"HTTP/1.1 nonsense\r\n\r\n", then="cut")
    address = server.addresses[0]
    herd = [stage.client(address).send("GET /a") for _ in range(5)]
    await until(lambda: server.statistics().proxy.flights.waiters == 4)
    held.release()
    for client in herd:
        await client.expect(200, b"A")
    for _ in range(3):
        await herd[0].send("GET /a").expect(200, b"A")
    await herd[0].send("POST /b", b"").expect(201)
    await herd[0].send("GET /cut").expect(502)
    await herd[0].send("GET /new", cache_control="only-if-cached").expect(504)
    await herd[1].send_raw(b"NONSENSE\r\n\r\n", "GET").expect(400)
    await until(lambda: server.statistics().proxy.exchanges.requests == 12)


async def asked(admin: aiohttp.ClientSession, path: str, **options: Any) -> tuple[int, str]:
    async with admin.get(path, **options) as response:
        return response.status, await response.text()


async def test_it_is_healthy_until_the_end_is_announced(stage: Stage) -> None:
    server = await stage.started(admin=ADMIN, shutdown_delay_s=3600)
    async with aiohttp.ClientSession(f"http://{server.admin_address}") as admin:
        assert await asked(admin, "/healthz") == (200, "ok\n")
        drain = asyncio.get_running_loop().create_task(server.drain())
        await until(lambda: server.statistics().draining)

        assert await asked(admin, "/healthz") == (503, "draining\n")
        drain.cancel()


async def test_the_counters_add_up_over_real_traffic(
    stage: Stage, server: Server, admin: aiohttp.ClientSession
) -> None:
    await traffic(stage, server)

    async with admin.get("/statistics") as response:
        assert response.content_type == "application/json"
        statistics = await response.json()
    exchanges = statistics["proxy"]["exchanges"]
    outcomes = exchanges["outcomes"]
    stored = outcomes["hit"] + outcomes["stale"]
    forwarded = outcomes["miss"] + outcomes["passed"] + outcomes["released"]
    unanswered = outcomes["refused"] + outcomes["failed"] + outcomes["gone"]
    assert (stored, outcomes["collapsed"], forwarded, unanswered) == (3, 4, 2, 3)
    assert exchanges["requests"] == stored + outcomes["collapsed"] + forwarded + unanswered
    assert exchanges["requests"] == sum(exchanges["statuses"].values())
    assert exchanges["statuses"] == {"200": 8, "201": 1, "400": 1, "502": 1, "504": 1}
    assert statistics["leak_ratio"] == 1 / 8
    assert statistics["proxy"]["flights"]["endings"] == {"shared": 1, "unreachable": 1}
    assert statistics["origins"]["shop"]["requests"] == stage.origin.asked() == 3


async def test_the_metrics_tell_what_the_statistics_tell(
    stage: Stage, server: Server, admin: aiohttp.ClientSession
) -> None:
    await traffic(stage, server)

    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families((await asked(admin, "/metrics"))[1])
        for sample in family.samples
    }
    assert samples["lockgate_requests_total", "hit"] == 3
    assert samples["lockgate_requests_total", "collapsed"] == 4
    assert samples["lockgate_responses_total", "502"] == 1
    assert samples["lockgate_forward_requests_total", "shop"] == 3
    assert samples["lockgate_flights_total", "shared"] == 1
    assert samples["lockgate_flights_running",] == 0
    assert samples["lockgate_flight_waiters",] == 0
    assert samples["lockgate_flight_wait_seconds_count",] == 4
    assert samples["lockgate_flight_wait_seconds_bucket", "+Inf"] == 4
    assert samples["lockgate_leak_ratio",] == 1 / 8
    assert samples["lockgate_shareable_fetches_total",] == 1
    assert samples["lockgate_store_entries",] == 1
    assert samples["lockgate_store_bytes",] > 0
    assert samples["lockgate_connections", "idle"] >= 4
    assert samples["lockgate_origin_connects_total", "shop"] >= 1


async def test_what_is_going_on_shows_while_it_goes_on(
    stage: Stage, server: Server, admin: aiohttp.ClientSession
) -> None:
    held = stage.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = [stage.client(server.addresses[0]).send("GET /a") for _ in range(3)]
    await until(lambda: server.statistics().proxy.flights.waiters == 2 and held.held == 1)

    text = (await asked(admin, "/metrics"))[1]

    assert "lockgate_flights_running 1.0\n" in text
    assert "lockgate_flight_waiters 2.0\n" in text
    assert 'lockgate_origin_outstanding{origin="shop"} 1.0\n' in text
    assert 'lockgate_connections{state="busy"} 3.0\n' in text
    oldest_s = float(text.partition("\nlockgate_flight_oldest_seconds ")[2].partition("\n")[0])
    assert oldest_s > 0
    held.release()
    for client in clients:
        await client.expect(200, b"A")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
        ("*/*", "text/plain"),
    ],
)
async def test_a_scraper_gets_the_format_it_accepts(
    admin: aiohttp.ClientSession, accept: str, content_type: str
) -> None:
    async with admin.get("/metrics", headers={"Accept": accept}) as response:
        assert response.headers["Content-Type"].startswith(content_type)


@pytest.mark.parametrize(("accepted", "coding"), [("deflate, gzip;q=0.5", "gzip"), ("deflate, br", None)])
async def test_a_scraper_that_takes_gzip_gets_it(server: Server, accepted: str, coding: str | None) -> None:
    url = f"http://{server.admin_address}/metrics"
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(url, headers={"Accept-Encoding": accepted}) as response,
    ):
        text = await response.read()
        assert response.headers.get("Content-Encoding") == coding
    assert b"lockgate_requests_total" in (gzip.decompress(text) if coding else text)


async def test_a_scraper_may_name_metrics(admin: aiohttp.ClientSession) -> None:
    text = (await asked(admin, "/metrics", params={"name[]": "lockgate_draining"}))[1]

    assert text.count("# TYPE") == 1
    assert "lockgate_draining 0.0" in text


async def test_another_path_is_answered_with_what_there_is(admin: aiohttp.ClientSession) -> None:
    assert await asked(admin, "/") == (
        404,
        "404: there is nothing here; "
        "there are /healthz, /metrics, /statistics, /purge, /explain and /writes\n",
    )


async def test_another_method_is_answered_with_what_is_allowed(admin: aiohttp.ClientSession) -> None:
    async with admin.post("/healthz") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
        assert await response.text() == "405: POST is not allowed here; allowed are GET, HEAD\n"


async def test_head_is_answered_without_a_body(admin: aiohttp.ClientSession) -> None:
    async with admin.head("/healthz") as response:
        assert (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize("debug", [False, True], ids=["quiet", "debug-mode"])
async def test_an_error_of_ours_shows_no_traceback(
    stage: Stage, debug: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.get_running_loop().set_debug(debug)
    server = await stage.started(admin=ADMIN)

    def broken() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(server, "statistics", broken)
    async with aiohttp.ClientSession(f"http://{server.admin_address}") as session:
        status, text = await asked(session, "/statistics")

    assert (status, text) == (500, "500: this could not be told; the log says why\n")
    assert "admin_failed path='/statistics'" in caplog.text
    assert "secret" in caplog.text
    monkeypatch.undo()


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"NONSENSE\r\n\r\n", id="no-request"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", id="too-long"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", id="bad-length"),
    ],
)
async def test_a_request_that_is_none_shows_no_traceback(stage: Stage, octets: bytes) -> None:
    asyncio.get_running_loop().set_debug(True)
    server = await stage.started(admin=ADMIN)
    assert server.admin_address is not None
    wire = await connected(server.admin_address, stage.transcript)

    wire.send(octets)
    await wire.closed()

    assert wire.received.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b"Traceback" not in wire.received
    wire.close()


async def test_an_address_that_others_can_reach_draws_a_warning(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.started(admin={"enabled": True, "address": "0.0.0.0:0"})

    assert "admin_exposed address=0.0.0.0:" in caplog.text


@pytest.mark.parametrize("kind", ["ipv4", "ipv6", "unix"])
async def test_loopback_and_files_draw_none(
    stage: Stage, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = {"ipv4": "127.0.0.1:0", "ipv6": "[::1]:0", "unix": f"unix:{tmp_path}/admin"}[kind]
    server = await stage.started(admin={"enabled": True, "address": address})

    assert server.admin_address is not None
    wire = await connected(server.admin_address, stage.transcript)
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    await wire.closed()
    wire.close()
    assert wire.received.endswith(b"ok\n")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    await server.close()
    assert not (tmp_path / "admin").exists()
