"""Which of several workers has the writes: kills, upgrades and ends, with real processes under load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from loadtest.writes.checker import Verdict, judge
from loadtest.writes.driver import Driver, Orders, new_seed
from loadtest.writes.history import ClientHistory, now_ns
from loadtest.writes.http_client import Address
from loadtest.writes.mix import Mix
from loadtest.writes.stage import Queueing, configuration, origin_serving
from tests.server.processes import Process, launched
from tests.workers.supervised import children, end

pytestmark = pytest.mark.slow

WRITES = int(os.environ.get("LOCKGATE_TEST_WRITES", "400"))
"""Of each scenario."""

KEPT = Mix(keys=20, zipf=0.5, pairs=0.05, respond_async=0.3, wait=0.1, keyed=0.4, reads=0.3, cancels=0)
UNKEPT = replace(KEPT, respond_async=0.0, wait=0.0, keyed=0.0)
ORIGIN_TIMEOUT_S = 1.0


@dataclass
class Scene:
    """Three workers in front of an origin that keeps lists, and who writes."""

    process: Process
    driver: Driver
    history: ClientHistory

    async def after(self, share: float) -> None:
        """Wait until so much is written."""
        await self.driver.progress.wait_ended(int(WRITES * share))

    @property
    def holder(self) -> int:
        """The worker of slot 0: it was started first, or said so when it was started again."""
        found = [line for line in self.process.said.splitlines() if "worker_started slot=0 " in line]
        return int(found[-1].rpartition("pid=")[2]) if found else children(self.process.pid)[0]

    def fault(self, began: int) -> None:
        """What happened may excuse what is unknown."""
        self.history.fault("killed", began=began, until=now_ns(), via="worker")


@asynccontextmanager
async def written(
    directory: Path, happens: Callable[[Scene], Awaitable[None]], *, journal: bool
) -> AsyncIterator[Verdict]:
    """What the histories say of many writes while something happens."""
    seed = new_seed()
    with origin_serving(directory / "origin.jsonl", seed=seed, arguments=("--delay", "0.005-0.02")) as origin:
        queueing = Queueing(directory / "journal" if journal else None, ORIGIN_TIMEOUT_S)
        configured = configuration(port=0, origin_port=origin.port, queueing=queueing)
        configured["workers"] = {"count": 3}
        file = directory / "lockgate.json"
        file.write_text(json.dumps(configured))
        async with launched(["serve", "--config", str(file)]) as process:
            await process.says("^  limits ")
            address = Address("127.0.0.1", int(process.addresses[0].rpartition(":")[2]))
            history = ClientHistory(directory / "clients.jsonl", seed=seed)
            orders = Orders(
                address, KEPT if journal else UNKEPT, WRITES, clients=12, followers=12, seed=seed, quiet_s=0.1
            )
            happened = asyncio.Event()
            driver = Driver(orders, history, goes_on=lambda: not happened.is_set())
            scene = Scene(process, driver, history)
            writing = asyncio.get_running_loop().create_task(driver.run())
            await happens(scene)
            happened.set()
            assert await writing, "each promise has an end"
            history.close()
            process.send(signal.SIGTERM)
            assert await process.ended() == 0, process.said
    yield judge([directory / "clients.jsonl", directory / "origin.jsonl"], reads_of_all=True)


async def _upgrade(scene: Scene) -> None:
    await scene.after(1 / 4)
    scene.process.send(signal.SIGUSR2)
    await scene.process.says("^  limits ", times=2)
    await scene.after(scene.driver.progress.ended / WRITES + 1 / 4)


async def _kills_of_the_holder(scene: Scene) -> None:
    for number in (1, 2):
        await scene.after(number / 5)
        began = now_ns()
        end(scene.holder)
        await scene.process.says("worker_started slot=0 ", times=number)
        scene.fault(began)


async def _kill_of_another(scene: Scene) -> None:
    await scene.after(1 / 3)
    began = now_ns()
    end(children(scene.process.pid)[2])
    await scene.process.says("worker_started slot=")
    scene.fault(began)


async def _end_of_the_holder(scene: Scene) -> None:
    await scene.after(1 / 3)
    end(scene.holder, signal.SIGTERM)
    await scene.process.says("worker_started slot=0 ")


BOTH = pytest.mark.parametrize(
    "journal", [pytest.param(True, id="journal"), pytest.param(False, id="memory")]
)


@BOTH
async def test_an_upgrade_under_load_loses_nothing_and_fails_no_write(tmp_path: Path, journal: bool) -> None:
    async with written(tmp_path, _upgrade, journal=journal) as verdict:
        text = "\n".join(verdict.lines())
        assert verdict.is_green, text
        assert (verdict.refused, verdict.unknown, verdict.repeated_in_doubt) == (0, 0, 0), text


@BOTH
async def test_kills_of_the_worker_that_has_the_writes_lose_nothing_that_was_promised(
    tmp_path: Path, journal: bool
) -> None:
    async with written(tmp_path, _kills_of_the_holder, journal=journal) as verdict:
        assert verdict.is_green, "\n".join(verdict.lines())


async def test_the_end_of_another_worker_costs_its_own_clients_only(tmp_path: Path) -> None:
    async with written(tmp_path, _kill_of_another, journal=True) as verdict:
        assert verdict.is_green, "\n".join(verdict.lines())


async def test_the_worker_that_has_the_writes_may_be_told_to_end(tmp_path: Path) -> None:
    async with written(tmp_path, _end_of_the_holder, journal=True) as verdict:
        assert verdict.is_green, "\n".join(verdict.lines())
