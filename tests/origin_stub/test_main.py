"""The stub as a process: its defaults, its end, and what it says of a bad command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request

import pytest

COMMAND = (sys.executable, "-m", "origin_stub")


@pytest.mark.slow
def test_it_says_where_it_listens_and_ends_at_sigterm() -> None:
    command = (
        *COMMAND,
        "--listen",
        "127.0.0.1:0",
        "--cc",
        "max-age=60",
        "--header",
        "A: 1",
        "--header",
        "B: 2",
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with urllib.request.urlopen(f"{url}/a", timeout=5) as answer:
            assert answer.headers["Cache-Control"] == "max-age=60"
            assert (answer.headers["A"], answer.headers["B"]) == ("1", "2")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--size", "big"], "--size=big", id="bad-default"),
        pytest.param(["--listen", "203.0.113.1:1"], "cannot listen on 203.0.113.1:1", id="bad-address"),
    ],
)
def test_what_cannot_be_used_is_named(arguments: list[str], message: str) -> None:
    done = subprocess.run((*COMMAND, *arguments), capture_output=True, text=True, timeout=10)
    assert done.returncode == 2
    assert message in done.stderr
