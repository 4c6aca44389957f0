"""A body that is too large for memory is kept on disk while it comes: one fetch, and memory is a window."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from proxy.cache.disk.statistics import DiskStatistics
from proxy.coalesce import keeping
from tests.scenario import World
from tests.scenario_client import Client
from tests.scenario_origin import Asked, Rule

MiB = 1024 * 1024
BODY = random.Random(8).randbytes(4 * MiB)
MEMORY = {"max_bytes": 2 * MiB, "max_entry_bytes": MiB // 2}
WINDOW_BYTES = MiB
FRESH = {"cache_control": "max-age=600", "etag": '"v1"'}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no slow disk: `tests/coalesce/test_keeping.py` tells of those."""
    monkeypatch.setattr(keeping, "PATIENCE_S", 60.0)


@pytest.fixture
def directory(world: World, tmp_path: Path) -> Path:
    """Where a world with a disk tier keeps its files."""
    disk(world, tmp_path / "disk")
    return tmp_path / "disk"


def disk(world: World, directory: Path, **settings: Any) -> None:
    """A world with a disk tier there."""
    tier = {"directory": directory, "max_bytes": 64 * MiB, "max_entry_bytes": 32 * MiB, "min_free_bytes": 0}
    world.configure(
        cache={**MEMORY, "disk": {**tier, **settings}},
        route={"coalesce": {"window_bytes": WINDOW_BYTES, "range_ahead_bytes": 0}},
    )


def counted(world: World) -> DiskStatistics:
    found = world.store.disk_statistics()
    assert found is not None
    return found


async def begun(world: World, *, length: int | None = len(BODY)) -> tuple[Client, Asked, Rule]:
    """A leader whose answer has begun."""
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(200, length=length, **FRESH)
    return leader, asked, asking


def held_bytes(world: World) -> int:
    """What the one flight holds in memory."""
    (flight,) = world.proxy.proxy.coalescer._flights._running
    return flight.body.held_bytes


async def received(world: World, octets: int) -> None:
    """Wait until so much of the one fill has come, and the disk has what memory need not hold."""

    def has_come() -> bool:
        flights = world.proxy.proxy.coalescer._flights._running
        return any(
            flight.body.received_bytes >= octets and flight.body.held_bytes <= WINDOW_BYTES
            for flight in flights
        )

    await world.until(has_come)


@pytest.mark.parametrize("length", [len(BODY), None], ids=["of-known-length", "in-chunks"])
@pytest.mark.usefixtures("directory")
async def test_who_joins_late_or_comes_after_it_reads_the_disk(world: World, length: int | None) -> None:
    leader, asked, _ = await begun(world, length=length)
    asked.data(BODY[: 3 * MiB])
    await received(world, 3 * MiB)
    late = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    asked.data(BODY[3 * MiB :])
    asked.finish()
    await leader.expect(200, BODY)
    await late.expect(200, BODY)
    await world.until(lambda: counted(world).stores == 1)
    response = await world.client().send("GET /a").expect(200, BODY)
    assert response.cache_status["hit"] is True
    assert world.origin.asked() == 1
    assert world.entries == 0  # memory has none of it


@pytest.mark.usefixtures("directory")
async def test_a_slow_client_is_not_cut_off_and_memory_is_a_window(world: World) -> None:
    slow = world.client()
    (await slow.wire()).pause()
    asking = world.origin.on("GET /a").by_hand()
    slow.send("GET /a")
    fast = world.client().send("GET /a")
    asked = await asking.next()
    await world.until(lambda: world.seats == 2)
    asked.head(200, length=len(BODY), **FRESH)
    asked.data(BODY[:-1])
    await received(world, len(BODY) - 1)
    assert held_bytes(world) <= WINDOW_BYTES
    asked.data(BODY[-1:])
    asked.finish()
    await fast.expect(200, BODY)
    (await slow.wire()).resume()
    await slow.expect(200, BODY)


@pytest.mark.usefixtures("directory")
async def test_a_range_is_read_out_of_the_running_fill(world: World) -> None:
    leader, asked, _ = await begun(world)
    asked.data(BODY[: 3 * MiB])
    await received(world, 3 * MiB)
    response = await world.client().send("GET /a", range="bytes=524280-2097200").expect(206)
    assert response.body == BODY[524280:2097201]
    asked.data(BODY[3 * MiB :])
    asked.finish()
    await leader.expect(200, BODY)
    assert world.origin.asked() == 1


async def test_an_origin_that_dies_leaves_nothing_and_its_clients_are_cut(
    world: World, directory: Path
) -> None:
    leader, asked, _ = await begun(world)
    asked.data(BODY[: 3 * MiB])
    await received(world, 3 * MiB)
    late = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    asked.cut()
    for client in (leader, late):
        got = await client.response_or_cut()
        assert isinstance(got, bytes)
        assert BODY.startswith(got)
    await world.until(lambda: not os.listdir(directory / "parts"))
    assert counted(world).stores == counted(world).reserved_bytes == 0
    world.origin.on("GET /a").reply(200, b"again", **FRESH)
    await world.client().send("GET /a").expect(200, b"again")


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
async def test_a_fill_that_a_purge_overtook_serves_those_who_have_seats_and_is_not_stored(
    world: World, directory: Path, soft: bool
) -> None:
    leader, asked, asking = await begun(world)
    asked.data(BODY[: 3 * MiB])
    await received(world, 3 * MiB)
    world.purge(soft=soft)
    later = world.client().send("GET /a")
    (await asking.next()).reply(200, b"new", **FRESH)
    await later.expect(200, b"new")
    asked.data(BODY[3 * MiB :])
    asked.finish()
    await leader.expect(200, BODY)
    await world.until(lambda: not os.listdir(directory / "parts"))
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.asked() == 2


async def test_what_grows_too_large_for_the_disk_goes_on_from_memory(world: World, tmp_path: Path) -> None:
    disk(world, tmp_path / "disk", max_entry_bytes=2 * MiB)
    leader, asked, _ = await begun(world, length=None)
    asked.data(BODY)
    asked.finish()
    await leader.expect(200, BODY)
    assert counted(world).too_large == 1
    assert counted(world).stores == 0


async def test_what_is_known_to_be_too_large_for_the_disk_is_not_begun(world: World, tmp_path: Path) -> None:
    disk(world, tmp_path / "disk", max_entry_bytes=2 * MiB)
    world.origin.on("GET /a").reply(200, BODY, **FRESH)
    await world.client().send("GET /a").expect(200, BODY)
    await world.client().send("GET /a").expect(200, BODY)
    assert world.origin.asked() == 2
    assert os.listdir(tmp_path / "disk" / "parts") == []


@pytest.mark.usefixtures("directory")
async def test_what_lies_on_disk_only_is_freshened_by_a_304(world: World) -> None:
    world.origin.on("GET /a").reply(200, BODY, **FRESH)
    await world.client().send("GET /a").expect(200, BODY)
    await world.until(lambda: counted(world).stores == 1)
    world.clock.advance(601)
    world.origin.on("GET /a", if_none_match='"v1"').reply(304, **FRESH)
    await world.client().send("GET /a").expect(200, BODY)
    await world.until(lambda: counted(world).stores == 2)
    response = await world.client().send("GET /a").expect(200, BODY)
    assert response.cache_status["hit"] is True
    assert world.origin.asked() == 2


@pytest.mark.slow
@pytest.mark.usefixtures("directory")
async def test_everybody_who_comes_until_it_is_in_its_place_joins_the_one_fill(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, BODY, **FRESH)
    clients = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 5)
    answer.release()
    while not counted(world).stores:
        await world.client().send("GET /a").expect(200, BODY)
    await clients.expect(200, BODY)
    assert world.origin.asked() == 1
