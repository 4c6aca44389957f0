"""A process that writes as fast as it can is killed at any moment; what it leaves is read and verified.

`LOCKGATE_CRASHES` is how often (5).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.cache.disk.store import DiskStore
from proxy.clock import SystemClock
from tests.cache.disk.crash_writer import KEYS, verified
from tests.cache.disk.entries import body_of, disk_settings, object_files

CRASHES = int(os.environ.get("LOCKGATE_CRASHES", "5"))


@dataclass
class Acknowledged:
    """Up to which version each key was purged, as far as we were told."""

    by_key: dict[bytes, int] = field(default_factory=dict)
    newest: int = 0

    def take(self, line: str) -> None:
        kind, subject, version = line.split()
        self.newest = int(version)
        for number in range(KEYS):
            key = b"k%d" % number
            if (kind == "key" and key == subject.encode()) or (
                kind == "tag" and key.endswith(subject.encode())
            ):
                self.by_key[key] = int(version)


async def killed_writer(directory: Path, acknowledged: Acknowledged, first_version: int, seed: int) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.cache.disk.crash_writer", str(directory), str(first_version), str(seed),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert writer.stdout is not None
    assert await writer.stdout.readline() == b"open\n"
    dies_at = time.monotonic() + random.Random(seed).uniform(0.0, 0.6)
    try:
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + dies_at - time.monotonic()):
            while line := await writer.stdout.readline():
                acknowledged.take(line.decode())
    except TimeoutError:
        pass
    assert writer.returncode is None, "the writer died by itself"
    writer.kill()
    rest = await writer.stdout.read()
    await writer.wait()
    for line in rest.split(b"\n")[:-1]:
        acknowledged.take(line.decode())


async def verify(directory: Path, acknowledged: Acknowledged) -> tuple[int, int]:
    """Read everything, at first while the index is rebuilt; how many there are, and the newest version."""
    store = DiskStore(disk_settings(directory, promote_max_bytes=10_000), clock=SystemClock())
    await store.open()
    newest = 0
    for complete in (False, True):
        found = 0
        for number in range(KEYS):
            key = b"k%d" % number
            body = await body_of(await store.load(key, ()))
            if body is not None:
                version = verified(key, body)
                assert version > acknowledged.by_key.get(key, -1), f"{key!r} came back after its purge"
                newest = max(newest, version)
                found += 1
        if not complete:
            await store.wait_complete()
    await store.wait_written()
    counted = store.statistics()
    assert counted.index_complete
    assert counted.entries == found == len(object_files(directory))
    assert os.listdir(directory / "parts") == []
    await store.close()
    return found, newest


@pytest.mark.slow
async def test_nothing_torn_wrong_or_purged_is_served_after_a_kill(directory: Path) -> None:
    acknowledged = Acknowledged()
    version = 1
    total = 0
    for seed in range(CRASHES):
        await killed_writer(directory, acknowledged, version, seed)
        found, newest = await verify(directory, acknowledged)
        version = max(newest, acknowledged.newest, version) + 100_000
        total += found
    assert total > 0
