from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest import processes
from loadtest.processes import (
    NotStarted,
    StubControl,
    descendants,
    free_port,
    is_listening,
    kill_all,
    memory_bytes,
    serving,
    stub_command,
)


@pytest.fixture(autouse=True)
def _logs_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_DIRECTORY", tmp_path)


@pytest.mark.slow
def test_a_server_runs_for_the_length_of_a_with_on_its_core() -> None:
    core = min(os.sched_getaffinity(0))
    port = free_port()
    with serving("stub", stub_command(port), port, core=core) as server:
        control = StubControl(server.url)
        assert control.counters() == {}
        control.post("hold", path="/a")
        assert control.requests("/a") == 0
        assert os.sched_getaffinity(server.process.pid) == {core}
        assert server.cpu_s() > 0
        assert memory_bytes(server.pids, "VmHWM") >= memory_bytes(server.pids) > 10**6
    assert server.process.returncode == 0
    assert not is_listening(port)
    assert server.cpu_s() == 0


@pytest.mark.slow
def test_a_server_that_ends_at_once_shows_its_log() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no luck')"]
    with pytest.raises(NotStarted, match="no luck"), serving("bad", command, free_port()):
        pass


def test_descendants_begin_with_the_process_itself() -> None:
    assert descendants(os.getpid())[0] == os.getpid()


_CHILD = """
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
ballast = bytearray(100_000_000)  # takes the kernel a while to give back
if os.fork():
    server.close()
    time.sleep(60)
else:
    ballast[::4096] = b"x" * len(ballast[::4096])
    print("here", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_what_was_killed_with_its_children_listens_no_more() -> None:
    port = free_port()
    parent = subprocess.Popen([sys.executable, "-c", _CHILD, str(port)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == b"here\n"
    assert is_listening(port)
    kill_all(parent.pid)
    assert not is_listening(port)
    assert parent.wait() == -signal.SIGKILL
