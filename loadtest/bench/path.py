"""How much of the processor a request takes on each way through the proxy, sockets and kernel not counted.

What is measured is the thread's CPU time from one request's octets to its answer's, over many requests and
64 connections, less what the clients in memory take by themselves. Each kind of request has a proxy of its
own; the kinds take turns, and the best of many rounds is told: the machine's other work only ever adds.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, count, islice
from random import Random
from statistics import median

from loadtest.bench.in_memory import InMemory, Nothing
from loadtest.bench.report import Section, table
from loadtest.bench.shares import PARTS, shares_of
from proxy.server.run import loop_factory

ROUNDS = 25
REQUESTS = 2000
"""In a round of one kind."""

OBJECTS = 20_000
"""Of the mix."""

WRITTEN = 2000
"""Entities, so that hardly ever one write waits for another."""

_BROWSER = (
    b"Host: www.example.org\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
)
_numbers = count()


def _same(method: bytes = b"GET") -> Iterator[bytes]:
    head = b"%b /page HTTP/1.1\r\n%b\r\n" % (method, _BROWSER)
    while True:
        yield head


def _cookies() -> Iterator[bytes]:
    while True:
        yield b"GET /page HTTP/1.1\r\n%bCookie: session=%d.0123456789abcdef\r\n\r\n" % (
            _BROWSER,
            next(_numbers),
        )


def _odd_cookies() -> Iterator[bytes]:
    """With a tab, of which the gate does not know that it means nothing; others are alike, as ever."""
    yield from islice(_cookies(), 4)
    while True:
        yield b"GET /page HTTP/1.1\r\n%bCookie: session=%d\t0123456789abcdef\r\n\r\n" % (
            _BROWSER,
            next(_numbers),
        )


def _targets() -> Iterator[bytes]:
    while True:
        yield b"GET /pages/%d HTTP/1.1\r\n%b\r\n" % (next(_numbers), _BROWSER)


def _mix() -> Iterator[bytes]:
    """As in `rates`: Zipf's law with exponent 1, and so few that many are asked for again."""
    chance = Random(7)
    weights = list(accumulate(1 / rank for rank in range(1, OBJECTS + 1)))
    while True:
        for rank in chance.choices(range(OBJECTS), cum_weights=weights, k=1000):
            yield b"GET /expiring/%d HTTP/1.1\r\n%b\r\n" % (rank, _BROWSER)


def _posts() -> Iterator[bytes]:
    while True:
        yield b"POST /form HTTP/1.1\r\n%bContent-Length: 9\r\n\r\na=b&c=d&e" % _BROWSER


def _writes() -> Iterator[bytes]:
    while True:
        for number in range(WRITTEN):
            yield b"POST /posts/%d HTTP/1.1\r\n%bContent-Length: 9\r\n\r\na=b&c=d&e" % (number, _BROWSER)


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests that all go one way."""

    name: str
    requests: Callable[[], Iterator[bytes]]
    make: Callable[[], InMemory | Nothing]


_STORED = b"public, max-age=86400"
KINDS = (
    Kind("the clients alone", _same, Nothing),
    Kind("gate, known head: hit", _same, lambda: InMemory(_STORED)),
    Kind("gate, head like a known one: hit", _cookies, lambda: InMemory(_STORED)),
    Kind("gate, parsed head: hit", _odd_cookies, lambda: InMemory(_STORED)),
    Kind("ordinary path: hit", _same, lambda: InMemory(_STORED, gate=False)),
    Kind("ordinary path: hit, every head different", _cookies, lambda: InMemory(_STORED, gate=False)),
    Kind("miss, stored", _targets, lambda: InMemory(_STORED)),
    Kind("mix by Zipf's law, fresh for 2 s", _mix, lambda: InMemory(b"max-age=2")),
    Kind("not for sharing: passed, same head", _same, lambda: InMemory(b"private")),
    Kind("not for sharing: passed, every head different", _cookies, lambda: InMemory(b"private")),
    Kind("POST with a short body", _posts, lambda: InMemory(b"private")),
    Kind("the same, each to another of 2,000 targets", _writes, lambda: InMemory(b"private")),
    Kind("the same, queued by entity", _writes, lambda: InMemory(b"private", writes=True)),
)


def measure(rounds: int = ROUNDS, requests: int = REQUESTS) -> Section:
    """Each kind of request in rounds, the kinds in turn."""
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        times_us = runner.run(_times_us(KINDS, rounds, requests))
        shares = runner.run(_shares(KINDS[1:], requests))
    own_us = min(times_us[KINDS[0].name])
    rows = [
        (kind.name, f"{min(times) - own_us:.1f}", f"{median(times) - own_us:.1f}")
        for kind, times in ((kind, times_us[kind.name]) for kind in KINDS[1:])
    ]
    text = (
        "CPU time of one request from its octets to its answer's, a body of 1 KiB, 64 connections, uvloop, "
        "everything real but the sockets: neither the kernel nor the loop's polling is counted, and the "
        f"{own_us:.1f} µs that the clients in memory take are subtracted. {rounds} rounds of {requests:,} "
        f"requests each, the kinds in turn.\n\n{table(('way', 'best, µs', 'median, µs'), rows)}\n\n"
        "Where it goes, by the profiler, which makes small functions dearer than they are; in per cent:\n\n"
        f"{table(('way', *PARTS), shares)}"
    )
    return Section("path", "The way of a request", text)


async def _times_us(kinds: tuple[Kind, ...], rounds: int, requests: int) -> dict[str, list[float]]:
    made = {kind.name: kind.make() for kind in kinds}
    supplies = {kind.name: kind.requests() for kind in kinds}
    times_us: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    for warming in (True, *[False] * rounds):
        for name, stage in made.items():
            if warming:
                await stage.start()
            supply = supplies[name]
            batch = [next(supply) for _ in range(requests)]
            if warming:
                await stage.clients.ask(batch)
                continue
            gc.collect()
            gc.disable()
            began_s = time.thread_time()
            await stage.clients.ask(batch)
            times_us[name].append((time.thread_time() - began_s) / requests * 1e6)
            gc.enable()
    for stage in made.values():
        await stage.close()
    return times_us


async def _shares(kinds: tuple[Kind, ...], requests: int) -> list[tuple[str, ...]]:
    """For each kind a line of the table: the shares of all parts in per cent."""
    lines = []
    for kind in kinds:
        stage, supply = kind.make(), kind.requests()
        await stage.start()
        await stage.clients.ask([next(supply) for _ in range(requests)])
        found = await shares_of(stage.clients, [next(supply) for _ in range(requests)])
        lines.append((kind.name, *(f"{found[part] * 100:.0f}" for part in PARTS)))
        await stage.close()
    return lines
