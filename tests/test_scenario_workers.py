"""The scenario with several workers: what is excepted from it is named, exists, and has a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import scenario_workers
from tests.behaviour.one_worker import AT_ONE_WORKER, OF_ONE_PROCESS, why_at_one_worker, why_left_out
from tests.scenario_workers import WorkersWorld

EXCEPTED = [test for table in (AT_ONE_WORKER, OF_ONE_PROCESS) for tests in table.values() for test in tests]
KNOWN = {
    name
    for file in (Path(__file__).parent / "behaviour").glob("test_*.py")
    for name in re.findall(r"^async def (test_\w+)\(", file.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("test", EXCEPTED)
def test_what_is_excepted_exists_and_is_excepted_once(test: str) -> None:
    assert test in KNOWN
    assert EXCEPTED.count(test) == 1
    assert why_at_one_worker(test) or why_left_out(test, "test_herds.py")


def test_all_others_are_not() -> None:
    assert why_at_one_worker("test_a_herd") is None
    assert why_left_out("test_a_herd", "test_herds.py") is None


@pytest.mark.parametrize("pinned", [False, True])
async def test_clients_go_to_all_workers_or_to_one(tmp_path: Path, pinned: bool) -> None:
    world = WorkersWorld(tmp_path, 3)
    world.at_one_worker = pinned
    await world.open()
    world.origin.on("POST /a").reply(200)
    for _ in range(6):
        await world.client().send("POST /a", b"x").expect(200)
    counted = sorted(server.statistics().proxy.exchanges.requests for server in world.servers)
    assert counted == ([0, 0, 6] if pinned else [2, 2, 2])
    await world.close()


@pytest.mark.parametrize("chosen", ["", "0", "2"])
async def test_a_test_begins_at_the_same_worker_each_time_or_at_the_one_that_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.setattr(scenario_workers, "FIRST", chosen)
    firsts = set()
    for number in (1, 10):
        directory = tmp_path / f"test_any{number}"
        directory.mkdir()
        world = WorkersWorld(directory, 3)
        await world.open()
        world.origin.on("POST /a").reply(200)
        await world.client().send("POST /a", b"x").expect(200)
        firsts |= {n for n, one in enumerate(world.servers) if one.proxy.statistics().exchanges.requests}
        await world.close()
    assert firsts == {int(chosen)} if chosen else len(firsts) == 1


async def test_bounds_of_a_test_are_those_of_each_worker(tmp_path: Path) -> None:
    world = WorkersWorld(tmp_path, 3)
    world.configure(cache={"max_bytes": 30_000, "max_entry_bytes": 10_000}, limits={"max_connections": 7})
    await world.open()
    await world.started()
    for server in world.servers:
        assert server.config.cache.max_bytes == 30_000
        assert server.config.cache.max_entry_bytes == 10_000
        assert server.config.limits.max_connections == 7
    await world.close()
