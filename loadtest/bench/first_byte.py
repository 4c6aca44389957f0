"""How soon a client that joins a long fill in its midst gets its first octet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import uvloop

from loadtest.bench.candidates import FLOOR, LOAD_CORE, Candidate, started
from loadtest.bench.herd import Client, Herd, connect, percentile
from loadtest.bench.report import Section, table
from loadtest.processes import StubControl, free_port, serving, stub_command
from origin_stub import body_of

BODY_BYTES = 100 * 1024 * 1024
_FILL_S = 4.0
_JOINERS = 10
_FIRST_JOINS_AFTER_S = 1.0
_NEXT_JOINS_AFTER_S = 0.1
_TIMEOUT_S = 40.0
_TARGET_MS = 20


@dataclass(frozen=True, slots=True)
class _Joined:
    """Seconds from the request to the first octet of the leader and of each that joined; what went wrong."""

    leader_s: float
    joiners_s: list[float]
    fetches: int
    faults: tuple[str, ...]


def measure(candidates: Sequence[Candidate], open_files: int) -> Section:
    """Each candidate once; the joiners of one fill are the sample."""
    rows = []
    faults = []
    body = body_of("/long", BODY_BYTES)
    for candidate in candidates:
        if candidate is FLOOR:
            continue
        joined = _one(candidate, open_files, body)
        faults += [f"{candidate.name}: {fault}" for fault in joined.faults]
        rows.append(
            (
                candidate.name,
                f"{joined.leader_s * 1000:.1f}",
                f"{median(joined.joiners_s) * 1000:.1f}",
                f"{percentile(sorted(joined.joiners_s), 1) * 1000:.1f}",
                str(joined.fetches),
            )
        )
    header = ("server", "leader ms", "joined: median ms", "joined: max ms", "fetches")
    text = (
        f"A body of {BODY_BYTES // 2**20} MiB comes from the origin in {_FILL_S:.0f} s. {_JOINERS} clients "
        f"ask for it, one after the other, from {_FIRST_JOINS_AFTER_S:.0f} s after the first one on. Time "
        "from each one's request to its first octet; all read to the end, and the bodies are compared. "
        f"The aim is {_TARGET_MS} ms.\n\n{table(header, rows)}"
    )
    return Section("first-byte", "First octet of who joins a fill", text, tuple(faults))


def _one(candidate: Candidate, open_files: int, body: bytes) -> _Joined:
    origin_port = free_port()
    with (
        serving("bench-origin", stub_command(origin_port), origin_port, core=LOAD_CORE) as origin,
        started(
            candidate,
            port=free_port(),
            origin_port=origin_port,
            open_files=open_files,
            delay_s=0,
            body_bytes=BODY_BYTES,
        ) as server,
    ):
        return uvloop.run(_join(server.port, StubControl(origin.url), body))


async def _join(port: int, control: StubControl, body: bytes) -> _Joined:
    herd = Herd(1 + _JOINERS, body)
    crowd = await connect(herd, port, 1 + _JOINERS)
    target = f"/long?size={BODY_BYTES}&cc=max-age=600&drip={int(BODY_BYTES / _FILL_S)}"
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    asked_mono = []
    for number, client in enumerate(crowd):
        asked_mono.append(time.perf_counter())
        client.send(request)
        await asyncio.sleep(_NEXT_JOINS_AFTER_S if number else _FIRST_JOINS_AFTER_S)
    await asyncio.wait([herd.done], timeout=_TIMEOUT_S)
    times_s = [client.first_byte_mono - asked for client, asked in zip(crowd, asked_mono, strict=True)]
    for client in crowd:
        client.reset()
    return _Joined(times_s[0], times_s[1:], control.requests("/long"), tuple(_faults(crowd)))


def _faults(crowd: list[Client]) -> list[str]:
    return [
        f"client {number}: status {client.status}, wrong body {client.wrong}, cut {client.broken}"
        for number, client in enumerate(crowd)
        if client.status != 200 or client.wrong or client.broken or not client.last_byte_mono
    ]
