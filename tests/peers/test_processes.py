"""Real workers under a supervisor: one fetch for each key, and one more for an owner that fails."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.origin.waiting import until
from tests.scenario_client import Clients
from tests.server.stage import Stage
from tests.workers.supervised import Supervised, end, supervised

pytestmark = pytest.mark.slow

HERD = int(os.environ.get("LOCKGATE_PROCESS_HERD", "60"))
"""Clients over all workers."""


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    """An origin and clients; what nobody expected fails the test."""
    made = Stage()
    await made.origin.listen()
    yield made
    await made.close()


async def owner_of(made: Supervised, target: str) -> int:
    """The process that owns a target."""
    status, told = await made.ask(f"/explain?url=http://shop.example{target}")
    assert status == 200, told
    return made.pids[told["owner"]["slot"]]


async def all_wait(made: Supervised, count: int) -> None:
    """Wait until so many clients have a seat, the questions of workers to each other not counted."""
    while True:
        statistics = await made.statistics()
        if clients_seats(statistics) == count:
            return


def clients_seats(statistics: Mapping[str, Any]) -> int:
    """Seats of clients."""
    seats: int = statistics["proxy"]["flights"]["seats"] - statistics["peers"]["asking"]
    return seats


def herd(scene: Stage, made: Supervised, count: int) -> Clients:
    """So many clients that ask for the same."""
    return Clients(scene.client(made.address) for _ in range(count)).send("GET /a")


async def test_a_cold_key_is_one_fetch_on_the_whole_machine(scene: Stage, tmp_path: Path) -> None:
    rule = scene.origin.on("GET /a").hold().reply(200, b"A" * 9000, cache_control="max-age=600")
    async with supervised(scene, tmp_path, workers=3) as made:
        clients = herd(scene, made, HERD)
        await all_wait(made, HERD)
        rule.release()
        await clients.expect(200, b"A" * 9000)
        await herd(scene, made, HERD).expect(200, b"A" * 9000)
        statistics = await made.statistics()
    assert scene.origin.asked() == 1
    outcomes = statistics["proxy"]["exchanges"]["outcomes"]
    assert outcomes["miss"] + outcomes["collapsed"] == HERD
    assert outcomes["hit"] == HERD
    assert statistics["leak_ratio"] == 1 / (2 * HERD)


async def test_an_owner_that_was_stopped_costs_one_more_fetch(scene: Stage, tmp_path: Path) -> None:
    rule = scene.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=600")
    async with supervised(scene, tmp_path, workers={"count": 3, "owner_timeout_s": 0.3}) as made:
        owner = await owner_of(made, "/a")
        clients = herd(scene, made, HERD)
        await all_wait(made, HERD)
        end(owner, signal.SIGSTOP)
        try:
            await until(lambda: rule.held == 2)
        finally:
            end(owner, signal.SIGCONT)
        rule.release()
        await clients.expect(200, b"A")
    assert scene.origin.asked() == 2


async def test_an_owner_that_was_killed_costs_one_more_fetch(scene: Stage, tmp_path: Path) -> None:
    rule = scene.origin.on("GET /a").by_hand()
    async with supervised(scene, tmp_path, workers=3) as made:
        owner = await owner_of(made, "/a")
        clients = herd(scene, made, HERD)
        await all_wait(made, HERD)
        first = await rule.next()
        end(owner)
        second = await rule.next()
        await first.given_up()
        second.reply(200, b"A", cache_control="max-age=600")
        answers = [await client.response_or_cut() for client in clients]
    whole = [answer for answer in answers if not isinstance(answer, bytes)]
    assert 0 < len(whole) < HERD
    assert all(answer.body == b"A" for answer in whole)
    assert scene.origin.asked() == 2
