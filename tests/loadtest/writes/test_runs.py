"""The runs with real processes, small; `docs/checking-writes.md` has their full sizes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WRITES = os.environ.get("LOCKGATE_WRITES", "500")


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
