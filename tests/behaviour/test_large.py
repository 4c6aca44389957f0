"""Transfers larger than memory would like pass in constant memory.

`LOCKGATE_BIG_BYTES` sets their size: 64 MiB by default, 5 GiB shows what the project claims.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

BIG_BYTES = int(os.environ.get("LOCKGATE_BIG_BYTES", 64 * 1024 * 1024))
GROWTH_BYTES = 24 * 1024 * 1024
"""Windows and socket buffers on both legs, and what allocators keep; far below what is sent."""

PIECE = bytes(range(256)) * 1024


def resident_bytes(pid: int) -> int:
    """The largest resident size so far, from the kernel's own account."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None, status
    return int(match[1]) * 1024


async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes every body and says how long it was; sends BIG_BYTES where a path says so."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            taken = 0
            length = re.search(rb"\r\nContent-Length: (\d+)", head)
            left = int(length[1]) if length else 0
            while left:
                piece = await reader.read(min(left, 1 << 20))
                taken += len(piece)
                left -= len(piece)
            if not head.startswith(b"GET /big"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(b"%d" % taken), taken))
                continue
            control = b"no-store" if b"private" in head.partition(b"\r\n")[0] else b"max-age=60"
            writer.write(
                b"HTTP/1.1 200 OK\r\nCache-Control: %b\r\nContent-Length: %d\r\n\r\n" % (control, BIG_BYTES)
            )
            for start in range(0, BIG_BYTES, len(PIECE)):
                writer.write(PIECE[: BIG_BYTES - start])
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def lockgate(tmp_path: Path, loop_name: str) -> AsyncIterator[tuple[Path, int]]:
    """Lockgate in a process of its own: its socket and its id."""
    origin_path, path = tmp_path / "o", tmp_path / "l"
    server = await asyncio.start_unix_server(origin, origin_path)
    settings = tmp_path / "lockgate.yaml"
    settings.write_text(
        f"listen: [{{address: 'unix:{path}'}}]\n"
        "admin: {enabled: false}\naccess_log: {enabled: false}\n"
        "cache: {max_bytes: 8388608, max_entry_bytes: 4194304}\n"
        f"origins: {{o: {{addresses: ['unix:{origin_path}']}}}}\n"
        f"routes: [{{origin: o}}]\nevent_loop: {loop_name}\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy", "serve", "--config", str(settings), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(20):
            while b"cache" not in await process.stderr.readline():
                pass
        yield path, process.pid
    finally:
        process.terminate()
        await process.communicate()
        server.close()
        await server.wait_closed()


async def connected(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(path, limit=1 << 20)


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


@pytest.mark.slow
@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
async def test_a_large_upload_passes_in_constant_memory(tmp_path: Path, loop_name: str) -> None:
    async with lockgate(tmp_path, loop_name) as (path, pid):
        reader, writer = await connected(path)
        writer.write(b"PUT /warm HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n01234")
        assert b"200" in await head_of(reader)
        assert await reader.readexactly(1) == b"5"
        before = resident_bytes(pid)
        writer.write(b"PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % BIG_BYTES)
        for start in range(0, BIG_BYTES, len(PIECE)):
            writer.write(PIECE[: BIG_BYTES - start])
            await writer.drain()
        assert b"200" in await head_of(reader)
        assert int(await reader.readexactly(len(str(BIG_BYTES)))) == BIG_BYTES
        assert resident_bytes(pid) - before < GROWTH_BYTES
        writer.close()


@pytest.mark.slow
@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
@pytest.mark.parametrize("target", ["/big-shared", "/big-private"])
async def test_a_large_download_passes_in_constant_memory(
    tmp_path: Path, loop_name: str, target: str
) -> None:
    async with lockgate(tmp_path, loop_name) as (path, pid):
        reader, writer = await connected(path)
        writer.write(b"PUT /warm HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n01234")
        assert b"200" in await head_of(reader)
        assert await reader.readexactly(1) == b"5"
        before = resident_bytes(pid)
        writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
        assert b"200" in await head_of(reader)
        left = BIG_BYTES
        while left:
            piece = await reader.read(1 << 20)
            assert piece, f"the answer ended {left} octets early"
            left -= len(piece)
        assert resident_bytes(pid) - before < GROWTH_BYTES
        writer.close()
