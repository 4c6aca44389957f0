"""Slices among the workers of one machine: each has an owner, and is fetched once for all."""

from __future__ import annotations

import random

import pytest

from tests.behaviour.sliced_origin import SlicedObject
from tests.peers.machine import Machine

SLICE = 1024
BODY = random.Random(1).randbytes(5 * SLICE + 100)
OTHER = random.Random(2).randbytes(5 * SLICE + 100)


@pytest.fixture
def one(machine: Machine) -> SlicedObject:
    """The object /a, on a route with slices."""
    machine.configure(route={"cache": {"partial": "slices", "slice_bytes": SLICE}})
    return SlicedObject(machine, BODY)


async def test_a_slice_is_fetched_once_for_all_workers(machine: Machine, one: SlicedObject) -> None:
    for slot in range(3):
        await machine.at(slot).send("GET /a").expect(200, BODY)
        await machine.at(slot).send("GET /a", range="bytes=1000-3000").expect(206, BODY[1000:3001])
    assert one.slices == {number * SLICE: 1 for number in range(6)}


async def test_herds_at_every_worker_fetch_each_slice_once(machine: Machine, one: SlicedObject) -> None:
    herds = [machine.many_at(slot, 5).send("GET /a", range="bytes=500-") for slot in range(3)]
    for herd in herds:
        await herd.expect(206, BODY[500:])
    assert one.slices == {number * SLICE: 1 for number in range(6)}


async def test_an_object_that_changed_is_new_at_every_worker(machine: Machine, one: SlicedObject) -> None:
    for slot in range(3):
        await machine.at(slot).send("GET /a", range="bytes=0-2047").expect(206, BODY[: 2 * SLICE])
    one.body, one.etag = OTHER, '"2"'
    machine.clock.advance(1)
    first = await machine.at(0).send("GET /a").response_or_cut()
    assert isinstance(first, bytes)
    assert BODY.startswith(first)
    for worker in (machine.worker(slot) for slot in range(3)):
        worker.proxy.cache.purge_all()  # the supervisor passes the drop on; here nobody does
    for slot in range(3):
        await machine.at(slot).send("GET /a").expect(200, OTHER)


async def test_an_origin_that_ignores_range_is_found_out_once(machine: Machine, one: SlicedObject) -> None:
    one.takes_ranges = False
    for slot in range(3):
        await machine.at(slot).send("GET /a", range="bytes=9-10").expect(206, BODY[9:11])
    assert sum(one.asked.values()) <= 3


async def test_an_owner_that_is_asked_for_the_whole_does_not_slice_it(
    machine: Machine, one: SlicedObject
) -> None:
    """Its asker has found that the origin gives no slices, and the owner has not."""
    one.takes_ranges = False
    await machine.all_started()
    asker = next(slot for slot in range(3) if slot != machine.owner("/a"))
    await machine.at(asker).send("GET /a").expect(200, BODY)
    one.takes_ranges = True
    for slot in range(3):
        machine.worker(slot).proxy.cache.purge_all()
    await machine.at(asker).send("GET /a").expect(200, BODY)
    assert sum(one.asked.values()) == 2
    assert (await machine.at(asker).send("HEAD /a").expect(200)).field("content-length") == str(len(BODY))


async def test_a_head_is_answered_by_whoever_has_it_in_slices(machine: Machine, one: SlicedObject) -> None:
    owner = machine.owner("/a")
    await machine.at(owner).send("GET /a").expect(200, BODY)
    machine.origin.on("HEAD /a").reply(200, BODY)
    for slot in range(3):
        response = await machine.at(slot).send("HEAD /a").expect(200)
        assert response.field("content-length") == str(len(BODY))


async def test_a_slice_of_no_use_is_declined_by_its_owner(machine: Machine) -> None:
    machine.configure(route={"cache": {"partial": "slices", "slice_bytes": SLICE}})
    one = SlicedObject(machine, BODY, etag=None)
    for slot in range(3):
        await machine.at(slot).send("GET /a").expect(200, BODY)
    assert one.asked[None] == 1


async def test_what_the_owner_shares_with_nobody_is_not_sliced(machine: Machine, one: SlicedObject) -> None:
    one.fields["cache_control"] = "private"
    for _ in range(2):
        for slot in range(3):
            await machine.at(slot).send("GET /a").expect(200, BODY)
    assert sum(times for wanted, times in one.asked.items() if wanted is not None) <= 3
    assert one.asked[None] >= 6
