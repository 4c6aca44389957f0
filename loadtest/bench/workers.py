"""Two workers beside one, on the same core: what a hit costs, and how often a key is fetched by all of them.

Both run on the server's one core, so that the same processor time is compared, and not the number of cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop

from loadtest.bench import wrk
from loadtest.bench.candidates import LOCKGATE, Candidate, Workbench
from loadtest.bench.herd import HerdResult, percentile, stampede
from loadtest.bench.line_up import line_up
from loadtest.bench.report import Section, table
from loadtest.bench.wrk import run_wrk
from loadtest.processes import Server, StubControl
from origin_stub import body_of

HERD = 10_000
KEYS = 50
_HERD_AT_A_KEY = 64
"""Above what lets each worker have a part of it, whatever the kernel's choice."""

DELAY_S = 0.2
BODY_BYTES = 1024
SECONDS = 3.0
AIM = 1.1
_TITLE = "Two workers"


def _with_workers(count: int) -> Candidate:
    def command(bench: Workbench) -> list[str]:
        line = LOCKGATE.command(bench)
        file = Path(line[-1])
        file.write_text(f"{file.read_text()}workers:\n  count: {count}\n")
        return line

    return Candidate(f"lockgate-{count}", LOCKGATE.version, command)


@dataclass(slots=True)
class _Cell:
    """All runs of one number of workers."""

    hits_per_cpu_s: list[float] = field(default_factory=list)
    herds: list[HerdResult] = field(default_factory=list)
    fetches: list[int] = field(default_factory=list)
    fetches_of_keys: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def p99_ms(self) -> float:
        return median((percentile(one.last_byte_s, 0.99) - DELAY_S) * 1000 for one in self.herds)


Cells = Mapping[int, _Cell]


def measure(runs: int, open_files: int) -> Section:
    """Hits, herds and many keys. A key that was fetched twice is a fault."""
    if not wrk.is_installed():
        return Section("workers", _TITLE, "wrk is not installed (apt-get install wrk): not measured.")
    herd = min(HERD, open_files - 500)
    cells = {1: _Cell(), 2: _Cell()}
    candidates = {count: _with_workers(count) for count in cells}
    with line_up(
        tuple(candidates.values()),
        open_files=open_files,
        delay_s=DELAY_S,
        body_bytes=BODY_BYTES,
        cache_control="max-age=3600",
    ) as line:
        control = line.control
        servers = {count: line.servers[candidate.name] for count, candidate in candidates.items()}
        for count, server in servers.items():
            _many_keys(server, control, count, cells[count])
        for run in range(runs):
            for count in sorted(cells, reverse=bool(run % 2)):
                _hits(servers[count], count, cells[count])
                _herd(servers[count], control, f"/herd/{count}/{run}", herd, cells[count])
    return _section(cells, runs, herd)


def _many_keys(server: Server, control: StubControl, count: int, cell: _Cell) -> None:
    """A small herd at each key, and another one, which no worker may fetch for."""
    targets = [f"/key/{count}/{number}" for number in range(KEYS)]
    for _ in range(2):
        for target in targets:
            cell.faults += _stampede(server, target, _HERD_AT_A_KEY).faults()
    counters = control.counters()
    cell.fetches_of_keys = sum(int(counters[target]["requests"]) for target in targets)
    if cell.fetches_of_keys != KEYS:
        cell.faults.append(f"{KEYS} keys were fetched {cell.fetches_of_keys} times")


def _hits(server: Server, count: int, cell: _Cell) -> None:
    target = f"/key/{count}/0"
    before_s = server.cpu_s()
    result = run_wrk(f"{server.url}{target}", seconds=SECONDS)
    cell.hits_per_cpu_s.append(result.requests / (server.cpu_s() - before_s))
    if result.errors:
        cell.faults.append(f"{result.errors} of {result.requests} hits failed")


def _herd(server: Server, control: StubControl, target: str, size: int, cell: _Cell) -> None:
    result = _stampede(server, target, size)
    fetches = control.requests(target)
    cell.herds.append(result)
    cell.fetches.append(fetches)
    cell.faults += result.faults()
    if fetches != 1:
        cell.faults.append(f"{size} clients: {fetches} fetches of a cold key")


def _stampede(server: Server, target: str, size: int) -> HerdResult:
    return uvloop.run(stampede(server.port, target, size, body_of(target, BODY_BYTES)))


def _section(cells: Cells, runs: int, herd: int) -> Section:
    one = median(cells[1].hits_per_cpu_s)
    rows = []
    for count, cell in cells.items():
        rate = median(cell.hits_per_cpu_s)
        spread = f"{min(cell.hits_per_cpu_s):,.0f}–{max(cell.hits_per_cpu_s):,.0f}"
        fetches = "–".join(str(each) for each in sorted({min(cell.fetches), max(cell.fetches)}))
        rows.append(
            (
                str(count),
                f"{rate:,.0f}",
                spread,
                f"{one / rate:.2f}",
                fetches,
                f"{cell.p99_ms:.0f}",
                f"{cell.fetches_of_keys}",
            )
        )
    header = (
        "workers", "hits per CPU-second", "spread", "CPU per hit ÷ one worker's",
        f"fetches, {herd:,} clients", "p99 ms", f"fetches of {KEYS} keys",
    )  # fmt: skip
    text = (
        f"Both on one core. Hits of {BODY_BYTES} octets over {wrk.CONNECTIONS} connections for {SECONDS:g} s "
        f"a run; herds on a cold key, the origin's delay of {DELAY_S} s taken off; {KEYS} keys, each asked "
        f"for twice by {_HERD_AT_A_KEY} clients at once, so that the second time each worker either has it "
        f"or asks its owner. Medians of {runs} runs, in turns. Every body is compared. The aim is 1 fetch a "
        f"key and {AIM:g} times one worker's CPU per hit.\n\n{table(header, rows)}"
    )
    faults = tuple(f"{count} workers: {fault}" for count, cell in cells.items() for fault in cell.faults)
    return Section("workers", _TITLE, text, faults)
