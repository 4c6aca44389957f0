"""An origin that keeps lists and a Lockgate before it, as processes of their own."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from loadtest.processes import (
    NotStarted,
    Server,
    end_of,
    is_listening,
    kill_all,
    lockgate_command,
    serving,
    spawned,
)
from loadtest.writes.http_client import Address

RUNS = Path(".run/writes")
_POLL_S = 0.02
_WATCH_S = 0.5
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST_GIVEN = 32768
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Queueing:
    """How writes are queued by the Lockgate of a stage; None in its place passes them through."""

    journal: Path | None
    origin_timeout_s: float = 10.0
    origin_idempotent: bool = False
    max_sync_lane: int = 1000
    workers: int = 1


def lasting_port() -> int:
    """A port of 127.0.0.1 that nobody is given by chance while its server is away.

    Of the ports that the system gives to clients, one may be taken by a connection between a kill and the
    next start; and a client that tries to connect to one again and again is, now and then, connected to
    itself.
    """
    lowest = int(_PORT_RANGE.read_text().split()[0]) if _PORT_RANGE.exists() else _LOWEST_GIVEN
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(max(1024, lowest // 2), lowest)
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                server.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def configuration(*, port: int, origin_port: int, queueing: Queueing | None) -> dict[str, Any]:
    """Of a Lockgate before an `origin_stub.lists`."""
    route: dict[str, Any] = {"origin": "lists"}
    configured: dict[str, Any] = {
        "listen": [{"address": f"127.0.0.1:{port}"}],
        "admin": {"enabled": False},
        "access_log": {"enabled": False},
        "origins": {"lists": {"addresses": [f"http://127.0.0.1:{origin_port}"]}},
        "routes": [route],
    }
    if queueing is None:
        return configured
    route["writes"] = {
        "entities": [
            {"path": "/lists/{key}", "keys": ["/lists/{key}"]},
            {
                "path": "/pairs/{one}/{other}",
                "keys": ["/lists/{one}", "/lists/{other}"],
                "invalidates": ["/lists/{one}", "/lists/{other}"],
            },
            {"path": "/counters/{key}"},
        ],
        "mode": "prefer",
        "retry": {"max_attempts": 5, "first_s": 0.05, "longest_s": 1, "budget_s": 60},
        "origin_idempotent": queueing.origin_idempotent,
        "origin_timeout_s": queueing.origin_timeout_s,
        "max_sync_lane": queueing.max_sync_lane,
        "max_lane": 10 * queueing.max_sync_lane,
    }
    configured["workers"] = {"count": queueing.workers}
    if queueing.journal is not None:
        configured["writes"] = {"journal": {"directory": str(queueing.journal)}}
    return configured


class Proxy:
    """A Lockgate that can be killed and started again, on the same port and journal."""

    def __init__(self, configured: dict[str, Any], directory: Path, port: int) -> None:
        self.address = Address("127.0.0.1", port)
        self._configuration = directory / "lockgate.json"
        self._configuration.write_text(json.dumps(configured, indent=2))
        self._log = directory / "lockgate.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        running = "" if self._process is None else f" as process {self._process.pid}"
        return f"<Proxy at {self.address.name}{running}>"

    async def start(self) -> None:
        """Start it and wait until it listens. Raises: NotStarted."""
        self._process = self._spawn()
        deadline = asyncio.get_running_loop().time() + _START_TIMEOUT_S
        while not is_listening(self.address.port):
            if self._process.poll() is not None or asyncio.get_running_loop().time() > deadline:
                raise NotStarted(f"{self!r} does not listen:\n{end_of(self._log)}")
            await asyncio.sleep(_POLL_S)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return spawned(lockgate_command("--config", str(self._configuration)), output)

    async def watch(self) -> Never:
        """Raises: NotStarted when it ends by itself."""
        while True:
            await asyncio.sleep(_WATCH_S)
            if self._process is not None and self._process.poll() is not None:
                status = self._process.returncode
                raise NotStarted(f"{self!r} ended with status {status}:\n{end_of(self._log)}")

    def kill(self) -> None:
        """SIGKILL to it and all its workers."""
        if self._process is None:
            return
        kill_all(self._process.pid)
        self._process.wait()
        self._process = None

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Stage:
    """Both, and where their histories lie."""

    origin: Server
    proxy: Proxy
    origin_history: Path
    client_history: Path


@contextmanager
def origin_serving(history: Path, *, seed: int, arguments: Sequence[str]) -> Iterator[Server]:
    """An `origin_stub.lists` for the length of a `with`; at its end its history is complete."""
    port = lasting_port()
    command = [sys.executable, "-m", "origin_stub.lists", "--port", str(port), "--history", str(history)]
    with serving("lists", [*command, "--seed", str(seed), *arguments], port) as server:
        yield server


@contextmanager
def staged(
    directory: Path, *, seed: int, queueing: Queueing | None, origin: Sequence[str] = ()
) -> Iterator[Stage]:
    """A stage in this directory for the length of a `with`; the Lockgate is to be started by its user."""
    directory.mkdir(parents=True, exist_ok=True)
    history = directory / "origin.jsonl"
    with origin_serving(history, seed=seed, arguments=origin) as server:
        port = lasting_port()
        configured = configuration(port=port, origin_port=server.port, queueing=queueing)
        proxy = Proxy(configured, directory, port)
        try:
            yield Stage(server, proxy, history, directory / "clients.jsonl")
        finally:
            proxy.stop()


def new_directory(name: str) -> Path:
    """An empty directory for one run."""
    RUNS.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.suffix[1:]) for path in RUNS.glob(f"{name}.*[0-9]")), default=0)
    directory = RUNS / f"{name}.{number}"
    directory.mkdir()
    return directory.resolve()
