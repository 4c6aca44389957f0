"""A watch on the event loops of a `lockgate serve`, in all of its processes.

A timer of one millisecond on each loop sees how long each round was that something else took. The time that
counts is the CPU time of the loop's thread: on a machine with other work the wall clock tells of that work.
Rounds above a millisecond go to a file of the process, one line each: when the round ended (monotonic
seconds, the same clock in all processes), its CPU and its wall-clock seconds.

It gets into the processes by `sitecustomize`, which Python imports at its start: the command is the one that
everybody starts, and the processes that it starts are watched as well.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

_VARIABLE = "LOCKGATE_WATCH"
_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_INTERVAL_S = 0.001
_WORTH_TELLING_S = 0.001


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a loop: its end, CPU and wall-clock time."""

    ended_mono: float
    cpu_s: float
    took_s: float


def watched_environ(directory: Path) -> dict[str, str]:
    """What the environment needs for the watch, which writes into the directory."""
    return {_VARIABLE: str(directory), "PYTHONPATH": f"{_HERE / 'watch'}{os.pathsep}{_ROOT}"}


def rounds_between(directory: Path, began_mono: float, ended_mono: float) -> list[Round]:
    """The long rounds of all loops that ended in that time."""
    lines = [line for file in directory.glob("*.rounds") for line in file.read_text().splitlines()]
    rounds = [Round(*map(float, line.split())) for line in lines]
    return [each for each in rounds if began_mono <= each.ended_mono <= ended_mono]


def watch_this_process() -> None:
    """Watch each loop of uvloop that this process will make."""
    import uvloop

    directory = Path(os.environ[_VARIABLE])
    new_event_loop = uvloop.new_event_loop

    def new_watched_loop() -> asyncio.AbstractEventLoop:
        loop = new_event_loop()
        # Open as long as the process; a line is written at once, as the process may be killed.
        file = (directory / f"{os.getpid()}.rounds").open("a", buffering=1)
        _Watch(loop, file)
        return loop

    uvloop.new_event_loop = new_watched_loop  # type: ignore[assignment]


class _Watch:
    """Looks at the clocks each millisecond."""

    def __init__(self, loop: asyncio.AbstractEventLoop, file: TextIO) -> None:
        self._loop = loop
        self._file = file
        self._cpu_s = 0.0
        self._mono = 0.0
        loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._cpu_s, self._mono = time.thread_time(), time.monotonic()
        self._loop.call_later(_INTERVAL_S, self._look)

    def _look(self) -> None:
        cpu_s, mono = time.thread_time(), time.monotonic()
        used_s = cpu_s - self._cpu_s
        if used_s > _WORTH_TELLING_S:
            self._file.write(f"{mono:.6f} {used_s:.6f} {mono - self._mono:.6f}\n")
        self._cpu_s, self._mono = cpu_s, mono
        self._loop.call_later(_INTERVAL_S, self._look)
