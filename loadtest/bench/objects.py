"""What a stored object costs in memory beyond its body and its head: 100,000 of them, asked for by sockets.

Resident memory of all processes of a server, before and after; the files of nginx's cache, which are pages
of memory there (tmpfs) and of none of its processes, are added.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from loadtest.bench.candidates import LOAD_CORE, Candidate, started
from loadtest.bench.objects_origin import body_for, head_of
from loadtest.bench.report import Section, table
from loadtest.processes import Server, free_port, memory_bytes, serving

OBJECTS = 100_000
BODY_BYTES = 1024
_WARM_UP = 500
_CONNECTIONS = 32
_TARGET_BYTES = 1024
_CHECKED_EVERY = 100


@dataclass(frozen=True, slots=True)
class _Growth:
    """In octets, from before the objects were asked for."""

    resident: int
    files: int
    hits_grew: int
    """What resident memory grew by while some of them were asked for again."""
    wrong: int

    def overhead_bytes(self, count: int) -> float:
        """Of each object, beyond body and head."""
        return (self.resident + self.files) / count - BODY_BYTES - _head_bytes()


def _head_bytes() -> int:
    return len(head_of(_target(OBJECTS - 1), BODY_BYTES))


def _target(number: int) -> bytes:
    return b"/articles/2025/%06d/page.html" % number


def measure(candidates: Sequence[Candidate], count: int = OBJECTS) -> Section:
    """Each candidate once, in a process of its own."""
    rows = []
    faults = []
    for candidate in candidates:
        growth = _one(candidate, count)
        if growth.wrong:
            faults.append(f"{candidate.name}: {growth.wrong} objects were not what the origin sent")
        overhead = growth.overhead_bytes(count)
        rows.append(
            (
                candidate.name,
                f"{(growth.resident + growth.files) / 2**20:.0f}",
                f"{overhead:.0f}",
                f"{growth.hits_grew / 2**20:.1f}",
            )
        )
    header = ("server", "MiB in all", "octets an object beyond body and head", "MiB more after hits")
    text = (
        f"{count:,} objects of {BODY_BYTES} octets with a head of twelve fields ({_head_bytes()} octets) are "
        f"asked for once over {_CONNECTIONS} connections, then one in {_CHECKED_EVERY} of them again. "
        "Growth of "
        "resident memory, all processes; to nginx's the files of its cache on tmpfs are added, in whole "
        f"blocks. The aim is {_TARGET_BYTES} octets.\n\n{table(header, rows)}"
    )
    return Section("overhead", "Memory of stored objects", text, tuple(faults))


def _one(candidate: Candidate, count: int) -> _Growth:
    origin_port = free_port()
    origin = [
        sys.executable, "-m", "loadtest.bench.objects_origin",
        "--port", str(origin_port), "--size", str(BODY_BYTES),
    ]  # fmt: skip
    with (
        serving("bench-objects-origin", origin, origin_port, core=LOAD_CORE),
        started(
            candidate,
            port=free_port(),
            origin_port=origin_port,
            open_files=4096,
            delay_s=0.0,
            body_bytes=BODY_BYTES,
        ) as server,
    ):
        return uvloop.run(_growth(server, count))


async def _growth(server: Server, count: int) -> _Growth:
    # What the first exchanges load and grow (code, pools, buffers) is no object's.
    warm = await _ask(server.port, (b"/warm-up/%d" % number for number in range(_WARM_UP)))
    before, files_before = memory_bytes(server.pids), _shared_bytes(server)
    wrong = await _ask(server.port, map(_target, range(count)))
    filled, files = memory_bytes(server.pids), _shared_bytes(server)
    wrong += await _ask(server.port, map(_target, range(0, count, _CHECKED_EVERY)))
    hits_grew = memory_bytes(server.pids) - filled
    return _Growth(filled - before, files - files_before, hits_grew, warm + wrong)


def _shared_bytes(server: Server) -> int:
    """What lies in the server's directory in shared memory: `-p DIRECTORY` of nginx; 0 for the others."""
    arguments = cast("list[str]", server.process.args)
    if "-p" not in arguments or not Path(arguments[0]).name.startswith("nginx"):
        return 0
    cache = Path(arguments[arguments.index("-p") + 1]) / "cache"
    return sum(
        os.stat(Path(directory) / name).st_blocks * 512
        for directory, _, names in os.walk(cache)
        for name in names
    )


async def _ask(port: int, targets: Iterator[bytes]) -> int:
    """Ask for each target once; how many answers were wrong."""
    askers = [_Asker(targets) for _ in range(_CONNECTIONS)]
    loop = asyncio.get_running_loop()
    for asker in askers:
        await loop.create_connection(lambda asker=asker: asker, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*(asker.done for asker in askers))
    return sum(asker.wrong for asker in askers)


class _Asker(asyncio.Protocol):
    """One connection that asks for one target after the other, until there are none left."""

    def __init__(self, targets: Iterator[bytes]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.wrong = 0
        self._targets = targets
        self._target = b""
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and len(body) >= BODY_BYTES:
            right = head.startswith(b"HTTP/1.1 200 ") and body == body_for(self._target, BODY_BYTES)
            self.wrong += not right
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.wrong += 1
            self.done.set_result(None)

    def _next(self) -> None:
        self._target, self._received = next(self._targets, b""), b""
        if self._target:
            request = (
                b"GET %b HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"
            )
            self._transport.write(request % self._target)
        else:
            self.done.set_result(None)
            self._transport.close()
