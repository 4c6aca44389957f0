"""Clients that ask again and again while something happens, and what they saw."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from loadtest.shows.stage import Answer, Stage


@dataclass(frozen=True, slots=True)
class Wait:
    """One client's wait for one answer; whether it was a hit."""

    began_mono: float
    took_s: float
    was_hit: bool


@dataclass(slots=True)
class Seen:
    """What the crowd saw so far; `wrong` has what no client should have got."""

    waits: list[Wait] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def between(self, began_mono: float, ended_mono: float) -> list[Wait]:
        """The waits that lie in that time, even if only in part."""
        return [
            wait
            for wait in self.waits
            if wait.began_mono + wait.took_s >= began_mono and wait.began_mono <= ended_mono
        ]


@asynccontextmanager
async def asking(
    stage: Stage,
    targets: Sequence[str],
    clients: int,
    is_right: Callable[[str, Answer], bool],
    *,
    pause_s: float = 0.0,
) -> AsyncIterator[Seen]:
    """So many clients, each asking for one target after the other, for the length of an `async with`."""
    seen = Seen()
    stopped = False

    async def client(number: int) -> None:
        position = number
        while not stopped:
            target = targets[position % len(targets)]
            position += clients
            began = time.monotonic()
            answer = await stage.ask(target)
            seen.waits.append(Wait(began, time.monotonic() - began, "; hit" in answer.cache_status))
            if not is_right(target, answer):
                seen.wrong.append(f"{target}: {answer.status}, {answer.cache_status}")
            await asyncio.sleep(pause_s)

    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task(client(number))
        try:
            yield seen
        finally:
            stopped = True
