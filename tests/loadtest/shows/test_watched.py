from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest.shows.watched import Round, rounds_between, watched_environ

BUSY = """
import asyncio, time, uvloop

async def busy():
    await asyncio.sleep(0.01)
    end = time.thread_time() + 0.03
    while time.thread_time() < end:
        pass
    await asyncio.sleep(0.01)

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(busy())
"""


def test_rounds_are_read_that_ended_in_a_time(tmp_path: Path) -> None:
    (tmp_path / "1.rounds").write_text("10.0 0.002 0.003\n11.5 0.004 0.009\n")
    (tmp_path / "2.rounds").write_text("11.6 0.1 0.1\n13.0 0.1 0.1\n")
    found = rounds_between(tmp_path, 11.0, 12.0)
    assert sorted(found, key=lambda each: each.ended_mono) == [
        Round(11.5, 0.004, 0.009),
        Round(11.6, 0.1, 0.1),
    ]


@pytest.mark.slow
def test_a_loop_that_is_kept_busy_is_seen(tmp_path: Path) -> None:
    began_mono = time.monotonic()
    environ = {**os.environ, **watched_environ(tmp_path)}
    subprocess.run([sys.executable, "-c", BUSY], env=environ, check=True, timeout=30)
    longest = max(rounds_between(tmp_path, began_mono, time.monotonic()), key=lambda each: each.cpu_s)
    assert 0.03 <= longest.cpu_s < 1
    assert longest.took_s >= longest.cpu_s * 0.9
