from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest import processes
from loadtest.writes.checker import judge
from loadtest.writes.stage import origin_serving


@pytest.mark.slow
def test_one_locust_user_at_the_origin_is_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_DIRECTORY", tmp_path)
    client, origin = tmp_path / "clients.jsonl", tmp_path / "origin.jsonl"
    with origin_serving(origin, seed=3, arguments=("--fault", "lose=0.02")) as server:
        command = [sys.executable, "-m", "locust", "-f", "loadtest/writes/locust_users.py", "--headless"]
        done = subprocess.run(
            [
                *command,
                "-u",
                "1",
                "-r",
                "1",
                "-t",
                "60s",
                "--stop-timeout",
                "10",
                "--host",
                server.url,
                "Writer",
            ],
            env={
                **os.environ,
                "LOADTEST_HISTORY": str(client),
                "LOADTEST_SEED": "3",
                "LOADTEST_WRITES": "100",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    verdict = judge([client, origin], reads_of_all=True)
    assert verdict.is_green, "\n".join(verdict.lines()) + done.stderr
    assert verdict.acknowledged > 80, done.stderr
    assert verdict.reads > 0
