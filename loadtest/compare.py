"""`make load`: one kind of locust users against the stub alone, then behind Lockgate, and the comparison.

Environment: SCENARIO (live, herd, mixed), USERS, TIME.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.bench.herd import percentile
from loadtest.outcomes import Outcome
from loadtest.processes import (
    NotStarted,
    StubControl,
    free_port,
    lockgate_command,
    raise_open_files,
    serving,
    stub_command,
)

_DEFAULT_TIME = "12s"
_ORIGIN_DELAY = "0.1"  # of what names none itself: the live channel


@dataclass(frozen=True, slots=True)
class _Scenario:
    """Which users, how many, and the paths of what may be shared (label to prefix)."""

    users: str
    count: int
    shareable: dict[str, str]


_SCENARIOS = {
    "live": _Scenario(
        "LiveViewer", 200, {"segments": "/live/news/segment-", "playlist": "/live/news/index.m3u8"}
    ),
    "herd": _Scenario("HerdClient", 500, {"herd keys": "/herd/"}),
    "mixed": _Scenario("MixedVisitor", 100, {"objects": "/object/"}),
}


@dataclass(frozen=True, slots=True)
class _Run:
    """What clients noted and what the origin counted, in one run."""

    records: list[dict[str, Any]]
    counters: dict[str, dict[str, Any]]
    status: int


def main() -> int:
    """Locust's exit status of the run behind Lockgate, 1 when a request failed; 2 when it cannot begin."""
    name = os.environ.get("SCENARIO") or "live"
    scenario = _SCENARIOS.get(name)
    if scenario is None:
        print(f"SCENARIO={name} is unknown; there are: {', '.join(_SCENARIOS)}", file=sys.stderr)
        return 2
    users = int(os.environ.get("USERS") or scenario.count)
    duration = os.environ.get("TIME") or _DEFAULT_TIME
    raise_open_files()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the servers, too
    port = free_port()
    try:
        with ExitStack() as stack:
            origin = stack.enter_context(
                serving("origin", stub_command(port, "--delay", _ORIGIN_DELAY), port)
            )
            control = StubControl(origin.url)
            print(f"--- {users} × {scenario.users}, {duration}, against the stub alone", flush=True)
            alone = _locust(scenario, users, duration, origin.url, control)
            command = lockgate_command("--origin", origin.url, "--admin", "off", "--listen")
            port = free_port()
            lockgate = stack.enter_context(serving("lockgate", [*command, f"127.0.0.1:{port}"], port))
            print(f"--- {users} × {scenario.users}, {duration}, behind Lockgate", flush=True)
            behind = _locust(scenario, users, duration, lockgate.url, control)
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 2
    print(_comparison(scenario, alone, behind))
    return behind.status


def _locust(scenario: _Scenario, users: int, duration: str, host: str, control: StubControl) -> _Run:
    control.post("reset")
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "result.json"
        command = [
            sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "--only-summary",
            "--loglevel", "ERROR", "-u", str(users), "-r", str(users), "-t", duration,
            "--stop-timeout", "5", "--host", host, scenario.users,
        ]  # fmt: skip
        done = subprocess.run(command, env={**os.environ, "LOADTEST_RESULT": str(result)}, check=False)
        records = json.loads(result.read_text()) if result.exists() else []
    return _Run(records, control.counters(), done.returncode)


def _comparison(scenario: _Scenario, alone: _Run, behind: _Run) -> str:
    lines = ["", f"{'':40}{'stub alone':>16}{'behind Lockgate':>18}"]
    for label, prefix in scenario.shareable.items():
        pairs = [_figures(run, prefix) for run in (alone, behind)]
        lines.append(f"{label}")
        lines += [f"  {name:38}{pairs[0][name]:>16}{pairs[1][name]:>18}" for name in pairs[0]]
    lines.append(f"{'failed checks or requests':40}{_failed(alone):>16}{_failed(behind):>18}")
    lines.append("")
    lines.append("leak ratio: origin fetches ÷ client requests")
    lines.append("added wait: a waiter's time less its leader's; below 0 where it joined a flight under way")
    return "\n".join(lines)


def _failed(run: _Run) -> str:
    return "none" if run.status == 0 else "some (above)"


def _figures(run: _Run, prefix: str) -> dict[str, str]:
    records = [record for record in run.records if record["path"].startswith(prefix)]
    fetches = {path: counter["requests"] for path, counter in run.counters.items() if path.startswith(prefix)}
    total = sum(fetches.values())
    objects = len({record["path"] for record in records})
    times_ms = sorted((record["ended_mono"] - record["began_mono"]) * 1000 for record in records)
    waits_ms = sorted(wait_s * 1000 for wait_s in _added_waits_s(records))
    return {
        "client requests": f"{len(records):,}",
        "origin fetches": f"{total:,}",
        "leak ratio": f"{total / len(records):.2%}" if records else "–",
        "objects": f"{objects:,}",
        "origin fetches per object": f"{total / objects:.2f}" if objects else "–",
        "most for one object": f"{max(fetches.values(), default=0):,}",
        "time p50 / p99 ms": _two(times_ms),
        "waiters": f"{len(waits_ms):,}",
        "added wait p50 / p99 ms": _two(waits_ms),
    }


def _two(values: list[float]) -> str:
    return f"{percentile(values, 0.5):.0f} / {percentile(values, 0.99):.0f}" if values else "–"


def _added_waits_s(records: Iterable[dict[str, Any]]) -> list[float]:
    """Each waiter's time less that of the leader of its flight: the one of the same path that overlaps."""
    leaders: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    waiters = []
    for record in records:
        if record["outcome"] == Outcome.LEADER:
            leaders[record["path"]].append(record)
        elif record["outcome"] == Outcome.COLLAPSED:
            waiters.append(record)
    waits_s = []
    for waiter in waiters:
        for leader in leaders[waiter["path"]]:
            if leader["began_mono"] <= waiter["ended_mono"] and waiter["began_mono"] <= leader["ended_mono"]:
                waiter_s = waiter["ended_mono"] - waiter["began_mono"]
                waits_s.append(waiter_s - (leader["ended_mono"] - leader["began_mono"]))
                break
    return waits_s


if __name__ == "__main__":
    sys.exit(main())
