"""A real file system that is full: the disk tier rests and raises the alarm, and memory serves alone."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import yaml

import origin_stub
from tests.server.processes import ROOT, Process

MiB = 1024 * 1024
HOST = "shop.example"
FILE_SYSTEM = ("unshare", "--map-root-user", "--mount", "sh", "-c")
"""A mount of our own, where this is allowed: nobody else sees it, and it is gone with the process."""


def _may_mount(directory: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    mount = [*FILE_SYSTEM, f"mount -t tmpfs none {directory}"]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


@asynccontextmanager
async def in_a_small_file_system(tmp_path: Path, origin: str) -> AsyncIterator[tuple[Process, Path]]:
    """Lockgate with a disk tier on 8 MiB; the process, and its file system as seen from here."""
    disk, file = tmp_path / "small", tmp_path / "lockgate.yaml"
    disk.mkdir()
    if not await asyncio.to_thread(_may_mount, disk):
        pytest.skip("no file system may be mounted here")
    settings = {
        "listen": [{"address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "access_log": {"enabled": False},
        "origins": {"app": {"addresses": [origin]}},
        "routes": [{"origin": "app"}],
        "cache": {
            "max_entry_bytes": MiB,
            "disk": {
                "directory": f"{disk}/cache",
                "max_bytes": 64 * MiB,
                "max_entry_bytes": 16 * MiB,
                "min_free_bytes": 0,
                "check_interval_s": 3600.0,  # so that nobody sees it coming
                "retry_after_s": 0.2,
            },
        },
    }
    file.write_text(yaml.safe_dump(settings))
    child = await asyncio.create_subprocess_exec(
        *FILE_SYSTEM,
        f"mount -t tmpfs -o size=8m none {disk} && exec {sys.executable} -m proxy serve --config {file}",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    process = Process(child)
    try:
        await process.says("^  limits ")
        yield process, Path(f"/proc/{child.pid}/root{disk}")
    finally:
        await process.kill()


class Visitor:
    """A client, and who looks at the metrics."""

    def __init__(self, process: Process, session: aiohttp.ClientSession) -> None:
        self._process = process
        self._session = session

    async def gets(self, path: str, size: int) -> str:
        """A body, compared with the origin's; the first words of Cache-Status."""
        async with self._session.get(
            f"http://{self._process.addresses[0]}{path}?size={size}", headers={"Host": HOST}
        ) as response:
            assert response.status == 200
            assert await response.read() == origin_stub.body_of(path, size)
            return response.headers["Cache-Status"].split("; ")[1]

    async def metric(self, name: str) -> float:
        async with self._session.get(f"http://{self._process.admin}/metrics") as response:
            lines = (await response.text()).splitlines()
        (line,) = (line for line in lines if line.startswith(f"{name} "))
        return float(line.split()[1])

    async def until(self, name: str, value: float, path: str | None = None) -> None:
        """Wait for the metric, asking for objects that are new each time."""
        number = 0
        async with asyncio.timeout(30):
            while await self.metric(name) != value:
                number += 1
                if path is not None:
                    await self.gets(f"{path}{number}", 1000)


def _fill(file: Path) -> None:
    written = 1
    with file.open("wb", buffering=0) as filler, suppress(OSError):  # the last write finds no space
        while written:
            written = filler.write(bytes(4096))


@pytest.mark.slow
async def test_a_full_disk_costs_the_disk_copy_and_nothing_else(tmp_path: Path) -> None:
    async with (
        origin_stub.running(behaviour="cc=max-age=600") as stub,
        in_a_small_file_system(tmp_path, stub.url) as (process, mounted),
        aiohttp.ClientSession() as session,
    ):
        visitor = Visitor(process, session)
        await visitor.gets("/before", 20_000)
        await visitor.until("lockgate_disk_stores_total", 1)
        await asyncio.to_thread(_fill, mounted / "filler")
        assert await visitor.gets("/large", 6 * MiB) == "fwd=uri-miss"  # the disk is full in its middle
        await visitor.until("lockgate_disk_alarm", 1)
        await process.says("disk_failed doing=writing .*No space left")
        for number in range(5):
            assert await visitor.gets(f"/{number}", 50_000) == "fwd=uri-miss"
        for number in range(5):
            assert await visitor.gets(f"/{number}", 50_000) == "hit"
        assert await visitor.gets("/before", 20_000) == "hit"
        (mounted / "filler").unlink()
        await visitor.until("lockgate_disk_alarm", 0, "/after")
        await process.says("disk_recovered doing=writing")
        stores = await visitor.metric("lockgate_disk_stores_total")
        assert await visitor.gets("/large", 6 * MiB) == "fwd=uri-miss"
        await visitor.until("lockgate_disk_stores_total", stores + 1)
        assert await visitor.gets("/large", 6 * MiB) == "hit"
