"""The runs with real processes, small; `docs/checking-writes.md` has their full sizes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest import processes
from loadtest.writes import counter, stage

ROOT = Path(__file__).parents[3]
WRITES = os.environ.get("LOCKGATE_WRITES", "500")
CRASHES = os.environ.get("LOCKGATE_CRASHES", "2")
CLIENTS = int(os.environ.get("LOCKGATE_COUNTER_CLIENTS", "100"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_DIRECTORY", tmp_path)
    monkeypatch.setattr(stage, "RUNS", tmp_path / "runs")


def _run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One subcommand, whose histories go to this directory."""
    return subprocess.run(
        [sys.executable, "-m", "loadtest.writes", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )


@pytest.mark.slow
def test_what_nothing_queues_is_red(tmp_path: Path) -> None:
    done = _run(tmp_path, "plain", "--writes", WRITES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "× serial" in done.stdout
    assert done.stdout.endswith("OK: what nothing queues is red\n")


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--idempotent",)], ids=["", "idempotent"])
def test_what_is_queued_is_green_however_often_lockgate_is_killed(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    done = _run(tmp_path, "crash", "--writes", WRITES, "--crashes", CRASHES, "--clients", "32", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("green\nOK\n")


@pytest.mark.slow
def test_a_counter_is_right_where_writes_are_queued_and_wrong_where_not() -> None:
    queued, passed_through = (
        counter.play(clients=CLIENTS, times=1, seed=1, queued=way) for way in (True, False)
    )
    assert queued.is_right, queued
    assert queued.value == CLIENTS
    assert passed_through.value < passed_through.told


@pytest.mark.slow
def test_who_wrote_reads_nothing_older(tmp_path: Path) -> None:
    done = _run(tmp_path, "read-your-writes", "--writes", WRITES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("green\n")
