"""What a waiter costs in memory: 5,000 of them on a fill of 1 MiB."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import uvloop

from loadtest.bench.candidates import LOAD_CORE, LOCKGATE, Candidate, started
from loadtest.bench.herd import HerdResult, stampede
from loadtest.bench.report import Section, table
from loadtest.processes import (
    Server,
    free_port,
    memory_bytes,
    reset_peak_memory,
    serving,
    stub_command,
)
from origin_stub import body_of

WAITERS = 5_000
BODY_BYTES = 1024 * 1024
_DELAY_S = 2.0
_FILL_S = 0.5
_TARGET_KIB = 16
_RUNS_AT_MOST = 3  # each moves 5 GiB


@dataclass(frozen=True, slots=True)
class _Growth:
    """Resident memory in octets, beyond that before the waiters connected."""

    waiting: int
    peak: int
    result: HerdResult

    @property
    def per_waiter_kib(self) -> float:
        return (self.peak - BODY_BYTES) / WAITERS / 1024


def measure(candidates: Sequence[Candidate], runs: int, open_files: int) -> Section:
    """Lockgate up to three times, each time a fresh process; the peers once."""
    rows = []
    faults = []
    for candidate in candidates:
        count = min(runs, _RUNS_AT_MOST) if candidate is LOCKGATE else 1
        growths = [_one(candidate, open_files) for _ in range(count)]
        faults += [
            f"{candidate.name}: not every waiter got the body" for each in growths if not each.result.is_whole
        ]
        per_waiter = [each.per_waiter_kib for each in growths]
        rows.append(
            (
                candidate.name,
                f"{median(each.waiting for each in growths) / 2**20:.1f}",
                f"{median(each.peak for each in growths) / 2**20:.1f}",
                f"{median(per_waiter):.1f}",
                f"{min(per_waiter):.1f}–{max(per_waiter):.1f}",
                f"{median(max(each.result.last_byte_s, default=0.0) for each in growths):.1f}",
            )
        )
    header = (
        "server",
        "MiB while waiting",
        "MiB at the peak",
        "KiB per waiter",
        "spread",
        "last answer after s",
    )
    text = (
        f"{WAITERS:,} clients ask in one instant for a body of {BODY_BYTES // 2**20} MiB that begins to come "
        f"after {_DELAY_S:.0f} s and takes {_FILL_S} s. Growth of resident memory (all processes; the peak "
        "is the kernel's own mark) from before they connect, and per waiter after one body is taken off. "
        f"The aim is {_TARGET_KIB} KiB.\n\n{table(header, rows)}"
    )
    return Section("memory", "Memory of waiters", text, tuple(faults))


def _one(candidate: Candidate, open_files: int) -> _Growth:
    origin_port = free_port()
    with (
        serving("bench-origin", stub_command(origin_port), origin_port, core=LOAD_CORE),
        started(
            candidate,
            port=free_port(),
            origin_port=origin_port,
            open_files=open_files,
            delay_s=_DELAY_S,
            body_bytes=BODY_BYTES,
        ) as server,
    ):
        return uvloop.run(_growth(server))


async def _growth(server: Server) -> _Growth:
    # What the first exchange loads (code, pools) is no waiter's.
    await stampede(server.port, "/warm?size=1024&cc=max-age=600", 10, body_of("/warm", 1024))
    before = memory_bytes(server.pids)
    reset_peak_memory(server.pids)
    waiting: list[int] = []
    asyncio.get_running_loop().call_later(
        0.1, _sample_while_waiting, asyncio.get_running_loop(), server, waiting
    )
    target = f"/memory?size={BODY_BYTES}&cc=max-age=600&delay={_DELAY_S}&drip={int(BODY_BYTES / _FILL_S)}"
    result = await stampede(server.port, target, WAITERS, body_of("/memory", BODY_BYTES), timeout_s=90)
    return _Growth(max(waiting) - before, memory_bytes(server.pids, "VmHWM") - before, result)


def _sample_while_waiting(loop: asyncio.AbstractEventLoop, server: Server, waiting: list[int]) -> None:
    """Look every 0.1 s, for as long as the origin is silent: no answer is on its way yet."""
    waiting.append(memory_bytes(server.pids))
    if len(waiting) < _DELAY_S / 0.1:
        loop.call_later(0.1, _sample_while_waiting, loop, server, waiting)
