"""Write at one worker, read at another: never anything older than the answer that one has."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.scenario_client import Client
from tests.scenario_origin import Asked
from tests.scenario_workers import WorkersWorld

pytestmark = pytest.mark.slow

WRITES = int(os.environ.get("LOCKGATE_TEST_READ_YOUR_WRITES", "10"))
"""Of each key; thousands in a long run."""

KEYS = 3
READERS = 3


class Numbers:
    """An origin that keeps a number for each path, and gives it out as fresh for an hour."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}

    def put(self, asked: Asked) -> None:
        self.of[asked.target] = self.of.get(asked.target, 0) + 1
        asked.reply(200, b"%d" % self.of[asked.target])

    def get(self, asked: Asked) -> None:
        asked.reply(200, b"%d" % self.of.get(asked.target, 0), cache_control="max-age=3600")


async def number(client: Client, what: str, body: bytes | None = None) -> int:
    return int((await client.send(what, body=body).expect(200)).body)


async def test_a_read_after_a_write_is_never_older_at_any_worker(several: WorkersWorld) -> None:
    several.configure(route={"writes": {}})
    numbers = Numbers()
    told = dict.fromkeys((f"/n{key}" for key in range(KEYS)), 0)
    for path in told:
        several.origin.on(f"PUT {path}").answer(numbers.put)
        several.origin.on(f"GET {path}").answer(numbers.get)
    over = asyncio.Event()
    hits = 0

    async def write(path: str) -> None:
        at = [several.client() for _ in range(several.slots)]
        for turn in range(WRITES):
            told[path] = await number(at[turn % len(at)], f"PUT {path}", b"x")
            assert await number(at[(turn + 1) % len(at)], f"GET {path}") >= told[path]

    async def read(path: str, client: Client) -> None:
        nonlocal hits
        while not over.is_set():
            known = told[path]
            answer = await client.send(f"GET {path}").expect(200)
            assert int(answer.body) >= known
            hits += bool(answer.cache_status.get("hit"))

    async with asyncio.TaskGroup() as readers:
        for turn in range(READERS):
            readers.create_task(read(f"/n{turn % KEYS}", several.client()))
        async with asyncio.TaskGroup() as writers:
            for path in told:
                writers.create_task(write(path))
        over.set()
    assert all(number == WRITES for number in told.values())
    assert hits, "or nobody has read what is stored"
