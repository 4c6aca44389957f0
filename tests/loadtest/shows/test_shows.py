"""Each show at a small size; `LOCKGATE_SHOW_SIZE=1` plays them as the promises name them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from loadtest.processes import NotStarted
from loadtest.shows.__main__ import SHOWS
from loadtest.shows.report import Report, run

SIZE = os.environ.get("LOCKGATE_SHOW_SIZE", "0.01")


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWS)
def test_a_show_goes_as_promised(name: str) -> None:
    command = [sys.executable, "-m", "loadtest.shows", "--what", name, "--size", SIZE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith(f"OK: {name}")
    assert re.search(r"^  OK      ", done.stdout, re.MULTILINE)
    assert "FAILED" not in done.stdout


def test_a_show_whose_server_does_not_start_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    async def play(size: float) -> Report:
        raise NotStarted(f"no server at size {size:g}")

    assert run(play, 0.5) is None
    assert "no server at size 0.5" in capsys.readouterr().err
