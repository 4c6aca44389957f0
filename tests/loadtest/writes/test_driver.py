"""Driver, origin and checker together, before proxies that are right and proxies that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.writes.checker import Verdict, judge
from loadtest.writes.driver import Driver, Orders, address_of
from loadtest.writes.history import ClientHistory, lines_of
from loadtest.writes.http_client import Address
from loadtest.writes.mix import Mix
from origin_stub.behaviour import Behaviour
from origin_stub.lists.faults import read_fault
from origin_stub.lists.server import ListServer, running
from tests.loadtest.writes.lock_keeper import Flaw, LockKeeper

MIX = Mix(keys=3, hot=0.3, pairs=0, reads=0.5, keyed=0.5, respond_async=0.4, wait=0, cancels=0.3)
SYNC = Mix(keys=3, pairs=0.2, respond_async=0, wait=0, reads=0.5, keyed=1)
DELAY = Behaviour().with_parameters([("delay", "0.0005")]).delay


async def _drive(directory: Path, address: Address, mix: Mix, *, writes: int, clients: int) -> Path:
    history = ClientHistory(directory / "clients.jsonl", seed=5)
    driver = Driver(Orders(address, mix, writes, clients, followers=8, seed=5), history)
    assert await driver.run()
    assert driver.progress.ended >= writes
    assert driver.progress.in_flight == 0
    history.close()
    return history.path


async def _judged(directory: Path, flaw: Flaw) -> Verdict:
    server = ListServer(directory / "origin.jsonl", delay=DELAY, seed=5)
    async with running(server), LockKeeper(server.url, flaw).running() as address:
        path = await _drive(directory, address, MIX, writes=400, clients=12)
    return judge([path, directory / "origin.jsonl"])


@pytest.mark.slow
async def test_a_proxy_with_lanes_is_green(tmp_path: Path) -> None:
    verdict = await _judged(tmp_path, Flaw.NONE)
    assert verdict.is_green, "\n".join(verdict.lines())
    assert verdict.writes == 400
    assert verdict.acknowledged + verdict.refused == 400
    assert verdict.promised > 100
    assert verdict.refused > 10  # taken back
    assert verdict.reads > 50
    told = [line for _, line in lines_of(tmp_path / "clients.jsonl")]
    promised = {line["write"] for line in told if line.get("do") == "accepted"}
    assert any("version" in line for line in told if line.get("do") == "ok" and line["write"] in promised)
    assert {line["key"] for line in told if line.get("settled")} == {"hot", "k0", "k1", "k2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flaw", "rule"),
    [
        (Flaw.NO_LANES, "serial"),
        (Flaw.LIFO, "order"),
        (Flaw.FORGETS, "loss"),
        (Flaw.ACKNOWLEDGES_ONLY, "loss"),
        (Flaw.REPEATS, "duplicates"),
        (Flaw.REPEATS_LATE, "duplicates"),
        (Flaw.STALE_READS, "reads"),
        (Flaw.OTHERS_ANSWERS, "phantom"),
        (Flaw.CANCELS_THE_SENT, "phantom"),
    ],
)
async def test_a_proxy_with_a_flaw_is_red(flaw: Flaw, rule: str, tmp_path: Path) -> None:
    verdict = await _judged(tmp_path, flaw)
    assert rule in verdict.violations, "\n".join(verdict.lines())


@pytest.mark.slow
async def test_one_client_alone_is_green_at_an_origin_that_fails(tmp_path: Path) -> None:
    faults = [
        read_fault(text)
        for text in (
            "lose=0.05",
            "drop=0.05",
            "fail=0.05:502",
            "fail=0.05:503",
            "slow=0.02:3",
            "refuse=0.01:0.02",
        )
    ]
    server = ListServer(tmp_path / "origin.jsonl", delay=DELAY, faults=faults, seed=5)
    async with running(server):
        path = await _drive(tmp_path, Address("127.0.0.1", server.port), SYNC, writes=300, clients=1)
    verdict = judge([path, tmp_path / "origin.jsonl"], reads_of_all=True)
    assert verdict.is_green, "\n".join(verdict.lines())
    assert verdict.repeated_in_doubt > 0
    assert verdict.refused > 0


@pytest.mark.slow
async def test_an_origin_that_honours_the_key_applies_nothing_twice(tmp_path: Path) -> None:
    faults = [read_fault("lose=0.1")]
    server = ListServer(tmp_path / "origin.jsonl", faults=faults, idempotent=True, seed=5)
    async with running(server):
        path = await _drive(tmp_path, Address("127.0.0.1", server.port), SYNC, writes=200, clients=1)
    verdict = judge([path, tmp_path / "origin.jsonl"], deduplicates=True, reads_of_all=True)
    assert verdict.is_green, "\n".join(verdict.lines())
    assert verdict.repeated_in_doubt == 0
    assert verdict.replayed > 0


def test_an_address_is_read_from_a_url() -> None:
    assert address_of("http://127.0.0.1:8080") == Address("127.0.0.1", 8080)
    assert address_of("http://localhost/") == Address("localhost", 80)
    with pytest.raises(ValueError, match="write http"):
        address_of("127.0.0.1:8080")
