"""The disk tier: hits that only the disk has beside hits of memory, and the start over very many files.

Both hits go the ordinary way (without the gate), over sockets, each request for another object than the
last: one server has memory for all of them, the other one for next to none, and the kernel's page cache has
the files.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.bench.candidates import LOAD_CORE, SERVER_CORE
from loadtest.bench.report import Section, table
from loadtest.bench.wrk import is_installed, run_wrk
from loadtest.processes import Server, StubControl, free_port, lockgate_command, serving, stub_command

OBJECTS = 3000
FILES = 1_000_000
SIZES = (1024, 10 * 1024, 1024 * 1024)
_LARGE_OBJECTS = 50
"""Of those above `promote_max_bytes`, which are read from their file for each client."""
_SECONDS = 2.0
_AIM = 0.5

_SETTINGS = """\
listen:
  - address: 127.0.0.1:{port}
admin:
  enabled: false
access_log:
  enabled: false
gate: false
cache:
  max_bytes: {memory}
  max_entry_bytes: {memory}
  disk:
    directory: {directory}/disk
    min_free_bytes: 0
    promote_max_bytes: 100KiB
origins:
  origin:
    addresses: [http://127.0.0.1:{origin_port}]
routes:
  - origin: origin
"""

_EACH_IN_TURN = """\
local number = 0
request = function()
  number = (number + 1) % {objects}
  return wrk.format("GET", "/objects/" .. number .. "?size={size}&cc=max-age=86400")
end
"""


def measure(runs: int, files: int = FILES) -> Section:
    """Hits of both tiers, and the start over so many files."""
    rows, faults = [], []
    for size in SIZES if is_installed() else ():
        row, fault = _hits(size, runs)
        rows.append(row)
        faults += fault
    hits = table(("octets", "memory, hits/CPU-s", "disk, hits/CPU-s", "ratio"), rows)
    start = table(("start", ""), _start(files))
    text = (
        f"Hits of {OBJECTS:,} objects in turn ({_LARGE_OBJECTS} of those of 1 MiB, which no memory takes "
        "from the disk tier) in the ordinary path, from memory and from files that the page cache has; the "
        f"best of {runs} runs each, in turn. The aim is {_AIM} x memory's.\n\n{hits}\n\n"
        f"Start over {files:,} objects of 1,000 octets. The aim is to serve at once, and to know all of them "
        f"within 60 s.\n\n{start}"
    )
    return Section("disk", "Disk tier", text, tuple(faults))


def _hits(size: int, runs: int) -> tuple[tuple[str, ...], list[str]]:
    objects = OBJECTS if size < 100_000 else _LARGE_OBJECTS
    script = _EACH_IN_TURN.format(objects=objects, size=size)
    origin_port = free_port()
    with (
        serving("bench-disk-origin", stub_command(origin_port), origin_port, core=LOAD_CORE) as origin,
        _lockgate("memory", "512MiB", origin_port) as memory,
        _lockgate("disk", "100KiB", origin_port) as disk,
    ):
        servers = (memory, disk)
        for server in servers:
            _fill(server, script, objects, StubControl(origin.url))
        asked = _asked(StubControl(origin.url))
        best = [max(_per_cpu_s(server, script) for server in [server] * runs) for server in servers]
        again = _asked(StubControl(origin.url)) - asked
    faults = [f"the origin was asked {again} times for what was stored ({size} octets)"] if again else []
    ratio = best[1] / best[0]
    return (f"{size:,}", f"{best[0]:,.0f}", f"{best[1]:,.0f}", f"{ratio:.2f}"), faults


@contextmanager
def _lockgate(name: str, memory: str, origin_port: int) -> Iterator[Server]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix=f"lockgate-bench-{name}-") as directory:
        file = Path(directory) / "lockgate.yaml"
        file.write_text(
            _SETTINGS.format(port=port, memory=memory, directory=directory, origin_port=origin_port)
        )
        command = lockgate_command("--config", str(file))
        with serving(f"bench-disk-{name}", command, port, core=SERVER_CORE) as server:
            yield server


def _fill(server: Server, script: str, objects: int, origin: StubControl) -> None:
    """Ask for each, and once more, until the origin is asked for nothing."""
    deadline = time.monotonic() + 120
    before = -1
    while (asked := _asked(origin)) != before:
        assert time.monotonic() < deadline, f"{server.name} keeps asking the origin"
        before = asked
        done = 0
        while done < objects:
            done += run_wrk(server.url, seconds=1.0, script=script, connections=4).requests


def _asked(origin: StubControl) -> int:
    return sum(int(path["requests"]) for path in origin.counters().values())


def _per_cpu_s(server: Server, script: str) -> float:
    before_s = server.cpu_s()
    result = run_wrk(server.url, seconds=_SECONDS, script=script)
    assert not result.errors, f"{server.name}: {result.errors} errors"
    return result.requests / (server.cpu_s() - before_s)


def _start(files: int) -> list[tuple[str, str]]:
    command = [sys.executable, "-m", "loadtest.bench.disk_index", "--files", str(files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [(found[1], found[2]) for found in re.finditer(r"^(\S.*?) {2,}(\S.*)$", done.stdout, re.MULTILINE)]
