from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.processes import free_port


@pytest.mark.slow
def test_it_runs_until_it_is_told_to_end_and_leaves_its_history(tmp_path: Path) -> None:
    history = tmp_path / "origin.jsonl"
    command = [sys.executable, "-m", "origin_stub.lists", "--port", str(free_port()), "--seed", "9"]
    with subprocess.Popen(
        [*command, "--history", str(history), "--delay", "0.1", "--fault", "lose=0.5"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("seed 9\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert '"seed":9' in history.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("--fault", "x=1"),
        ("--delay", "soon"),
        (),
        ("--history", "{}/none/x"),
        ("--fault", "lose=1", "--fault", "drop=1"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    history = () if arguments == () else ("--history", str(tmp_path / "x"))
    command = [sys.executable, "-m", "origin_stub.lists", "--port", str(free_port()), *history]
    filled = [argument.format(tmp_path) for argument in arguments]
    done = subprocess.run([*command, *filled], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stderr
