"""wrk, the load generator in C: one thread on the generator's core, its report as values."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from loadtest.bench.candidates import LOAD_CORE

CONNECTIONS = 64

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class WrkResult:
    """What wrk saw; `received_bytes` counts heads, too, and `load` is the share of its core that it used."""

    requests: int
    seconds: float
    received_bytes: float
    p99_s: float
    errors: int
    load: float

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


def is_installed() -> bool:
    """Whether there is a wrk to run."""
    return shutil.which("wrk") is not None


def run_wrk(
    url: str,
    *,
    seconds: float,
    script: str = "",
    fields: tuple[str, ...] = (),
    connections: int = CONNECTIONS,
) -> WrkResult:
    """Load the URL. `script` is Lua for wrk. Raises: RuntimeError if wrk fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "10s"]
        for line in fields:
            command += ["-H", line]
        if script:
            command += ["-s", file.name]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, url],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} {url} ended with {done.returncode}: {done.stderr or done.stdout}"
        )
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _read(done.stdout, used_s)


def _read(report: str, used_s: float) -> WrkResult:
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m), ([\d.]+)([KMG]?)B read", report)
    assert total is not None, f"wrk changed its report: {report}"
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)", report)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    seconds = float(total[2]) * _SECONDS[total[3]]
    return WrkResult(
        requests=int(total[1]),
        seconds=seconds,
        received_bytes=float(total[4]) * _UNITS[total[5]],
        p99_s=float(p99[1]) * _SECONDS[p99[2]] if p99 else 0.0,
        errors=(int(failed[1]) if failed else 0) + (sum(map(int, broken.groups())) if broken else 0),
        load=used_s / seconds,
    )
