from __future__ import annotations

import json
import resource
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from proxy.config.settings import Config
from proxy.errors import ConfigError
from proxy.server import run
from tests.origin.waiting import until
from tests.scenario_wire import Cut
from tests.server.certificates import Files
from tests.server.processes import Process, launched, serving
from tests.server.stage import Stage, connected

STOPPING = [pytest.param(number, id=number.name) for number in (signal.SIGTERM, signal.SIGINT)]
CACHEABLE = "max-age=60"


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    made = Stage()
    await made.origin.listen()
    yield made
    await made.close()


class Serve:
    """Starts processes in front of the stage's origin."""

    def __init__(self, scene: Stage, directory: Path) -> None:
        self._scene = scene
        self._directory = directory

    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[Process]:
        given = {
            "origins": {"shop": {"addresses": [self._scene.origin.url]}},
            "routes": [{"origin": "shop"}],
            **settings,
        }
        return serving(self._directory, **given)


@pytest.fixture
def serve(scene: Stage, tmp_path: Path) -> Serve:
    return Serve(scene, tmp_path)


async def asked(process: Process, path: str) -> tuple[int, str]:
    """Status and text from the admin listener."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{process.admin}{path}") as response:
        return response.status, await response.text()


def lines_of(text: str) -> list[str]:
    """The targets in an access log; every line must be whole."""
    return [json.loads(line)["target"] for line in text.splitlines()]


# Starting


@pytest.mark.slow
async def test_it_says_where_it_listens_and_what_is_behind(scene: Stage, serve: Serve) -> None:
    async with serve() as process:
        assert process.said.startswith("Lockgate ")
        assert "on uvloop" in process.said
        assert f"  route      */ -> shop ({scene.origin.url})" in process.said
        assert "  cache      256 MiB in memory, lru" in process.said
        assert await asked(process, "/healthz") == (200, "ok\n")


@pytest.mark.slow
async def test_one_origin_needs_no_file(scene: Stage) -> None:
    scene.origin.on("GET /a").reply(200, b"A")
    arguments = ["serve", "--origin", scene.origin.url, "--listen", "127.0.0.1:0", "--admin", "off"]
    async with launched(arguments) as process:
        await process.says("^  limits ")
        await scene.client(process.addresses[0]).send("GET /a").expect(200, b"A")
        assert "  admin" not in process.said


@pytest.mark.slow
async def test_a_port_that_is_taken_is_told_in_one_line(scene: Stage) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ["serve", "--origin", scene.origin.url, "--listen", address, "--admin", "off"]
        async with launched(arguments, python=["-X", "dev"]) as process:
            assert await process.ended() == 2
    assert process.said == (
        f"lockgate: cannot listen on {address}: another server is there already, or the file is no socket. "
        "Choose another address under `listen`, or with --listen\n"
    )


@pytest.mark.slow
async def test_a_certificate_that_does_not_load_is_told_in_one_line(tmp_path: Path, scene: Stage) -> None:
    tls = {"certificate": str(tmp_path / "none.pem"), "key": str(tmp_path / "none.pem")}
    file = tmp_path / "f.json"
    file.write_text(
        json.dumps(
            {
                "listen": [{"address": "127.0.0.1:0", "tls": tls}],
                "admin": {"enabled": False},
                "origins": {"shop": {"addresses": [scene.origin.url]}},
                "routes": [{"origin": "shop"}],
            }
        )
    )
    async with launched(["serve", "--config", str(file)], python=["-X", "dev"]) as process:
        assert await process.ended() == 2
    assert process.said.count("\n") == 1
    assert "none.pem" in process.said


def test_a_missing_uvloop_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ConfigError, match=r"event_loop is uvloop.*pip install uvloop.*event_loop: asyncio"):
        run.loop_factory("uvloop")


@pytest.mark.slow
async def test_as_many_files_as_allowed_are_taken(serve: Serve) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    async with serve() as process:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{process.admin}/metrics") as response,
        ):
            text = await response.text()
        assert f" {hard} open files\n" in process.said
    assert float(text.partition("\nprocess_max_fds ")[2].partition("\n")[0]) == hard


def test_a_limit_on_files_that_cannot_be_raised_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    assert run.raise_file_limit() == 1024


@pytest.mark.parametrize(
    ("files", "connections"),
    [
        pytest.param(100_000, 20_000, id="enough"),
        pytest.param(10_000, 10_000 - 64 - 100 - 256, id="beside-those-to-the-origin"),
        pytest.param(256, 128, id="half-at-least"),
    ],
)
def test_no_more_connections_are_taken_than_there_are_files_for(files: int, connections: int) -> None:
    config = Config.model_validate(
        {"origins": {"shop": {"addresses": ["http://127.0.0.1:9"]}}, "routes": [{"origin": "shop"}]}
    )

    assert run.fitted(config, files).limits.max_connections == connections


# Ending


@pytest.mark.slow
@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.parametrize("event_loop", ["uvloop", "asyncio"])
async def test_a_signal_drains_and_the_exit_status_is_0(
    scene: Stage, serve: Serve, number: signal.Signals, event_loop: str
) -> None:
    answer = scene.origin.on("GET /held").hold().reply(200, b"A", cache_control=CACHEABLE)
    scene.origin.on("GET /a").reply(200, b"A")
    # Every warning is an error: no resource is left to the collector, no task to the end of the loop.
    async with serve(event_loop=event_loop, python=["-X", "dev", "-W", "error"]) as process:
        busy, idle = scene.client(process.addresses[0]), scene.client(process.addresses[0])
        await idle.send("GET /a").expect(200)
        busy.send("GET /held")
        await until(lambda: answer.held == 1)

        process.send(number)
        await process.says("^Draining")
        await idle.closed()
        with pytest.raises(ConnectionRefusedError):
            await connected(process.addresses[0], scene.transcript)
        assert await asked(process, "/healthz") == (503, "draining\n")
        answer.release()

        await busy.expect(200, b"A", connection="close")
        assert await process.ended() == 0
        assert process.said.endswith("Stopped.\n")
        assert lines_of(await process.output()) == ["/a", "/held"]
        for word in ("Traceback", "Warning", "Task was destroyed", "never awaited"):
            assert word not in process.said, process.said


@pytest.mark.slow
async def test_the_health_check_fails_first_where_a_balancer_needs_time(scene: Stage, serve: Serve) -> None:
    scene.origin.on("GET /a").reply(200, b"A")
    async with serve(shutdown_delay_s=3600) as process:
        process.send(signal.SIGTERM)
        await process.says("^Draining")

        assert await asked(process, "/healthz") == (503, "draining\n")
        await scene.client(process.addresses[0]).send("GET /a").expect(200, b"A", connection=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)]
)
async def test_a_second_signal_ends_at_once(
    scene: Stage, serve: Serve, first: signal.Signals, second: signal.Signals
) -> None:
    answer = scene.origin.on("GET /held").hold().reply(200, b"A")
    async with serve(shutdown_timeout_s=3600) as process:
        client = scene.client(process.addresses[0]).send("GET /held")
        await until(lambda: answer.held == 1)
        process.send(first)
        await process.says("^Draining")
        process.send(second)

        assert await process.ended() == 1
        assert "Stopped at once" in process.said
        assert "Traceback" not in process.said
        assert lines_of(await process.output()) == ["/held"]
        with pytest.raises(Cut):
            await client.head()
        client.leave()


@pytest.mark.slow
@pytest.mark.parametrize("event_loop", ["uvloop", "asyncio"])
async def test_a_download_that_takes_longer_than_the_drain_is_cut_and_does_not_look_whole(
    scene: Stage, serve: Serve, event_loop: str
) -> None:
    answer = scene.origin.on("GET /a").by_hand()
    async with serve(shutdown_timeout_s=0.1, event_loop=event_loop) as process:
        client = scene.client(process.addresses[0]).send("GET /a", version="1.0")
        asked = await answer.next()
        asked.head(200)
        asked.data(b"begun")
        await client.head()
        await client.body_octets(len(b"begun"))
        process.send(signal.SIGTERM)

        assert await process.ended() == 0
        assert "drain_timed_out cut_connections=1" in process.said
        wire = await client.wire()
        await until(lambda: wire.lost)
        assert wire.was_reset
        client.leave()


# Files that change


@pytest.mark.slow
async def test_a_log_that_was_rotated_loses_no_line(scene: Stage, serve: Serve, tmp_path: Path) -> None:
    scene.origin.on("GET /a").reply(200, b"A", cache_control=CACHEABLE)
    path, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    async with serve(access_log={"path": str(path)}) as process:
        client = scene.client(process.addresses[0])
        for _ in range(50):
            await client.send("GET /a").expect(200)
        path.rename(moved)
        for _ in range(50):
            await client.send("GET /a").expect(200)
        process.send(signal.SIGHUP)
        await until(path.exists)
        for _ in range(50):
            await client.send("GET /a").expect(200)
        process.send(signal.SIGTERM)
        assert await process.ended() == 0

    old, new = lines_of(moved.read_text()), lines_of(path.read_text())
    assert len(old) >= 100
    assert len(new) >= 50
    assert len(old) + len(new) == 150


@pytest.mark.slow
async def test_nobody_reading_standard_output_hurts_no_exchange(scene: Stage, serve: Serve) -> None:
    scene.origin.on("GET /a").reply(200, b"A", cache_control=CACHEABLE)
    async with serve() as process:
        process.close_output()
        client = scene.client(process.addresses[0])
        for _ in range(20):
            await client.send("GET /a").expect(200, b"A")
        await process.says("access_log_failed file=stdout error=Broken pipe")
        await client.send("GET /a").expect(200, b"A")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{process.admin}/statistics") as response,
        ):
            assert (await response.json())["access_log"]["lost"] >= 20
        process.send(signal.SIGTERM)

        assert await process.ended() == 0
        assert process.said.count("access_log_failed") == 1


@pytest.mark.slow
@pytest.mark.parametrize("event_loop", ["uvloop", "asyncio"])
async def test_a_certificate_is_read_again_on_a_signal_and_when_it_changes(
    scene: Stage, serve: Serve, tmp_path: Path, event_loop: str
) -> None:
    scene.origin.on("GET /a").reply(200, b"A")
    files = Files(tmp_path)
    first = files.put(trustme.CA())
    tls = {"certificate": str(files.certificate), "key": str(files.key), "check_interval_s": 0.05}
    async with serve(listen=[{"address": "127.0.0.1:0", "tls": tls}], event_loop=event_loop) as process:
        address = process.addresses[0]
        await scene.client(address, tls=first).send("GET /a").expect(200)

        second = files.put(trustme.CA())
        await process.says("certificate_loaded")
        await scene.client(address, tls=second).send("GET /a").expect(200)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connected(address, scene.transcript, tls=first)

        files.certificate.write_text("nonsense")
        await process.says("certificate_kept")
        process.send(signal.SIGHUP)
        await process.says("certificate_kept", times=2)
        await scene.client(address, tls=second).send("GET /a").expect(200)


@pytest.mark.slow
@pytest.mark.parametrize("event_loop", ["uvloop", "asyncio"])
async def test_a_unix_socket_is_taken_over_from_the_dead_only_and_removed_in_the_end(
    scene: Stage, serve: Serve, tmp_path: Path, event_loop: str
) -> None:
    scene.origin.on("GET /a").reply(200, b"A")
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listen = [{"address": f"unix:{path}"}, {"address": "[::1]:0"}]
    async with serve(listen=listen, event_loop=event_loop) as process:
        for address in process.addresses:
            await scene.client(address).send("GET /a").expect(200, b"A")
        arguments = ["serve", "--origin", scene.origin.url, "--listen", f"unix:{path}", "--admin", "off"]
        async with launched(arguments) as second:
            assert await second.ended() == 2
            assert "another server is there" in second.said
        await scene.client(f"unix:{path}").send("GET /a").expect(200, b"A")
        process.send(signal.SIGTERM)
        assert await process.ended() == 0

    assert not path.exists()
