"""`make run ONCE=1`, as a user runs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from loadtest import demo
from loadtest.processes import free_port
from loadtest.writes import counter
from loadtest.writes.counter import Sum


def demonstrate(port: int) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "ONCE": "1", "PORT": str(port)}
    command = [sys.executable, "-m", "loadtest.demo"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_a_thousand_clients_get_one_answer_and_no_addition_is_lost() -> None:
    done = demonstrate(free_port())
    assert done.returncode == 0, done.stdout + done.stderr
    told = {line[2:28].strip(): line[28:] for line in done.stdout.splitlines()}
    assert told["answers"] == "1,000 × 200"
    assert told["the origin's very body"] == "1,000 of 1,000"
    assert told["fetches the origin saw"] == "1"
    assert told["queued by Lockgate"] == "200 were told that it is done, the number is 200"


@pytest.mark.parametrize(("value", "status"), [(200, 0), (199, 1)], ids=["all", "one-is-lost"])
def test_the_exit_status_tells_of_an_addition_that_is_lost(
    value: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCE", "1")
    monkeypatch.setenv("PORT", str(free_port()))
    monkeypatch.setattr(signal, "signal", lambda _number, _handler: None)
    monkeypatch.setattr(demo, "_start", lambda _stack, _port: (None, None))
    monkeypatch.setattr(demo, "_stampede", lambda _origin, _lockgate: True)
    monkeypatch.setattr(counter, "play", lambda **_: Sum(told=200, failed=0, value=value))
    assert demo.main() == status


@pytest.mark.slow
def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = demonstrate(port)
    assert done.returncode == 2
    assert f"Port {port} is taken" in done.stderr
    assert "make run PORT=" in done.stderr
