"""`python -m proxy serve` as a process of its own, told what to do by signals."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

START_S = 60.0
"""Importing everything takes a second, and much longer on a machine that has other things to do."""

ROOT = Path(__file__).parents[2]


class Process:
    """A server process and what it said on standard error."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said: list[str] = []
        self._changed = asyncio.Condition()
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            async with self._changed:
                self._said.append(line.decode())
                self._changed.notify_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def said(self) -> str:
        """All of standard error so far."""
        return "".join(self._said)

    async def says(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Wait until a line matches, so many times. Raises: AssertionError if it ends before."""
        async with asyncio.timeout(START_S), self._changed:
            while len(found := list(re.finditer(pattern, self.said, re.MULTILINE))) < times:
                assert not self._reading.done(), f"it ended without {pattern!r}:\n{self.said}"
                waiting = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait((waiting, self._reading), return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
        return found[-1]

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return re.findall(r"^  listening +(?:https?://)?(\S+)$", self.said, re.MULTILINE)

    @property
    def admin(self) -> str:
        """Where its admin listener is."""
        found = re.search(r"^  admin +(?:http://)?(\S+?)/healthz", self.said, re.MULTILINE)
        assert found is not None, self.said
        return found[1]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit status, when it has ended."""
        async with asyncio.timeout(START_S):
            await self._reading
            return await self._process.wait()

    async def output(self) -> str:
        """Its whole standard output, once it has ended."""
        assert self._process.stdout is not None
        return (await self._process.stdout.read()).decode()

    def close_output(self) -> None:
        """Read its standard output no more: what it writes there fails."""
        self._process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]

    async def kill(self) -> None:
        """End it, however it is."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading
        self._process._transport.close()  # type: ignore[attr-defined]  # else closed at collection, with a warning


@asynccontextmanager
async def launched(arguments: Sequence[str], *, python: Sequence[str] = ()) -> AsyncIterator[Process]:
    """`python -m proxy` with these arguments, which need not serve.

    It is killed in the end, and then nobody removes the directory of its workers' sockets: it has one here.
    """
    runtime = tempfile.TemporaryDirectory(prefix="lockgate-run-")
    process = Process(
        await asyncio.create_subprocess_exec(
            sys.executable,
            *python,
            "-m",
            "proxy",
            *arguments,
            cwd=ROOT,
            env={**os.environ, "RUNTIME_DIRECTORY": runtime.name},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    )
    try:
        yield process
    finally:
        await process.kill()
        runtime.cleanup()


@asynccontextmanager
async def serving(
    directory: Path,
    *,
    python: Sequence[str] = (),
    **settings: object,
) -> AsyncIterator[Process]:
    """A process that listens, with a configuration of these settings."""
    file = directory / "lockgate.yaml"
    file.write_text(
        yaml.safe_dump(
            {"listen": [{"address": "127.0.0.1:0"}], "admin": {"address": "127.0.0.1:0"}, **settings}
        )
    )
    async with launched(["serve", "--config", str(file)], python=python) as process:
        await process.says("^  limits ")
        yield process
