"""Fills a cache with very many small answers: requests are sent ahead, on a few connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice

CONNECTIONS = 8
_AHEAD = 32


class NotFilled(Exception):
    """An answer was not what fills a cache; the text has its head."""


async def fill(port: int, targets: Iterable[str]) -> None:
    """Ask for each target once and read what comes: 200 with Content-Length. Raises: NotFilled."""
    rest = iter(targets)
    batches = iter(lambda: list(islice(rest, _AHEAD)), [])
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(_work_off(port, batches))


async def _work_off(port: int, batches: Iterable[Sequence[str]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for batch in batches:
            requests = (f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n" for target in batch)
            writer.write("".join(requests).encode())
            for _ in batch:
                await _read_answer(reader)
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
    if not head.startswith("HTTP/1.1 200") or not lengths:
        raise NotFilled(head)
    await reader.readexactly(int(lengths[0].partition(":")[2]))
