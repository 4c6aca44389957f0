"""Herds on a key that turns out not to be for sharing: who waits for the first answer, and for whom else.

The first answer tells that it is for its asker alone. Whoever waits for it must be let go at once, together:
to let them go one after the other costs the last of them the origin's delay as often as there are clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import uvloop

from loadtest.bench.candidates import LOCKGATE, Candidate
from loadtest.bench.herd import HerdResult, percentile, stampede
from loadtest.bench.line_up import line_up
from loadtest.bench.report import Section, table
from loadtest.processes import Server, StubControl
from origin_stub import body_of

SIZES = (20, 100, 1_000)
DELAY_S = 0.2
BODY_BYTES = 1024
TIMEOUT_S = 60.0
_GIVEN_UP_ABOVE_S = 15.0
"""Who serialises a herd of one size is not asked to do so with a larger one."""


@dataclass(slots=True)
class _Cell:
    """All runs of one candidate at one size."""

    results: list[HerdResult] = field(default_factory=list)
    fetches: list[int] = field(default_factory=list)

    @property
    def p99_s(self) -> float:
        return median(percentile(one.last_byte_s, 0.99) for one in self.results)


Cells = dict[tuple[str, int], _Cell]


def measure(candidates: Sequence[Candidate], runs: int, open_files: int) -> Section:
    """All herds, the candidates taking turns; faults are answers that were wrong, or did not come."""
    cells: Cells = {(one.name, size): _Cell() for size in SIZES for one in candidates}
    with line_up(
        candidates, open_files=open_files, delay_s=DELAY_S, body_bytes=BODY_BYTES, cache_control="private"
    ) as line:
        for run in range(runs):
            for name, size in cells:
                if not _is_given_up(cells, name, size):
                    _herd(
                        line.servers[name],
                        line.control,
                        f"/private/{name}/{size}/{run}",
                        size,
                        cells[name, size],
                    )
    return _section(cells, runs)


def _is_given_up(cells: Cells, name: str, size: int) -> bool:
    smaller = [cell for (each, clients), cell in cells.items() if each == name and clients < size]
    return any(cell.results and cell.p99_s > _GIVEN_UP_ABOVE_S for cell in smaller)


def _herd(server: Server, control: StubControl, target: str, size: int, cell: _Cell) -> None:
    body = body_of(target, BODY_BYTES)
    cell.results.append(uvloop.run(stampede(server.port, target, size, body, timeout_s=TIMEOUT_S)))
    cell.fetches.append(control.requests(target))


def _section(cells: Cells, runs: int) -> Section:
    rows, faults = [], []
    for (name, size), cell in cells.items():
        if not cell.results:
            rows.append((f"{size:,}", name, f"given up: above {_GIVEN_UP_ABOVE_S:g} s", "", "", ""))
            continue
        p50_s = median(percentile(one.last_byte_s, 0.5) for one in cell.results)
        rows.append(
            (
                f"{size:,}",
                name,
                f"{p50_s * 1000:,.0f}",
                f"{cell.p99_s * 1000:,.0f}",
                f"{cell.p99_s / DELAY_S:.1f}",
                f"{median(cell.fetches):g}",
            )
        )
        if name == LOCKGATE.name:
            faults += [f"{size} clients: {fault}" for one in cell.results for fault in one.faults()]
    header = ("clients", "server", "p50 ms", "p99 ms", "p99 ÷ origin's delay", "fetches")
    text = (
        f"Origin delay {DELAY_S} s, `Cache-Control: private`, all requests in one instant at a key that "
        f"nobody has asked for before; medians of {runs} runs. Times count from the instant before the first "
        "request was sent, the origin's delay included: the leader's answer takes one, and whoever it "
        "releases one more, times the rounds that the limit on concurrent requests to the origin "
        f"(`origins.*.max_concurrency`) makes of the herd.\n\n{table(header, rows)}"
    )
    return Section("uncacheable", "Herds on a key that is not for sharing", text, tuple(faults))
