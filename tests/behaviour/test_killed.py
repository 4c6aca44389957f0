"""A server with a disk tier is killed under load, at any moment, and started again over the same files.

A client compares every body with what the origin had: nothing torn or wrong is served afterwards, nothing of
before an acknowledged purge, and the index is complete each time. `LOCKGATE_CRASHES` is how often (2).
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

import origin_stub
from tests.server.processes import Process, serving

CRASHES = int(os.environ.get("LOCKGATE_CRASHES", "2"))
HOST = "shop.example"
MiB = 1024 * 1024
SIZES = {f"/o{number}": (700, 20_000, 300_000, 3 * MiB)[number % 4] for number in range(60)}
"""Some fit memory and small files, some are read from their file, some are spooled while they come."""

CLIENTS = 8


def settings(directory: Path, origin: str) -> dict[str, object]:
    return {
        "access_log": {"enabled": False},
        "origins": {"app": {"addresses": [origin]}},
        "routes": [{"origin": "app"}],
        "cache": {
            "max_bytes": 4 * MiB,
            "max_entry_bytes": MiB,
            "disk": {
                "directory": str(directory),
                "max_bytes": 60 * MiB,
                "max_entry_bytes": 10 * MiB,
                "min_free_bytes": 0,
                "promote_max_bytes": 100_000,
            },
        },
    }


class Clients:
    """They know which versions of each path they may be given."""

    def __init__(self, stub: origin_stub.Stub) -> None:
        self._stub = stub
        self._newest = dict.fromkeys(SIZES, 0)
        self._oldest = dict.fromkeys(SIZES, 0)
        self.compared: Counter[str] = Counter()

    async def load(self, process: Process, seed: int) -> None:
        """Ask, and purge now and then, until the server is no more."""
        chance = random.Random(seed)
        with suppress(aiohttp.ClientError, ConnectionError):
            async with aiohttp.ClientSession() as session:
                while True:
                    path = chance.choice(tuple(SIZES))
                    if chance.random() < 0.05:
                        await self._purge(process, session, path)
                    else:
                        await self._get(process, session, path, "no-store" if chance.random() < 0.1 else "")

    async def _purge(self, process: Process, session: aiohttp.ClientSession, path: str) -> None:
        self._stub.touch(path)
        newest = self._newest[path] = self._newest[path] + 1
        async with session.post(
            f"http://{process.admin}/purge", json={"url": f"http://{HOST}{path}?size={SIZES[path]}"}
        ) as response:
            assert response.status == 200, await response.text()
        self._oldest[path] = max(self._oldest[path], newest)

    async def _get(self, process: Process, session: aiohttp.ClientSession, path: str, control: str) -> bool:
        """Whether there was an answer; it is compared with what it may be."""
        size, oldest = SIZES[path], self._oldest[path]
        headers = {"Host": HOST, **({"Cache-Control": control} if control else {})}
        async with session.get(
            f"http://{process.addresses[0]}{path}?size={size}", headers=headers
        ) as response:
            body = await response.read()
            if response.status == 504 and control == "only-if-cached":
                return False
            assert response.status == 200, (response.status, body[:200], process.said[-3000:])
        versions = range(oldest, self._newest[path] + 1)
        right = any(body == origin_stub.body_of(path, size, version=version) for version in versions)
        assert right, f"{path} of {size} octets came as {len(body)} that no version since {oldest} has"
        self.compared[control] += 1
        return True

    async def all_stored(self, process: Process) -> int:
        """Compare all that is stored; how many there are."""
        async with aiohttp.ClientSession() as session:
            found = [await self._get(process, session, path, "only-if-cached") for path in SIZES]
        return sum(found)


async def metrics(process: Process) -> dict[str, float]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{process.admin}/metrics") as response,
    ):
        text = await response.text()
    return {name: float(value) for name, value in re.findall(r"^(lockgate_disk_\w+) (\S+)$", text, re.M)}


def files(directory: Path) -> list[Path]:
    return [path for path in directory.glob("worker-*/objects/**/*") if path.is_file()]


async def verify(process: Process, clients: Clients, directory: Path) -> None:
    """All that is stored is right while the index is rebuilt, and when it is complete it knows every file."""
    await clients.all_stored(process)
    async with asyncio.timeout(20):
        while (await metrics(process))["lockgate_disk_index_complete"] != 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
    stored = await clients.all_stored(process)
    async with asyncio.timeout(20):
        while (found := await metrics(process))["lockgate_disk_entries"] != len(files(directory)):  # noqa: ASYNC110
            await asyncio.sleep(0)  # what was found to be purged is being removed
    assert stored == found["lockgate_disk_entries"]
    assert not found["lockgate_disk_alarm"]


@pytest.mark.slow
async def test_nothing_torn_wrong_or_purged_is_served_after_a_kill(tmp_path: Path) -> None:
    directory = tmp_path / "disk"
    async with origin_stub.running(behaviour="cc=max-age=86400") as stub:
        clients = Clients(stub)
        for crash in range(CRASHES + 1):
            async with serving(tmp_path, **settings(directory, stub.url)) as process:
                await verify(process, clients, directory)
                if crash == CRASHES:
                    break
                loading = [
                    asyncio.ensure_future(clients.load(process, crash * 100 + n)) for n in range(CLIENTS)
                ]
                dies_after_s = random.Random(crash).uniform(0.05, 0.6)
                _, running = await asyncio.wait(loading, timeout=dies_after_s)
                assert len(running) == CLIENTS, [task for task in loading if task.done() and task.result()]
                process.send(signal.SIGKILL)
                await process.ended()
                await asyncio.gather(*loading)
        assert clients.compared["only-if-cached"] > CRASHES
