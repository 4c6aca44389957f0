"""Servers as child processes: started on a port, waited for, pinned to a core, stopped."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

LOG_DIRECTORY = Path(".run")
_START_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.02


class NotStarted(Exception):
    """A server ended before it listened, or did not listen in time; the text has the end of its log."""


def raise_open_files() -> int:
    """Allow as many open files as this user may have; gives that number. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether 127.0.0.1 accepts connections there."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `port` on 127.0.0.1."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Its base without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pids(self) -> tuple[int, ...]:
        """The process and all its descendants."""
        return descendants(self.process.pid)

    def cpu_s(self) -> float:
        """User and system time of all its processes, ended threads included, in seconds."""
        return sum(_cpu_s(pid) for pid in self.pids)


@contextmanager
def serving(
    name: str,
    command: Sequence[str],
    port: int,
    *,
    core: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server for the length of a `with`; its output goes to `.run/NAME.log`. Raises: NotStarted."""
    LOG_DIRECTORY.mkdir(exist_ok=True)
    log = LOG_DIRECTORY / f"{name}.log"
    with log.open("wb") as output:
        process = spawned(command, output, core=core, environ=environ)
    try:
        _wait_until_listening(name, process, port, log)
        yield Server(name, port, process, log)
    finally:
        _stop(process)


def spawned(
    command: Sequence[str],
    output: IO[bytes],
    *,
    core: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """A server's process, which writes to this file; nobody has waited for it yet."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environ or {})},
        # Ctrl-C is for the one who started us; the servers end when it says so.
        start_new_session=True,
        preexec_fn=_pinning(core),
    )


def _pinning(core: int | None) -> Callable[[], None] | None:
    if core is None:
        return None
    return lambda: os.sched_setaffinity(0, {core})


def _wait_until_listening(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not is_listening(port):
        if process.poll() is not None:
            raise NotStarted(f"{name} ended with status {process.returncode}:\n{end_of(log)}")
        if time.monotonic() > deadline:
            raise NotStarted(f"{name} does not listen on port {port}:\n{end_of(log)}")
        time.sleep(_POLL_S)


def end_of(log: Path) -> str:
    """What a server said last."""
    return log.read_text(errors="replace")[-2000:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stub_command(port: int, *arguments: str) -> list[str]:
    """The command line of the origin stub."""
    return [sys.executable, "-m", "origin_stub", "--listen", f"127.0.0.1:{port}", *arguments]


def lockgate_command(*arguments: str) -> list[str]:
    """The command line of `lockgate serve`."""
    return [sys.executable, "-m", "proxy", "serve", "--log-level", "warning", *arguments]


class StubControl:
    """The stub's control API, from another process."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/_stub/"

    def counters(self) -> dict[str, dict[str, Any]]:
        """Counters by path, as `origin_stub.counters.PathCounter` has them."""
        with urllib.request.urlopen(f"{self._url}counters", timeout=10) as answer:
            told: dict[str, dict[str, Any]] = json.load(answer)
        return told

    def requests(self, path: str) -> int:
        """Requests for one path since the last reset."""
        return int(self.counters().get(path, {}).get("requests", 0))

    def post(self, name: str, **arguments: object) -> None:
        """One change: `reset`, `hold`, `release`, ..."""
        request = urllib.request.Request(self._url + name, json.dumps(arguments).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()


def descendants(pid: int) -> tuple[int, ...]:
    """The process and everything below it that runs now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat_fields(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, ())
    return tuple(found)


def kill_all(pid: int) -> None:
    """SIGKILL to the process and everything below it; back when all are dead, and listen no more."""
    handles = []
    for each in descendants(pid):
        try:
            handles.append(os.pidfd_open(each))
        except ProcessLookupError:
            continue
    for handle in handles:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    for handle in handles:
        ended = select.poll()  # select() takes no handle above 1023
        ended.register(handle, select.POLLIN)
        ended.poll()
        os.close(handle)


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; empty when the process has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    # The second field is the command in parentheses, which may hold blanks and parentheses.
    return text.rpartition(")")[2].split()


def _cpu_s(pid: int) -> float:
    fields = _stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def memory_bytes(pids: Sequence[int], field: str = "VmRSS") -> int:
    """Resident memory of the processes (`VmRSS`), or their highest so far (`VmHWM`), in octets."""
    total = 0
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith(f"{field}:"):
                total += int(line.split()[1]) * 1024
    return total


def reset_peak_memory(pids: Sequence[int]) -> None:
    """Let VmHWM begin again from what is resident now (proc(5), clear_refs)."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
