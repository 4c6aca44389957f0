"""How many requests a server answers per second of its CPU time: hits of each size, heads that all differ,
304s, pass-through, and a mix that expires; the candidates taking turns, wrk on the other core."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from loadtest.bench import c_origin, wrk
from loadtest.bench.c_origin import body_of_size, requests_so_far
from loadtest.bench.candidates import LOCKGATE, NGINX, NGINX_BUFFERS, VARNISH, Candidate, started
from loadtest.bench.report import Section, table
from loadtest.bench.wrk import WrkResult, run_wrk
from loadtest.processes import Server, free_port

SECONDS = 3.0
_TITLE = "Requests per CPU-second"
_LIMITED_ABOVE = 0.97
_OBJECTS = 20_000
"""Of the mix, chosen by Zipf's law with exponent 1."""

_IN_TURN = """\
local next = 0
request = function()
  next = next % #heads + 1
  return heads[next]
end
"""

_COOKIES = """\
local heads = {}
init = function(_)
  for i = 1, 200000 do
    heads[i] = wrk.format("GET", nil, {["Cookie"] = "session=" .. i .. ".0123456789abcdef"})
  end
end
"""

_ZIPF = f"""\
local objects, heads = {_OBJECTS}, {{}}
init = function(_)
  local weights, total = {{}}, 0
  for i = 1, objects do
    total = total + 1 / i
    weights[i] = total
  end
  math.randomseed(7)
  for n = 1, 100000 do
    local wanted, low, high = math.random() * total, 1, objects
    while low < high do
      local middle = math.floor((low + high) / 2)
      if weights[middle] < wanted then low = middle + 1 else high = middle end
    end
    heads[n] = wrk.format("GET", "/expiring/" .. low)
  end
end
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of load."""

    name: str
    target: str
    body: bytes | None
    script: str = ""
    conditional: bool = False
    fetches: bool = False
    """The origin is asked while it runs: its requests are counted."""


ROWS: tuple[Row, ...] = (
    Row("hits, 1 KiB", "/1024", body_of_size(1024)),
    Row("hits, 10 KiB", "/10240", body_of_size(10 * 1024)),
    Row("hits, 100 KiB", "/102400", body_of_size(100 * 1024)),
    Row("hits, 1 MiB", "/1048576", body_of_size(1024 * 1024)),
    Row("hits, every head different, 1 KiB", "/1024", body_of_size(1024), script=_COOKIES + _IN_TURN),
    Row("304 to a validator", "/10240", body_of_size(10 * 1024), conditional=True),
    Row("pass-through, 1 KiB", "/pass/1024", body_of_size(1024), fetches=True),
    Row("Zipf mix that expires", "/expiring/1", None, script=_ZIPF + _IN_TURN, fetches=True),
)


@dataclass(slots=True)
class _Cell:
    """All runs of one candidate in one row."""

    per_cpu_s: list[float] = field(default_factory=list)
    results: list[WrkResult] = field(default_factory=list)
    hit_shares: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(self.per_cpu_s)

    @property
    def is_limited(self) -> bool:
        return median(result.load for result in self.results) > _LIMITED_ABOVE


Cells = Mapping[tuple[str, str], _Cell]


def measure(candidates: Sequence[Candidate], runs: int, open_files: int) -> Section:
    """Run all rows; the section's faults name every answer that was not the right one."""
    if not (wrk.is_installed() and c_origin.is_installed()):
        told = "Not measured: this takes wrk, and nginx as the origin (apt-get install wrk nginx-light)."
        return Section("rates", _TITLE, told)
    candidates = [*candidates, NGINX_BUFFERS] if NGINX in candidates else list(candidates)
    cells: dict[tuple[str, str], _Cell] = {
        (row.name, candidate.name): _Cell() for row in ROWS for candidate in candidates
    }
    with ExitStack() as stack:
        origin = stack.enter_context(c_origin.c_origin(open_files))
        servers = {
            candidate.name: stack.enter_context(
                started(
                    candidate,
                    port=free_port(),
                    origin_port=origin.port,
                    open_files=open_files,
                    delay_s=0,
                    body_bytes=0,
                )
            )
            for candidate in candidates
        }
        for row in ROWS:
            for run in range(-1, runs):
                names = list(servers)
                first = run % len(names)
                for name in names[first:] + names[:first]:
                    cell = cells[row.name, name] if run >= 0 else _Cell()  # one run warms up
                    _run(row, servers[name], origin, cell, SECONDS if run >= 0 else 1.0)
    return _section(candidates, cells, runs)


def _run(row: Row, server: Server, origin: Server, cell: _Cell, seconds: float) -> None:
    url = server.url + row.target
    etag = _check(row, url, cell)
    fetches_before = requests_so_far(origin) if row.fetches else 0
    cpu_before_s = server.cpu_s()
    fields = (f"If-None-Match: {etag}",) if row.conditional else ()
    result = run_wrk(url, seconds=seconds, script=row.script, fields=fields)
    cpu_s = server.cpu_s() - cpu_before_s
    if row.fetches:
        cell.hit_shares.append(1 - (requests_so_far(origin) - fetches_before - 1) / result.requests)
    _check(row, url, cell)
    if result.errors:
        cell.faults.append(f"{row.name}: {server.name} gave {result.errors} errors")
    expected = 0 if row.conditional or row.body is None else len(row.body)
    if result.received_bytes < expected * result.requests * 0.99:
        cell.faults.append(f"{row.name}: {server.name} sent {result.received_bytes:.0f} octets, too few")
    cell.per_cpu_s.append(result.requests / cpu_s)
    cell.results.append(result)


def _check(row: Row, url: str, cell: _Cell) -> str:
    """Ask once, and once with the validator; the validator."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        body, etag = answer.read(), answer.headers["ETag"] or ""
        if row.body is not None and body != row.body:
            cell.faults.append(f"{row.name}: {url} gave {len(body)} octets that are not the origin's")
    if row.conditional:
        question = urllib.request.Request(url, headers={"If-None-Match": etag})
        try:
            urllib.request.urlopen(question, timeout=10).close()
            cell.faults.append(f"{row.name}: {url} gave the whole to its validator")
        except urllib.error.HTTPError as error:
            if error.code != 304:
                cell.faults.append(f"{row.name}: {url} gave {error.code} to its validator")
    return etag


def _section(candidates: Sequence[Candidate], cells: Cells, runs: int) -> Section:
    rows: list[tuple[str, ...]] = []
    faults: list[str] = []
    for row in ROWS:
        own = cells[row.name, LOCKGATE.name] if LOCKGATE in candidates else None
        for candidate in candidates:
            cell = cells[row.name, candidate.name]
            faults += cell.faults
            rows.append(_row(row, candidate, cell, own))
    header = ("load", "server", "per CPU-second", "spread", "per second", "p99 ms", "Lockgate ÷ this")
    text = (
        f"64 connections, keep-alive, one thread of wrk for {SECONDS:g} s a run on the other core, which the "
        f"origin (nginx) shares; medians of {runs} runs, the candidates taking turns. CPU is user and system "
        "time of all the server's processes. *nginx* sends files (`sendfile`, `tcp_nopush`), *nginx-buffers* "
        "copies them (`output_buffers 1 256k`): the better one is the measure. Before and after each run the "
        "answer is compared with the origin's body. In the mix the share of requests that did not reach the "
        f"origin stands behind its name; it has {_OBJECTS:,} objects that are fresh for 2 s.\n\n"
        f"{table(header, rows)}\n\n"
        "† The load generator used its whole core: the throughput is its limit, the ratio per CPU-second is "
        f"not.\n\n{_chart(candidates, cells)}"
    )
    return Section("rates", _TITLE, text, tuple(faults))


def _row(row: Row, candidate: Candidate, cell: _Cell, own: _Cell | None) -> tuple[str, ...]:
    per_s = median(result.per_s for result in cell.results)
    p99_ms = median(result.p99_s for result in cell.results) * 1000
    ratio = "" if own is None or candidate is LOCKGATE else f"{own.rate / cell.rate:.2f}"
    name = row.name
    if row.fetches and row.script:
        name += f", {median(cell.hit_shares):.0%} hits"
    return (
        name,
        candidate.name + (" †" if cell.is_limited else ""),
        f"{cell.rate:,.0f}",
        f"{min(cell.per_cpu_s):,.0f}–{max(cell.per_cpu_s):,.0f}",
        f"{per_s:,.0f}",
        f"{p99_ms:.1f}",
        ratio,
    )


def _chart(candidates: Sequence[Candidate], cells: Cells) -> str:
    """The ratios as a Mermaid chart, which code hosts draw."""
    peers: dict[str, Callable[[str], float | None]] = {
        "nginx (the better one)": lambda row: _best(cells, row, (NGINX.name, NGINX_BUFFERS.name)),
        "Varnish": lambda row: _best(cells, row, (VARNISH.name,)),
    }
    if LOCKGATE not in candidates:
        return ""
    lines = []
    for title, rate_of in peers.items():
        ratios = []
        for row in ROWS:
            rate = rate_of(row.name)
            if rate is not None:
                ratios.append((row.name, cells[row.name, LOCKGATE.name].rate / rate))
        if ratios:
            axis = ", ".join(json.dumps(name) for name, _ in ratios)
            bars = ", ".join(f"{ratio:.2f}" for _, ratio in ratios)
            lines.append(
                f'```mermaid\nxychart-beta horizontal\n    title "Requests per CPU-second ÷ {title}\'s"\n'
                f"    x-axis [{axis}]\n"
                f'    y-axis "ratio" 0 --> {max(ratio for _, ratio in ratios) + 0.2:.1f}\n'
                f"    bar [{bars}]\n```"
            )
    return "\n\n".join(lines)


def _best(cells: Cells, row: str, names: Sequence[str]) -> float | None:
    rates = [cells[row, name].rate for name in names if (row, name) in cells]
    return max(rates) if rates else None
