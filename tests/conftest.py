"""Scenarios run on asyncio and on uvloop; `LOCKGATE_TEST_LOOP` names the only one. Failures print them.

`LOCKGATE_TEST_GATE` is `off` or `eager` (`tests/scenario.py`), `LOCKGATE_TEST_WORKERS` how many workers a
`world` has, `LOCKGATE_TEST_FIRST_WORKER` which of them its first client is at (`tests/scenario_workers.py`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.behaviour.one_worker import why_at_one_worker, why_left_out
from tests.scenario import GATE, World
from tests.scenario_workers import WORKERS, WorkersWorld, made

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

LOOPS: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
_SCENARIO_FIXTURES = frozenset({"world", "transported", "stage", "hosting", "machine", "two", "several"})


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    chosen = os.environ.get("LOCKGATE_TEST_LOOP", "")
    if chosen:
        return {chosen: LOOPS[chosen]}
    if _SCENARIO_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
        return {"asyncio": asyncio.new_event_loop}
    return LOOPS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    worlds = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, World)]
    if report.failed:
        for world in worlds:
            world.failed = True
            report.sections.append(("transcript", str(world.transcript)))
    return report


@pytest.fixture(autouse=GATE == "eager")
def _eager_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.server.gate_keeper.NOT_A_HIT_S", 0.0)
    monkeypatch.setattr("proxy.server.head_table.HeadTable.came_before", lambda _table, _head: True)


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A scenario over plain TCP."""
    test = request.node.originalname
    left_out = why_left_out(test, request.node.path.name)
    if WORKERS > 1 and left_out is not None:
        pytest.skip(left_out)
    scenario = made(tmp_path)
    if isinstance(scenario, WorkersWorld):
        scenario.at_one_worker = why_at_one_worker(test) is not None
    await scenario.open()
    yield scenario
    await scenario.close()
