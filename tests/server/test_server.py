from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from proxy.coalesce.answer import Outcome
from proxy.errors import ConfigError
from proxy.server.server import Server
from tests.origin.waiting import turns, until
from tests.scenario_wire import Cut
from tests.server.stage import Stage, connected

CACHEABLE = "max-age=60"


async def is_draining(server: Server) -> None:
    await until(lambda: server.statistics().draining)


# Starting


async def test_what_was_opened_is_closed_when_a_later_listener_cannot_start(
    stage: Stage, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = stage.server(
            listen=[{"address": f"unix:{tmp_path}/socket"}, {"address": f"127.0.0.1:{port}"}],
            admin={"enabled": True, "address": "127.0.0.1:0"},
        )
        with pytest.raises(ConfigError, match="another server is there"):
            await server.start()

    assert not (tmp_path / "socket").exists()
    assert server.admin_address is not None
    with pytest.raises(ConnectionRefusedError):
        await connected(server.admin_address, stage.transcript)
    assert not server.healthy


async def test_a_log_that_cannot_be_opened_is_an_error_at_the_start(stage: Stage, tmp_path: Path) -> None:
    server = stage.server(access_log={"path": tmp_path / "missing" / "log"})

    with pytest.raises(ConfigError, match="access_log"):
        await server.start()


# Draining


async def test_a_running_exchange_ends_whole_and_says_that_the_connection_closes(stage: Stage) -> None:
    answer = stage.origin.on("GET /a").hold().reply(200, b"A", cache_control=CACHEABLE)
    server = await stage.started()
    client = stage.client(server.addresses[0]).send("GET /a")
    await until(lambda: answer.held == 1)

    drain = asyncio.get_running_loop().create_task(server.drain())
    await is_draining(server)
    answer.release()

    await client.expect(200, b"A", connection="close")
    await client.closed()
    assert await drain == 0


async def test_waiters_and_passed_exchanges_end_whole_too(stage: Stage) -> None:
    shared = stage.origin.on("GET /a").hold().reply(200, b"A", cache_control=CACHEABLE)
    passed = stage.origin.on("POST /b").hold().reply(200, b"B")
    server = await stage.started()
    herd = [stage.client(server.addresses[0]).send("GET /a") for _ in range(5)]
    poster = stage.client(server.addresses[0]).send("POST /b", b"body")
    await until(lambda: server.statistics().proxy.flights.waiters == 4 and passed.held == 1)

    drain = asyncio.get_running_loop().create_task(server.drain())
    await is_draining(server)
    shared.release()
    passed.release()

    for client in herd:
        await client.expect(200, b"A", connection="close")
    await poster.expect(200, b"B", connection="close")
    assert await drain == 0


async def test_idle_connections_are_closed_and_new_ones_refused(stage: Stage) -> None:
    answer = stage.origin.on("GET /held").hold().reply(200)
    stage.origin.on("GET /a").reply(200)
    server = await stage.started()
    idle, busy = stage.client(server.addresses[0]), stage.client(server.addresses[0])
    await idle.send("GET /a").expect(200, connection=None)
    busy.send("GET /held")
    await until(lambda: answer.held == 1)

    drain = asyncio.get_running_loop().create_task(server.drain())
    await idle.closed()
    with pytest.raises(ConnectionRefusedError):
        await connected(server.addresses[0], stage.transcript)
    assert not drain.done()

    answer.release()
    await busy.expect(200)
    assert await drain == 0


async def test_a_download_that_takes_too_long_is_cut_and_does_not_look_whole(stage: Stage) -> None:
    answer = stage.origin.on("GET /a").by_hand()
    server = await stage.started(shutdown_timeout_s=0.05)
    client = stage.client(server.addresses[0]).send("GET /a", version="1.0")
    asked = await answer.next()
    asked.head(200)
    asked.data(b"begun")
    await client.head()
    await client.body_octets(len(b"begun"))

    assert await server.drain() == 1

    wire = await client.wire()
    await until(lambda: wire.lost)
    assert wire.was_reset, "to HTTP/1.0 a clean end would look like the whole answer"
    await server.close()
    assert server.statistics().proxy.exchanges.aborted == 1
    client.leave()


async def test_with_no_time_to_drain_running_exchanges_are_cut_at_once(stage: Stage) -> None:
    answer = stage.origin.on("GET /a").hold().reply(200)
    server = await stage.started(shutdown_timeout_s=0)
    client = stage.client(server.addresses[0]).send("GET /a")
    await until(lambda: answer.held == 1)

    assert await server.drain() == 1
    with pytest.raises(Cut):
        await client.head()
    client.leave()


async def test_the_health_check_fails_before_the_listeners_close(stage: Stage) -> None:
    stage.origin.on("GET /a").reply(200)
    server = await stage.started(shutdown_delay_s=3600)
    assert server.healthy

    drain = asyncio.get_running_loop().create_task(server.drain())
    await is_draining(server)

    assert not server.healthy
    await stage.client(server.addresses[0]).send("GET /a").expect(200, connection=None)
    drain.cancel()


async def test_nothing_of_the_access_log_is_lost_on_a_drain(stage: Stage, tmp_path: Path) -> None:
    answer = stage.origin.on("GET /a").hold().reply(200, b"A", cache_control=CACHEABLE)
    server = await stage.started(access_log={"path": tmp_path / "log"}, shutdown_timeout_s=0.05)
    clients = [stage.client(server.addresses[0]).send("GET /a") for _ in range(20)]
    await until(lambda: server.statistics().proxy.flights.seats == 20)
    answer.release()
    for client in clients:
        await client.expect(200, b"A")
    stage.origin.on("GET /b").hold().reply(200)
    late = stage.client(server.addresses[0]).send("GET /b")
    await until(lambda: server.statistics().proxy.flights.running == 1)

    assert await server.drain() == 1
    await server.close()

    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 21
    assert '"outcome":"gone"' in lines[-1]
    late.leave()


async def test_closing_twice_is_closing_once(stage: Stage) -> None:
    server = await stage.started(admin={"enabled": True, "address": "127.0.0.1:0"})
    await server.close()
    await server.close()


async def test_no_task_is_left_after_the_end(stage: Stage) -> None:
    answer = stage.origin.on("GET /a").hold().reply(200)
    before = asyncio.all_tasks()
    server = await stage.started(admin={"enabled": True, "address": "127.0.0.1:0"})
    client = stage.client(server.addresses[0]).send("GET /a")
    await until(lambda: answer.held == 1)

    await server.close()
    await turns()

    client.leave()
    left = asyncio.all_tasks() - before
    assert not {task for task in left if "/tests/" not in repr(task)}


# Statistics


async def test_the_leak_ratio_is_fetches_by_requests_of_what_may_be_shared(stage: Stage) -> None:
    answer = stage.origin.on("GET /a").hold().reply(200, b"A", cache_control=CACHEABLE)
    stage.origin.on("GET /private").reply(200, b"P", cache_control="private")
    stage.origin.on("POST /a").reply(200, b"P")
    server = await stage.started()
    assert server.statistics().leak_ratio is None
    herd = [stage.client(server.addresses[0]).send("GET /a") for _ in range(5)]
    await until(lambda: server.statistics().proxy.flights.waiters == 4)
    answer.release()
    for client in herd:
        await client.expect(200, b"A")
    for _ in range(5):
        await herd[0].send("GET /a").expect(200, b"A")
    await herd[0].send("GET /private").expect(200)
    await herd[0].send("POST /a", b"").expect(200)

    await until(lambda: server.statistics().proxy.exchanges.requests == 12)
    statistics = server.statistics()
    assert statistics.leak_ratio == 1 / 10
    assert statistics.proxy.exchanges.outcomes == {
        **dict.fromkeys(Outcome, 0),
        Outcome.MISS: 2,
        Outcome.COLLAPSED: 4,
        Outcome.HIT: 5,
        Outcome.PASSED: 1,
    }


async def test_a_client_that_leaves_while_it_waits_is_gone_and_not_refused(stage: Stage) -> None:
    answer = stage.origin.on("GET /a").hold().reply(200, b"A", cache_control=CACHEABLE)
    server = await stage.started()
    leader, waiter = (stage.client(server.addresses[0]).send("GET /a") for _ in range(2))
    await until(lambda: server.statistics().proxy.flights.waiters == 1)

    waiter.leave()
    await until(lambda: server.statistics().proxy.exchanges.requests == 1)
    answer.release()
    await leader.expect(200, b"A")

    exchanges = server.statistics().proxy.exchanges
    assert exchanges.outcomes[Outcome.GONE] == 1
    assert exchanges.outcomes[Outcome.REFUSED] == 0
    assert exchanges.statuses[499] == 1


async def test_what_it_is_and_does_shows(stage: Stage) -> None:
    server = await stage.started()

    assert server.addresses[0] in repr(server)
