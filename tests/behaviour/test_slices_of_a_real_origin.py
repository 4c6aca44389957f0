"""Slices before an origin on sockets, with a disk: what a herd costs it, and what outlives the process."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import origin_stub
from proxy.config.settings import Config
from proxy.server.server import Server
from tests.behaviour.test_disk_tier import DISK, FRESH, Visitor, asked

MIB = 1024 * 1024
OBJECT_MIB = int(os.environ.get("LOCKGATE_SLICE_MIB", "6"))
"""The object of the herd; 100 stands for a film."""
HERD = int(os.environ.get("LOCKGATE_SLICE_HERD", "25"))
"""Its clients; 1000 take a minute."""


@asynccontextmanager
async def running(
    stub: origin_stub.Stub, directory: Path | None = None, *, slice_bytes: int = MIB, **cache: Any
) -> AsyncIterator[Visitor]:
    """One run of Lockgate with slices, over this directory if any."""
    disk = {} if directory is None else {"disk": {"directory": directory, **DISK}}
    config = Config.model_validate(
        {
            "listen": [{"address": "127.0.0.1:0"}],
            "admin": {"enabled": False},
            "access_log": {"enabled": False},
            "origins": {"app": {"addresses": [stub.url]}},
            "routes": [{"origin": "app", "cache": {"partial": "slices", "slice_bytes": slice_bytes}}],
            "cache": {**disk, **cache},
            "shutdown_timeout_s": 1,
        }
    )
    server = Server(config)
    await server.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield Visitor(server, session)
        await server.drain()
    finally:
        await server.close()


@pytest.fixture
async def stub() -> AsyncIterator[origin_stub.Stub]:
    async with origin_stub.running(behaviour=f"{FRESH}&etag=1") as stub:
        yield stub


@pytest.mark.slow
async def test_a_herd_on_a_cold_film_fetches_each_slice_once(stub: origin_stub.Stub) -> None:
    size = OBJECT_MIB * MIB
    target = f"/a?size={size}"
    async with running(stub, max_bytes=512 * MIB) as visitor:
        drawn = random.Random(7)
        spans = [(0, size - 1)]
        for _ in range(HERD - 1):
            first = drawn.randrange(size)
            spans.append((first, min(size - 1, first + drawn.randrange(MIB))))
        answers = await asyncio.gather(
            *(visitor.get(target, Range=f"bytes={first}-{last}") for first, last in spans)
        )
    whole = answers[0][1]
    assert len(whole) == size
    for (first, last), (status, body, _) in zip(spans, answers, strict=True):
        assert status == 206
        assert hashlib.sha256(body).digest() == hashlib.sha256(whole[first : last + 1]).digest()
    assert asked(stub) == OBJECT_MIB


async def test_slices_outlive_the_process(stub: origin_stub.Stub, tmp_path: Path) -> None:
    target = "/a?size=300000"
    async with running(stub, tmp_path, slice_bytes=64 * 1024) as visitor:
        _, body, _ = await visitor.get(target)
        await visitor.written()
    async with running(stub, tmp_path, slice_bytes=64 * 1024) as visitor:
        found = await visitor.get(target, Range="bytes=100000-199999")
        assert found == (206, body[100_000:200_000], "hit")
        assert await visitor.get(target) == (200, body, "hit")
    assert asked(stub) == 5


async def test_slices_are_read_from_their_files(stub: origin_stub.Stub, tmp_path: Path) -> None:
    target = "/a?size=5000000"
    async with running(stub, tmp_path, slice_bytes=2 * MIB) as visitor:
        _, body, _ = await visitor.get(target)
        await visitor.written()
    async with running(stub, tmp_path, slice_bytes=2 * MIB) as visitor:
        for _ in range(2):
            found = await visitor.get(target, Range="bytes=2000000-4500000")
            assert found == (206, body[2_000_000:4_500_001], "hit")
    assert asked(stub) == 3


async def test_what_was_purged_in_slices_does_not_come_back(stub: origin_stub.Stub, tmp_path: Path) -> None:
    target = "/a?size=300000"
    async with running(stub, tmp_path, slice_bytes=64 * 1024) as visitor:
        await visitor.get(target)
        await visitor.written()
        visitor.server.proxy.cache.purge_all()
        await visitor.server.proxy.cache.durable()
    async with running(stub, tmp_path, slice_bytes=64 * 1024) as visitor:
        assert (await visitor.get(target, Range="bytes=0-9"))[2] != "hit"
    assert asked(stub) == 6
