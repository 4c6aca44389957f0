"""A herd: N connections are opened, then all send the same request in one instant.

The generator is itself asyncio on one core, so it is kept lean: one protocol object a client, no
streams, no tasks, and bodies are compared as they come instead of being kept. What it costs is measured
(`HerdResult.drain_load`, and `loadtest.bench.floor`), because beyond some thousand clients it, and not
the server, is what one measures.
"""

from __future__ import annotations

import asyncio
import gc
import math
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

_LINGER_RESET = struct.pack("ii", 1, 0)
_CONNECTING_AT_ONCE = 256  # below every listen backlog: a dropped SYN would come again a second later
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
_CACHE_STATUS = re.compile(rb"\r\ncache-status:[ \t]*([^\r\n]*)", re.IGNORECASE)


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0 to 1) of the sorted values do not exceed; NaN of none."""
    if not values:
        return float("nan")
    rank = math.ceil(round(share * len(values), 6))  # rounded, as 0.07 * 100 is above 7
    return values[max(0, rank - 1)]


@dataclass(slots=True)
class HerdResult:
    """What the herd got; times in seconds from the instant before the first request was sent."""

    clients: int
    statuses: Counter[int] = field(default_factory=Counter)
    cache_statuses: Counter[str] = field(default_factory=Counter)
    first_byte_s: list[float] = field(default_factory=list)
    last_byte_s: list[float] = field(default_factory=list)
    waits_s: dict[str, list[float]] = field(default_factory=dict)
    """Times to the last byte by Cache-Status."""
    wrong_bodies: int = 0
    broken: int = 0
    """Clients whose connection ended, or whose time ended, before the answer did."""
    send_s: float = 0.0
    """Time that the generator took to send all requests."""
    drain_s: float = 0.0
    """Time from the first octet that any client got to the last one."""
    drain_load: float = 0.0
    """The generator's share of its core in that time, 0 to 1."""

    @property
    def is_whole(self) -> bool:
        """Whether each client got a 200 with the expected body."""
        return self.statuses == {200: self.clients} and not self.wrong_bodies and not self.broken

    def faults(self) -> Iterator[str]:
        """What was not so, in a line; none of a herd that is whole."""
        if not self.is_whole:
            yield (
                f"statuses {dict(self.statuses)}, {self.wrong_bodies} wrong bodies, {self.broken} unanswered"
            )


class Client(asyncio.Protocol):
    """One connection with one request; `*_mono` are of `time.perf_counter`, 0 until then."""

    __slots__ = (
        "_got",
        "_head",
        "_herd",
        "broken",
        "first_byte_mono",
        "head",
        "last_byte_mono",
        "length",
        "status",
        "transport",
        "wrong",
    )

    def __init__(self, herd: Herd) -> None:
        self._herd = herd
        self._head = b""
        self._got = 0
        self.head = b""
        self.length = -1
        self.status = 0
        self.first_byte_mono = 0.0
        self.last_byte_mono = 0.0
        self.wrong = False
        self.broken = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self.length < 0:
            if not self.first_byte_mono:
                self.first_byte_mono = time.perf_counter()
                self._herd.began(self.first_byte_mono)
            data = self._read_head(data)
            if self.length < 0:
                return
        got = self._got
        # startswith with an offset is one memcmp, without a copy.
        if not self._herd.body.startswith(data, got):
            self.wrong = True
        self._got = got = got + len(data)
        if got >= self.length and not self.last_byte_mono:
            self.last_byte_mono = time.perf_counter()
            self._herd.ended()

    def _read_head(self, data: bytes) -> bytes:
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return b""
        self.head = head + b"\r\n"
        self.status = int(head[9:12])
        found = _CONTENT_LENGTH.search(self.head)
        # Every candidate here passes the origin's Content-Length on; without one nobody could tell a
        # whole body from a cut one.
        self.length = int(found[1]) if found else 0
        self.wrong = found is None or self.length != len(self._herd.body)
        self._head = b""
        return body

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.last_byte_mono and not self.broken:
            self.broken = True
            self._herd.ended()

    def send(self, request: bytes) -> None:
        """Write the request; uvloop sends it at the end of the loop's turn."""
        assert self.transport is not None, "connected before"
        self.transport.write(request)

    def reset(self) -> None:
        """End the connection without leaving a port in TIME_WAIT."""
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self.transport.abort()


class Herd:
    """The clients that have not got their answer yet."""

    def __init__(self, clients: int, body: bytes) -> None:
        self.body = body
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.first_mono = 0.0
        self.first_cpu_s = 0.0
        self.last_cpu_s = 0.0
        self._left = clients

    def began(self, mono: float) -> None:
        if not self.first_mono:
            self.first_mono = mono
            self.first_cpu_s = time.process_time()

    def ended(self) -> None:
        self._left -= 1
        if not self._left and not self.done.done():
            self.last_cpu_s = time.process_time()
            self.done.set_result(None)


async def stampede(
    port: int, target: str, clients: int, body: bytes, *, timeout_s: float = 30.0
) -> HerdResult:
    """Send `clients` requests for the target at 127.0.0.1 in one instant and wait for all answers.

    `body` is what each client must get. Raises: OSError when a connection cannot be opened.
    """
    herd = Herd(clients, body)
    crowd = await connect(herd, port, clients)
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    # A collection among ten thousand clients is a pause of its own, which no server is to blame for.
    gc.collect()
    gc.disable()
    try:
        began_mono = time.perf_counter()
        for client in crowd:
            client.send(request)
        await asyncio.sleep(0)
        sent_mono = time.perf_counter()
        await asyncio.wait([herd.done], timeout=timeout_s)
    finally:
        gc.enable()
    for client in crowd:
        client.reset()
    return _result(herd, crowd, began_mono, sent_mono)


async def connect(herd: Herd, port: int, clients: int) -> list[Client]:
    """Open all connections, a few hundred at a time."""
    loop = asyncio.get_running_loop()
    crowd: list[Client] = []
    while len(crowd) < clients:
        count = min(_CONNECTING_AT_ONCE, clients - len(crowd))
        opened = await asyncio.gather(
            *(loop.create_connection(lambda: Client(herd), "127.0.0.1", port) for _ in range(count))
        )
        crowd += [client for _, client in opened]
    return crowd


def _result(herd: Herd, crowd: list[Client], began_mono: float, sent_mono: float) -> HerdResult:
    result = HerdResult(len(crowd), send_s=sent_mono - began_mono)
    for client in crowd:
        if not client.last_byte_mono or client.broken:
            result.broken += 1
            continue
        result.statuses[client.status] += 1
        result.wrong_bodies += client.wrong
        found = _CACHE_STATUS.search(client.head)
        outcome = found[1].decode("latin-1") if found else ""
        result.cache_statuses[outcome] += 1
        result.first_byte_s.append(client.first_byte_mono - began_mono)
        result.last_byte_s.append(client.last_byte_mono - began_mono)
        result.waits_s.setdefault(outcome, []).append(client.last_byte_mono - began_mono)
    result.first_byte_s.sort()
    result.last_byte_s.sort()
    if result.last_byte_s and herd.last_cpu_s:
        result.drain_s = began_mono + result.last_byte_s[-1] - herd.first_mono
        if result.drain_s > 0:
            result.drain_load = min(1.0, (herd.last_cpu_s - herd.first_cpu_s) / result.drain_s)
    return result


def generator_cost_s(clients: int, body: bytes) -> float:
    """CPU seconds a client of the generator's own code, fed in this process without any socket."""

    async def fed() -> float:
        herd = Herd(clients, body)
        crowd = [Client(herd) for _ in range(clients)]
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        began_s = time.process_time()
        for client in crowd:
            client.data_received(answer)
        return (time.process_time() - began_s) / clients

    return asyncio.run(fed())
