"""Candidates side by side before one origin stub, for benchmarks that take turns with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from loadtest.bench.candidates import LOAD_CORE, Candidate, started
from loadtest.processes import Server, StubControl, free_port, serving, stub_command


@dataclass(frozen=True, slots=True)
class LineUp:
    """All that runs; servers by the candidates' names."""

    origin: Server
    control: StubControl
    servers: dict[str, Server]


@contextmanager
def line_up(
    candidates: Sequence[Candidate], *, open_files: int, delay_s: float, body_bytes: int, cache_control: str
) -> Iterator[LineUp]:
    """The origin on the load's core, the candidates on the servers', for a `with`. Raises: NotStarted."""
    origin_port = free_port()
    arguments = ("--delay", str(delay_s), "--size", str(body_bytes), "--cc", cache_control)
    with ExitStack() as stack:
        origin = stack.enter_context(
            serving("bench-origin", stub_command(origin_port, *arguments), origin_port, core=LOAD_CORE)
        )
        servers = {
            candidate.name: stack.enter_context(
                started(
                    candidate,
                    port=free_port(),
                    origin_port=origin_port,
                    open_files=open_files,
                    delay_s=delay_s,
                    body_bytes=body_bytes,
                )
            )
            for candidate in candidates
        }
        yield LineUp(origin, StubControl(origin.url), servers)
