"""What is stored outlives the process, and what was purged does not come back with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import origin_stub
from proxy.config.settings import Config
from proxy.policy.purge_order import PurgeOrder
from proxy.policy.purges import PurgeKind
from proxy.server.server import Server
from proxy.verdicts import Verdict

FRESH = "cc=max-age=600"
HOST = "shop.example"  # the port, which is in the key else, is another in each run
DISK = {"max_bytes": 100_000_000, "max_entry_bytes": 50_000_000, "min_free_bytes": 0}


class Visitor:
    """A client of one run of Lockgate."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self.server = server
        self._session = session
        self._base = f"http://{server.addresses[0]}"

    async def get(self, target: str, **fields: str) -> tuple[int, bytes, str]:
        """Status, body and the first words of Cache-Status."""
        async with self._session.get(self._base + target, headers={"Host": HOST, **fields}) as response:
            status = response.headers.get("Cache-Status", "")
            return response.status, await response.read(), status.split("; ")[1]

    async def post(self, target: str) -> int:
        async with self._session.post(self._base + target, data=b"x", headers={"Host": HOST}) as response:
            return response.status

    async def written(self) -> None:
        """Wait until what was stored is on the disk."""
        disk = self.server._disk
        assert disk is not None
        await disk.wait_written()


@asynccontextmanager
async def running(stub: origin_stub.Stub, directory: Path, **cache: Any) -> AsyncIterator[Visitor]:
    """One run of Lockgate over this directory."""
    config = Config.model_validate(
        {
            "listen": [{"address": "127.0.0.1:0"}],
            "admin": {"enabled": False},
            "access_log": {"enabled": False},
            "origins": {"app": {"addresses": [stub.url]}},
            "routes": [{"origin": "app"}],
            "cache": {
                "disk": {"directory": directory, **DISK},
                **cache,
            },
            "shutdown_timeout_s": 1,
        }
    )
    server = Server(config)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Visitor(server, session)
        await server.drain()
    finally:
        await server.close()


@pytest.fixture
async def stub() -> AsyncIterator[origin_stub.Stub]:
    async with origin_stub.running(behaviour=FRESH) as stub:
        yield stub


def asked(stub: origin_stub.Stub, path: str = "/a") -> int:
    return stub.counters()[path].requests


@pytest.mark.parametrize(
    "size", [100, 300_000, 3_000_000], ids=["small", "some-blocks", "read-from-its-file"]
)
async def test_what_is_stored_outlives_the_process(stub: origin_stub.Stub, tmp_path: Path, size: int) -> None:
    target = f"/a?size={size}"
    async with running(stub, tmp_path) as visitor:
        _, body, _ = await visitor.get(target)
        await visitor.written()
    async with running(stub, tmp_path) as visitor:
        for _ in range(2):
            assert await visitor.get(target) == (200, body, "hit")
    assert asked(stub) == 1


async def test_a_range_is_read_from_the_file(stub: origin_stub.Stub, tmp_path: Path) -> None:
    target = "/a?size=3000000"
    async with running(stub, tmp_path) as visitor:
        _, body, _ = await visitor.get(target)
        await visitor.written()
    async with running(stub, tmp_path) as visitor:
        found = await visitor.get(target, Range="bytes=1000000-1999999")
    assert found == (206, body[1_000_000:2_000_000], "hit")
    assert asked(stub) == 1


async def test_a_herd_on_what_only_the_disk_has_asks_the_origin_for_nothing(
    stub: origin_stub.Stub, tmp_path: Path
) -> None:
    async with running(stub, tmp_path) as visitor:
        await visitor.get("/a?size=1000")
        await visitor.written()
    async with running(stub, tmp_path) as visitor:
        answers = await asyncio.gather(*(visitor.get("/a?size=1000") for _ in range(50)))
    assert {answer[2] for answer in answers} == {"hit"}
    assert asked(stub) == 1


async def test_variants_are_recalled_by_what_selects_them(stub: origin_stub.Stub, tmp_path: Path) -> None:
    target = "/a?vary=Accept-Language&unique=1"
    async with running(stub, tmp_path) as visitor:
        stored = {tongue: await visitor.get(target, **{"Accept-Language": tongue}) for tongue in ("de", "fr")}
        await visitor.written()
    async with running(stub, tmp_path) as visitor:
        for tongue, (_, body, _) in stored.items():
            assert await visitor.get(target, **{"Accept-Language": tongue}) == (200, body, "hit")
        assert (await visitor.get(target, **{"Accept-Language": "it"}))[2] != "hit"


@pytest.mark.parametrize("restart", [False, True], ids=["same-process", "after-a-restart"])
async def test_a_purge_holds(stub: origin_stub.Stub, tmp_path: Path, restart: bool) -> None:
    async with running(stub, tmp_path) as visitor:
        await visitor.get("/a?unique=1")
        await visitor.written()
        visitor.server.proxy.cache.purge_all()
        await visitor.server.proxy.cache.durable()
        if not restart:
            assert (await visitor.get("/a?unique=1"))[2] == "fwd=uri-miss"
    async with running(stub, tmp_path) as visitor:
        await visitor.get("/a?unique=1")
    assert asked(stub) == 2


async def test_a_write_invalidates_on_disk_too(stub: origin_stub.Stub, tmp_path: Path) -> None:
    async with running(stub, tmp_path) as visitor:
        await visitor.get("/a?unique=1")
        await visitor.written()
    async with running(stub, tmp_path) as visitor:
        assert await visitor.post("/a?unique=1") == 200
    async with running(stub, tmp_path) as visitor:
        assert (await visitor.get("/a?unique=1"))[2] == "fwd=uri-miss"


def _damage_the_file_above(size: int, directory: Path) -> None:
    [stored] = [path for path in directory.rglob("*") if path.is_file() and path.stat().st_size > size]
    octets = bytearray(stored.read_bytes())
    octets[100] ^= 1
    stored.write_bytes(octets)


async def test_a_damaged_file_is_asked_for_anew(stub: origin_stub.Stub, tmp_path: Path) -> None:
    async with running(stub, tmp_path) as visitor:
        _, body, _ = await visitor.get("/a?size=5000")
        await visitor.written()
    _damage_the_file_above(5000, tmp_path)
    async with running(stub, tmp_path) as visitor:
        assert await visitor.get("/a?size=5000") == (200, body, "fwd=uri-miss")


async def test_what_memory_has_no_room_for_is_recalled(stub: origin_stub.Stub, tmp_path: Path) -> None:
    async with running(stub, tmp_path, max_bytes=200_000, max_entry_bytes=100_000) as visitor:
        for number in range(10):
            await visitor.get(f"/a{number}?size=50000")
            await visitor.written()
        for number in range(10):
            assert (await visitor.get(f"/a{number}?size=50000"))[2] == "hit"
    assert sum(asked(stub, f"/a{number}") for number in range(10)) == 10


async def test_what_lies_on_disk_is_explained_without_being_touched(
    stub: origin_stub.Stub, tmp_path: Path
) -> None:
    target = "/a?size=3000000"
    async with running(stub, tmp_path) as visitor:
        await visitor.get(target)
        await visitor.written()
    async with running(stub, tmp_path) as visitor:
        explainer = visitor.server.proxy.explainer
        assert explainer.explain(f"http://{HOST}{target}").verdict is Verdict.WAITS
        await visitor.get(target)
        disk = visitor.server._disk
        assert disk is not None
        before = disk.statistics()
        explained = explainer.explain(f"http://{HOST}{target}")
        assert disk.statistics() == before
    assert explained.verdict is Verdict.HIT
    assert explained.stored is not None
    assert explained.stored["status"] == 200


@pytest.mark.parametrize(
    ("order", "entries"),
    [
        pytest.param(PurgeOrder(PurgeKind.EVERYTHING), 4, id="everything"),
        pytest.param(PurgeOrder(PurgeKind.URL, (f"http://{HOST}/b",)), 1, id="what-only-the-disk-has"),
        pytest.param(PurgeOrder(PurgeKind.URL, (f"http://{HOST}/c",)), 1, id="what-both-have"),
        pytest.param(PurgeOrder(PurgeKind.URL, (f"http://{HOST}/new",)), 1, id="what-came-since-the-start"),
        pytest.param(PurgeOrder(PurgeKind.PREFIX, (f"http://{HOST}/",)), 4, id="a-prefix"),
        pytest.param(PurgeOrder(PurgeKind.PATTERN, ("/[abc]$",)), 3, id="a-pattern"),
    ],
)
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
async def test_a_purge_counts_what_is_in_memory_or_on_disk_each_once(
    stub: origin_stub.Stub, tmp_path: Path, order: PurgeOrder, entries: int, soft: bool
) -> None:
    async with running(stub, tmp_path) as visitor:
        for target in ("/a", "/b", "/c"):
            await visitor.get(target)
        await visitor.written()
    async with running(stub, tmp_path) as visitor:
        disk = visitor.server._disk
        assert disk is not None
        await disk.wait_complete()
        assert (await visitor.get("/c"))[2] == "hit"  # recalled: in memory and on disk
        await visitor.get("/new")
        purger = visitor.server.proxy.purger
        assert await purger.settled(purger.purge(replace(order, soft=soft))) == entries


async def test_what_is_too_much_for_memory_is_answered_from_disk_round_after_round(
    stub: origin_stub.Stub, tmp_path: Path
) -> None:
    targets = [f"/{number}?size=1000" for number in range(30)]
    async with running(stub, tmp_path, max_bytes=20_000, max_entry_bytes=20_000) as visitor:
        bodies = [(await visitor.get(target))[1] for target in targets]
        await visitor.written()
        for _ in range(3):
            for target, body in zip(targets, bodies, strict=True):
                assert await visitor.get(target) == (200, body, "hit")
        for _ in range(3):  # what is asked for again soon moves into memory, and is found there
            assert await visitor.get(targets[0]) == (200, bodies[0], "hit")
        await visitor.post("/0?size=1000")
        assert (await visitor.get(targets[0]))[2] == "fwd=uri-miss"
    assert [asked(stub, f"/{number}") for number in range(30)] == [3] + [1] * 29
