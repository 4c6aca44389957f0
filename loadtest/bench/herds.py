"""Herds of growing size at a cold key, the candidates taking turns."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import uvloop

from loadtest.bench.candidates import FLOOR, LOCKGATE, NGINX, VARNISH, Candidate
from loadtest.bench.herd import HerdResult, generator_cost_s, percentile, stampede
from loadtest.bench.line_up import line_up
from loadtest.bench.report import Section, table
from loadtest.processes import Server, StubControl
from origin_stub import body_of

SIZES = (100, 1_000, 4_000, 10_000)
DELAY_S = 0.2
BODY_BYTES = 10 * 1024
_BUDGET_S = 200.0
_LIMITED_ABOVE = 0.9
_SETTLE_S = 1.0
_SETTLE_STEP_S = 0.05
_SETTLED_BELOW_S = 0.015  # one tick of the kernel's clock, in all


@dataclass(slots=True)
class _Cell:
    """All runs of one candidate at one size."""

    results: list[HerdResult] = field(default_factory=list)
    fetches: list[int] = field(default_factory=list)
    cpu_s: float = 0.0

    def beyond_ms(self, share: float) -> list[float]:
        return [(percentile(result.last_byte_s, share) - DELAY_S) * 1000 for result in self.results]

    @property
    def p99_ms(self) -> float:
        return median(self.beyond_ms(0.99))

    @property
    def is_limited(self) -> bool:
        return median(result.drain_load for result in self.results) > _LIMITED_ABOVE

    def requests_per_cpu_s(self) -> str:
        """About, where the kernel's clock of 10 ms is too coarse for what there was."""
        if not self.cpu_s:
            return "–"
        requests = sum(result.clients for result in self.results)
        return f"{'≈ ' if self.cpu_s < 0.2 else ''}{requests / self.cpu_s:,.0f}"

    def faults(self) -> Iterator[str]:
        for result in self.results:
            yield from result.faults()


Cells = dict[tuple[str, int], _Cell]


def measure(candidates: Sequence[Candidate], runs: int, open_files: int) -> Section:
    """Run all herds; the section's faults name every answer that was not the right one."""
    sizes = [size for size in SIZES if size + 500 <= open_files]
    cells: Cells = {(candidate.name, size): _Cell() for candidate in candidates for size in sizes}
    began_mono = time.monotonic()
    done = 0
    with line_up(
        candidates, open_files=open_files, delay_s=DELAY_S, body_bytes=BODY_BYTES, cache_control="max-age=600"
    ) as line:
        origin_note = _put_first(line.origin)
        for server in line.servers.values():
            # Threads, buffers and allocators grow with the first large herd; no run should pay for that.
            _herd(server, line.control, f"/warm/{server.name}", sizes[-1], _Cell())
        for run in range(runs):
            if time.monotonic() - began_mono > _BUDGET_S:
                break
            for size in sizes:
                for name in _turns(list(line.servers), run):
                    _settle(line.servers.values())
                    target = f"/herd/{name}/{size}/{run}"
                    _herd(line.servers[name], line.control, target, size, cells[name, size])
            done += 1
    return _section(candidates, sizes, cells, done, origin_note)


def _put_first(origin: Server) -> str:
    """Let the origin run when it has something to do, although the generator fills the core that they share.

    Else its delay would begin when the generator has sent all its requests, and end when that has read some
    answers: a constant of the set-up, the same for all candidates, that hides how they differ.
    """
    try:
        for pid in origin.pids:
            os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        return "The origin waits for the core that it shares with the generator: some ms of each time."
    return "The origin shares the generator's core and goes first there (SCHED_RR)."


def _turns(names: list[str], run: int) -> list[str]:
    """Another one begins in each run, so that no candidate always follows the same other."""
    first = run % len(names)
    return names[first:] + names[:first]


def _settle(servers: Collection[Server]) -> None:
    """Wait until nobody is still at work on the last herd's connections, for a second at most."""
    began_mono = time.monotonic()
    used_s = -1.0
    while time.monotonic() - began_mono < _SETTLE_S:
        before_s, used_s = used_s, sum(server.cpu_s() for server in servers)
        if before_s >= 0 and used_s - before_s < _SETTLED_BELOW_S:
            return
        time.sleep(_SETTLE_STEP_S)


def _herd(server: Server, control: StubControl, target: str, size: int, cell: _Cell) -> None:
    cpu_before_s = server.cpu_s()
    result = uvloop.run(stampede(server.port, target, size, body_of(target, BODY_BYTES)))
    cell.cpu_s += server.cpu_s() - cpu_before_s
    cell.results.append(result)
    cell.fetches.append(control.requests(target))


def _section(
    candidates: Sequence[Candidate], sizes: Sequence[int], cells: Cells, runs: int, origin_note: str
) -> Section:
    rows = []
    faults = []
    for size in sizes:
        for candidate in candidates:
            cell = cells[candidate.name, size]
            rows.append(_row(candidate.name, size, cell, cells))
            faults += [f"{candidate.name}, {size} clients: {fault}" for fault in cell.faults()]
            if candidate is LOCKGATE and any(fetches != 1 for fetches in cell.fetches):
                faults.append(f"lockgate, {size} clients: origin fetches {cell.fetches}, expected 1 each")
    header = (
        "clients", "server", "p50 ms", "p99 ms", "p99 spread", "max ms", "fetches",
        "requests per CPU-second", "p99 ÷ Varnish", "p99 ÷ nginx",
    )  # fmt: skip
    cost_us = generator_cost_s(10_000, body_of("/", BODY_BYTES)) * 1e6
    text = (
        f"Origin delay {DELAY_S} s, body {BODY_BYTES // 1024} KiB, cold key, all requests in one instant; "
        f"medians of {runs} runs, the candidates taking turns. Times are those to the last octet, counted "
        "from the instant before the first request was sent, less the origin's delay; the spread is from the "
        "lowest to the highest run. CPU is user and system time of all the server's processes, connecting "
        f"included. {origin_note}\n\n"
        f"{table(header, rows)}\n\n"
        "† The load generator used more than 90 % of its core while the answers came: the row shows its "
        "limit rather than the server's. The *floor* is a server on the same event loop that does nothing "
        "but answer everybody with a constant after the delay: what lies above it is the server's doing. "
        f"The generator's own code takes {cost_us:.1f} µs a client, sockets not counted; sending takes it "
        f"{_sending_ms(cells, sizes[-1]):.0f} ms at {sizes[-1]:,} clients."
    )
    return Section("herd", "Herds on a cold key", text, tuple(faults))


def _sending_ms(cells: Cells, size: int) -> float:
    return median(
        result.send_s * 1000 for (_, each), cell in cells.items() if each == size for result in cell.results
    )


def _row(name: str, size: int, cell: _Cell, cells: Cells) -> tuple[str, ...]:
    spread = cell.beyond_ms(0.99)
    fetches = sorted(set(cell.fetches))
    return (
        f"{size:,}",
        name + (" †" if cell.is_limited else ""),
        f"{median(cell.beyond_ms(0.5)):.1f}",
        f"{cell.p99_ms:.1f}",
        f"{min(spread):.0f}–{max(spread):.0f}",
        f"{median(cell.beyond_ms(1)):.1f}",
        "–" if name == FLOOR.name else "–".join(str(each) for each in {fetches[0]: 0, fetches[-1]: 0}),
        cell.requests_per_cpu_s(),
        _ratio(cell, cells.get((VARNISH.name, size)), name, VARNISH.name),
        _ratio(cell, cells.get((NGINX.name, size)), name, NGINX.name),
    )


def _ratio(cell: _Cell, other: _Cell | None, name: str, other_name: str) -> str:
    if other is None or not other.results or name == other_name:
        return ""
    return f"{cell.p99_ms / other.p99_ms:.2f}"
