"""systemd's protocols, with a socket in systemd's place."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.workers.notify import Notifier, take_notifier, take_passed_sockets


def test_readiness_is_told_to_the_service_manager(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    environ = {"NOTIFY_SOCKET": path, "OTHER": "1"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        notifier = take_notifier(environ)
        notifier.ready("2 workers")
        notifier.reloading()
        notifier.stopping()
        told = [manager.recv(1000).decode().split("\n") for _ in range(3)]
    assert environ == {"OTHER": "1"}
    assert told[0] == ["READY=1", f"MAINPID={os.getpid()}", "STATUS=2 workers"]
    assert told[1][0] == "RELOADING=1"
    assert told[1][1].startswith("MONOTONIC_USEC=")
    assert told[2] == ["STOPPING=1"]


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0lockgate-test-{os.getpid()}")
        Notifier(f"@lockgate-test-{os.getpid()}").stopping()
        assert manager.recv(100) == b"STOPPING=1"


def test_without_a_service_manager_nothing_is_told() -> None:
    take_notifier({}).ready("alone")


def test_a_service_manager_that_is_gone_hurts_nothing(caplog: pytest.LogCaptureFixture) -> None:
    Notifier("/nowhere/at/all").ready("x")
    assert "notify_failed" in caplog.text


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"}],
)
def test_sockets_for_another_process_are_left_alone(environ: dict[str, str]) -> None:
    assert take_passed_sockets(environ) == []
    assert environ == {}


_CHILD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
from proxy.workers.notify import take_passed_sockets
os.environ["LISTEN_PID"] = str(os.getpid())
found = take_passed_sockets(os.environ)
print([sock.getsockname() for sock in found], [sock.get_inheritable() for sock in found],
      "LISTEN_FDS" in os.environ)
"""


@pytest.mark.slow
def test_passed_sockets_are_taken(tmp_path: Path) -> None:
    path = str(tmp_path / "passed")
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(path)
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(passed.fileno())],
            env={**os.environ, "LISTEN_FDS": "1"},
            pass_fds=[passed.fileno()],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
    assert done.stdout == f"[{path!r}] [False] False\n"
