"""What order costs: writes with lanes beside the same front end and forwarder without them, and beside plain
pass-through; with a journal; and what the lanes promise of hot keys, of many, of stuck and of idle ones.

Servers are processes on a core of their own, wrk sends to them from the other one, taking turns. What is
measured of the lanes alone is measured in this process.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from loadtest.bench import c_origin, journal, lanes, wrk
from loadtest.bench.c_origin import requests_so_far
from loadtest.bench.candidates import SERVER_CORE
from loadtest.bench.report import Section, table
from loadtest.bench.wrk import run_wrk
from loadtest.processes import LOG_DIRECTORY, Server, free_port, lockgate_command, serving
from proxy.server.run import loop_factory
from proxy.writes.embedded.writer import MAX_BATCH

SECONDS = 3.0
KEYS = 2000
BODY_BYTES = 512
IN_FLIGHT = 256
_DRAIN_S = 60.0
_TITLE = "Writes"

_SCRIPT = f"""\
local next, heads = 0, {{}}
init = function(_)
  local body = string.rep("a", {BODY_BYTES})
  for i = 1, {KEYS} do
    heads[i] = wrk.format("POST", "/expiring/posts/" .. i, {{["Content-Type"] = "text/plain"}}, body)
  end
end
request = function()
  next = next % #heads + 1
  return heads[next]
end
"""

_CONFIGURATION = """\
listen:
  - address: 127.0.0.1:{port}
admin:
  enabled: false
access_log:
  path: {directory}/access.log
origins:
  origin:
    addresses: [http://127.0.0.1:{origin_port}]
writes: {journal}
routes:
  - origin: origin
"""


@dataclass(slots=True)
class _Way:
    """One way that a write can go, and what was measured of it."""

    name: str
    module: str = "proxy"
    writes: str = ""
    journalled: bool = False
    status: int = 200
    per_cpu_s: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    p99_s: list[float] = field(default_factory=list)

    def command(self, directory: Path, *, port: int, origin_port: int) -> list[str]:
        """Writes the configuration, gives the command line."""
        kept = f"{{max_queued: 1000000, journal: {{directory: {directory}/journal, min_free_bytes: 0}}}}"
        text = _CONFIGURATION.format(
            port=port, origin_port=origin_port, directory=directory, journal=kept if self.journalled else "{}"
        )
        if self.writes:
            text += f"    writes: {self.writes}\n"
        file = directory / "lockgate.yaml"
        file.write_text(text)
        command = lockgate_command("--config", str(file))
        command[command.index("proxy")] = self.module
        return command


def _ways() -> dict[str, _Way]:
    queued = "{max_concurrency: 1000}"
    deferred = "{mode: async, max_concurrency: 1000, max_lane: 100000, max_queued: 1000000}"
    return {
        "pass": _Way("passed through"),
        "without": _Way("the same forwarder without lanes", "loadtest.bench.without_lanes", queued),
        "sync": _Way("sync, many keys", writes=queued),
        "async": _Way("async, journalled", writes=deferred, journalled=True, status=202),
    }


def measure(runs: int, open_files: int) -> Section:
    """All of it; the faults are answers that were not the right ones, and writes that did not arrive."""
    if not (wrk.is_installed() and c_origin.is_installed()):
        told = "Not measured: this takes wrk, and nginx as the origin (apt-get install wrk nginx-light)."
        return Section("writes", _TITLE, told)
    ways, faults = _ways(), list[str]()
    with ExitStack() as stack:
        origin = stack.enter_context(c_origin.c_origin(open_files))
        LOG_DIRECTORY.mkdir(exist_ok=True)
        # The journal belongs on a disk, not on tmpfs: its syncs are what is paid for.
        base = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="lockgate-bench-", dir=LOG_DIRECTORY))
        )
        servers = {}
        for name, way in ways.items():
            (base / name).mkdir()
            port = free_port()
            command = way.command(base / name, port=port, origin_port=origin.port)
            servers[name] = stack.enter_context(
                serving(f"bench-writes-{name}", command, port, core=SERVER_CORE)
            )
        for run in range(-1, runs):
            for name, way in ways.items():
                fault = _run(way, servers[name], origin, SECONDS if run >= 0 else 1.0, counts=run >= 0)
                faults += [fault] if fault else []
        waited_s = _waits_for_202(servers["async"])
        queue_rows = _queue_alone(base / "queue", runs)
        sync_s = _fsync_p50_s(base)
    own = _in_turn(runs)
    return Section("writes", _TITLE, _text(ways, runs, waited_s, sync_s, queue_rows, own), tuple(faults))


def _ask(server: Server) -> int:
    request = urllib.request.Request(f"{server.url}/expiring/posts/1", data=b"a" * BODY_BYTES, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()
        return int(answer.status)


def _run(way: _Way, server: Server, origin: Server, seconds: float, *, counts: bool) -> str:
    """One run; what was wrong, empty if nothing."""
    status = _ask(server)
    if status != way.status:
        return f"{way.name}: {status} in the place of {way.status}"
    before, cpu_before_s = requests_so_far(origin), server.cpu_s()
    result = run_wrk(f"{server.url}/expiring/posts/1", seconds=seconds, script=_SCRIPT)
    arrived = _all_at_the_origin(origin, before, result.requests)
    cpu_s = server.cpu_s() - cpu_before_s  # with what was accepted and sent later
    if counts:
        way.per_cpu_s.append(result.requests / cpu_s)
        way.per_s.append(result.per_s)
        way.p99_s.append(result.p99_s)
    if result.errors or arrived < result.requests:
        return f"{way.name}: {result.errors} errors; {arrived} of {result.requests} reached the origin"
    return ""


def _all_at_the_origin(origin: Server, before: int, wanted: int) -> int:
    """How many came, when all did or the time is over; each look is a request of its own."""
    deadline, looks = time.monotonic() + _DRAIN_S, 0
    while True:
        looks += 1
        came = requests_so_far(origin) - before - looks
        if came >= wanted or time.monotonic() > deadline:
            return came
        time.sleep(0.05)


def _waits_for_202(server: Server, count: int = 300) -> list[float]:
    """How long a client waits for 202, one at a time, in seconds, the shortest first."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        _ask(server)
        times.append(time.perf_counter() - began)
    return sorted(times)


def _fsync_p50_s(directory: Path, count: int = 300) -> float:
    """What the disk itself takes for a block that is written and synced."""
    times = []
    with (directory / "synced").open("wb", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(b"a" * 4096)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return median(times)


def _queue_alone(directory: Path, runs: int) -> tuple[float, float]:
    """Durable writes put and done in a second, and how many times a commit for each step that is."""
    many, ratios = [], []
    for run in range(runs):
        one = asyncio.run(journal.rate(directory / f"one{run}", 500, IN_FLIGHT, 1))
        group = asyncio.run(journal.rate(directory / f"group{run}", 20_000, IN_FLIGHT, MAX_BATCH))
        many.append(group[0])
        ratios.append(group[0] / one[0])
    return median(many), median(ratios)


@dataclass(frozen=True, slots=True)
class _Own:
    """What was measured of the lanes by themselves: medians, or numbers of things."""

    hot: float
    hot_journalled: float
    one_key: float
    twenty_keys_s: float
    neighbour: float
    idle: tuple[int, int]
    queued_octets: float
    restart: str


def _in_turn(runs: int) -> _Own:
    def five_ms() -> float:
        return 0.005

    hot, journalled, one_key, twenty, neighbours = [], [], [], [], []
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-", dir=LOG_DIRECTORY) as name:
        for run in range(runs):
            alone_s = _on_loop(lanes.serial_s(200, delays=five_ms))
            in_lanes_s = _on_loop(lanes.took_s(200, keys=1, delays=five_ms, directory=None))
            kept_s = _on_loop(lanes.took_s(200, keys=1, delays=five_ms, directory=Path(name) / str(run)))
            hot.append(alone_s / in_lanes_s)
            journalled.append(alone_s / kept_s)
            serial_s = _on_loop(lanes.serial_s(1000, delays=lanes.up_to_5_ms()))
            one_key.append(
                _on_loop(lanes.took_s(1000, keys=1, delays=lanes.up_to_5_ms(), directory=None)) / serial_s
            )
            twenty.append(_on_loop(lanes.took_s(10_000, keys=20, delays=lanes.up_to_5_ms(), directory=None)))
            free_s = _on_loop(lanes.neighbours_p99_s(stuck=False))
            neighbours.append(_on_loop(lanes.neighbours_p99_s(stuck=True)) / free_s)
        restart = _restarted(Path(name) / "left")
    return _Own(
        median(hot), median(journalled), median(one_key), median(twenty), median(neighbours),
        _on_loop(lanes.idle_keys()), _on_loop(lanes.queued_octets()), restart,
    )  # fmt: skip


def _on_loop(work: Coroutine[Any, Any, Any]) -> Any:
    factory: Callable[[], asyncio.AbstractEventLoop] | None = loop_factory("uvloop")
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def _restarted(directory: Path, queued: int = 100_000) -> str:
    """Seconds from opening a journal with so many writes to the first at its lane, as it is printed."""
    asyncio.run(journal.fill(directory, queued))
    command = [sys.executable, "-m", "loadtest.bench.journal", "--queued", str(queued)]
    done = subprocess.run([*command, "--restart", str(directory)], check=True, capture_output=True, text=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("first at its lane"))
    return line.split("after")[1].strip()


def _text(
    ways: dict[str, _Way],
    runs: int,
    waited_s: list[float],
    sync_s: float,
    queue: tuple[float, float],
    own: _Own,
) -> str:
    rates = {name: median(way.per_cpu_s) for name, way in ways.items()}
    rows = [
        (
            way.name,
            f"{rates[name]:,.0f}",
            f"{median(way.per_s):,.0f}",
            f"{median(way.p99_s) * 1000:.1f}",
            f"{rates[name] / rates['without']:.2f}",
            f"{rates[name] / rates['pass']:.2f}",
        )
        for name, way in ways.items()
    ]
    p50_ms, p99_ms = (waited_s[int(len(waited_s) * part)] * 1000 for part in (0.5, 0.99))
    jobs, tasks = own.idle
    facts = [
        ("queue alone, durable, 256 in flight", f"{queue[0]:,.0f}/s, {queue[1]:.1f} × a commit for each"),
        ("202, one at a time: p50, p99", f"{p50_ms:.1f} ms, {p99_ms:.1f} ms"),
        ("the disk's own sync of a block", f"{sync_s * 1000:.1f} ms"),
        ("hot key, origin of 5 ms: share of what the origin can", f"{own.hot:.2f}"),
        ("the same, journalled", f"{own.hot_journalled:.2f}"),
        ("1,000 writes of 0 to 5 ms, 1 key ÷ one behind the other", f"{own.one_key:.2f}"),
        ("10,000 of them, 20 keys", f"{own.twenty_keys_s:.1f} s"),
        ("p99 of others while a key of the shard is stuck ÷ p99 without", f"{own.neighbour:.2f}"),
        ("50,000 keys that were written: jobs, tasks left", f"{jobs}, {tasks}"),
        ("memory of a write that waits, beyond its body", f"{own.queued_octets:,.0f} octets"),
        ("restart with 100,000 queued: first at its lane", own.restart),
    ]  # fmt: skip
    return (
        f"64 connections, {KEYS:,} keys in turn, bodies of {BODY_BYTES} octets, one thread of wrk for "
        f"{SECONDS:g} s a run on the core that the origin (nginx) shares; medians of {runs} runs, the ways "
        "taking turns. CPU is user and system time of the server until the origin has had the last write. "
        "*Without lanes* is the same front end with the same forwarder, which sends at once "
        "(`loadtest/bench/without_lanes.py`).\n\n"
        f"{table(('way', 'per CPU-second', 'per second', 'p99 ms', '÷ without lanes', '÷ passed'), rows)}\n\n"
        f"{table(('what', 'found'), facts)}"
    )
