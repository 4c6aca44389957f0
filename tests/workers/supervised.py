"""`lockgate serve` with several workers, as a process, in front of a stage's origin."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.server.processes import Process, launched
from tests.server.stage import Stage


class Supervised:
    """The process, its file, and what an operator asks of it."""

    def __init__(self, process: Process, file: Path, settings: dict[str, Any]) -> None:
        self.process = process
        self.file = file
        self.settings = settings

    @property
    def address(self) -> str:
        """Where clients connect."""
        return self.process.addresses[0]

    def write(self, **changed: Any) -> None:
        """Write the file anew."""
        self.settings |= changed
        self.file.write_text(yaml.safe_dump(self.settings))

    async def ask(self, path: str, **options: Any) -> tuple[int, Any]:
        """Status and JSON, or text, from the admin listener."""
        method = "POST" if "json" in options else "GET"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://{self.process.admin}{path}", **options) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if "json" in response.content_type else text

    async def statistics(self) -> Mapping[str, Any]:
        """All workers' as one."""
        status, document = await self.ask("/statistics")
        assert status == 200, document
        return document

    @property
    def pids(self) -> list[int]:
        """The workers that live."""
        return children(self.process.pid)


def children(pid: int) -> list[int]:
    """Processes whose parent this is; zombies, too."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in text.split()]


def state_of(pid: int) -> str:
    """As /proc has it (`T` is stopped, `Z` a zombie); empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def end(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a worker of ours."""
    os.kill(pid, number)


@asynccontextmanager
async def supervised(stage: Stage, directory: Path, **settings: Any) -> AsyncIterator[Supervised]:
    """It serves; `workers` is a number or a section."""
    workers = settings.pop("workers", 2)
    file = directory / "lockgate.yaml"
    whole = {
        "listen": [{"address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "access_log": {"enabled": False},
        "origins": {"shop": {"addresses": [stage.origin.url]}},
        "routes": [{"origin": "shop"}],
        "workers": {"count": workers} if isinstance(workers, int) else workers,
        **settings,
    }
    file.write_text(yaml.safe_dump(whole))
    async with launched(["serve", "--config", str(file)]) as process:
        await process.says("^  limits ")
        yield Supervised(process, file, whole)
