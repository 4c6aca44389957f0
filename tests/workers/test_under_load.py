"""Workers that are killed, changed and replaced while clients ask: what that costs is counted, and printed.

LOCKGATE_WORKERS_KILL_S=60 LOCKGATE_WORKERS_CHANGES=20 pytest -s tests/workers/test_under_load.py
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.origin.waiting import until
from tests.server.stage import Stage
from tests.workers.load import CountingOrigin, Load, clients_ports
from tests.workers.supervised import Supervised, end, state_of, supervised

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("LOCKGATE_WORKERS_KILL_S", "2"))
"""How many workers are killed, one in a second."""

CHANGES = int(os.environ.get("LOCKGATE_WORKERS_CHANGES", "1"))
"""How many reloads, or upgrades, there are."""

CLIENTS = 40
TARGETS = [f"/{number}" for number in range(200)]
EVERY_S = 1.0


@pytest.fixture
async def origin() -> AsyncIterator[CountingOrigin]:
    async with CountingOrigin().listening() as listening:
        yield listening


def load_on(made: Supervised) -> Load:
    return Load(made.address, lambda: random.choice(TARGETS), clients=CLIENTS)


def origins(origin: CountingOrigin) -> dict[str, object]:
    return {"shop": {"addresses": [origin.url]}}


async def kill_one(made: Supervised, turn: int) -> set[int]:
    """Kill a worker; the ports of the clients that it had. Stopped first, so that they are all."""
    victim = made.pids[turn % len(made.pids)]
    end(victim, signal.SIGSTOP)
    await until(lambda: state_of(victim) == "T")
    ports = clients_ports(victim, int(made.address.rpartition(":")[2]))
    end(victim)
    return ports


async def test_workers_that_are_killed_cost_their_own_connections_and_one_fetch_a_key(
    scene: Stage, tmp_path: Path, origin: CountingOrigin
) -> None:
    async with supervised(scene, tmp_path, workers=3, origins=origins(origin)) as made:
        doomed: set[int] = set()
        async with load_on(made).running() as load:
            await load.more(1_000)
            for turn in range(KILLS):
                next_at = asyncio.get_running_loop().time() + EVERY_S
                if turn > 1:  # one may still be missing, not all
                    await made.process.says("worker_started slot=", times=turn - 1)
                doomed |= await kill_one(made, turn)
                await load.more(200)
                await asyncio.sleep(max(0.0, next_at - asyncio.get_running_loop().time()))
    extra = sum(origin.asked.values()) - len(TARGETS)
    print(
        f"\n{KILLS} workers killed: {load.answered} answers, {len(load.wrong)} of them wrong, on "
        f"{load.connections} connections; {len(load.cut)} cut, {len(set(load.cut) - doomed)} of them not of "
        f"the killed; {len(TARGETS)} keys, {extra} fetches more than keys, at most "
        f"{max(origin.asked.values())} of one"
    )
    assert not load.wrong
    assert set(load.cut) <= doomed
    assert max(origin.asked.values()) <= 1 + KILLS


async def changed(
    made: Supervised, load: Load, number: signal.Signals, says: str, settings: Callable[[int], object]
) -> None:
    """Change it so many times, while the load goes on; nothing of which may fail."""
    await load.more(1_000)
    for turn in range(CHANGES):
        made.write(routes=[settings(turn)])
        made.process.send(number)
        await made.process.says(says, times=turn + 1)
        await load.more(200)


def told(what: str, load: Load) -> str:
    return (
        f"\n{CHANGES} {what} under load: {load.answered} answers, {len(load.wrong)} of them wrong, on "
        f"{load.connections} connections, {len(load.cut)} cut"
    )


def route(turn: int) -> dict[str, object]:
    return {"origin": "shop", "cache": {"grace_s": 10 + turn}}


@pytest.mark.parametrize(
    ("what", "number", "says"),
    [
        pytest.param("reloads", signal.SIGHUP, "reloaded file=", id="reload"),
        pytest.param("upgrades", signal.SIGUSR2, "upgraded: the last of the old", id="upgrade"),
    ],
)
async def test_a_change_fails_no_request(
    scene: Stage, tmp_path: Path, origin: CountingOrigin, what: str, number: signal.Signals, says: str
) -> None:
    async with supervised(scene, tmp_path, workers=3, origins=origins(origin)) as made:
        async with load_on(made).running() as load:
            await changed(made, load, number, says, route)
        assert "Traceback" not in made.process.said
    print(told(what, load))
    assert not load.wrong
    assert not load.cut


async def test_new_keys_are_fetched_once_while_all_workers_are_asked_for_them(
    scene: Stage, tmp_path: Path, origin: CountingOrigin
) -> None:
    """Each key is cold when all clients come to it, and some come to it at once."""
    numbers = itertools.count()
    async with supervised(scene, tmp_path, workers=2, origins=origins(origin)) as made:
        load = Load(made.address, lambda: f"/new/{next(numbers) // 20}", clients=CLIENTS)
        async with load.running():
            await load.more(2_000)
    assert not load.wrong
    assert not load.cut
    assert set(origin.asked.values()) == {1}
