"""An operator over a whole Lockgate: what clients sent in is seen, steered and counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from proxy.admin.administered import OneServer
from tests.admin.operator_of_writes import Operator, administered
from tests.behaviour.writes_kit import document, ended
from tests.scenario import World


@asynccontextmanager
async def operated(world: World, **writes: Any) -> AsyncIterator[Operator]:
    """The admin listener of a server that keeps its writes in a journal."""
    journal = {"directory": str(world.directory / "journal"), "min_free_bytes": 0}
    world.configure(route={"writes": {"mode": "async", **writes}}, writes={"journal": journal})
    async with administered(OneServer(await world.started())) as operator:
        yield operator


async def accepted(world: World, what: str, body: bytes) -> str:
    """The id of a write that was answered 202."""
    write_id: str = document(await world.client().send(what, body=body).expect(202))["id"]
    return write_id


async def test_a_paused_entity_is_seen_by_operator_and_client_and_goes_on(world: World) -> None:
    world.origin.on("PUT /posts/1").reply(204)
    world.origin.on("PUT /posts/2").reply(204)
    async with operated(world) as operator:
        await operator.ask("/writes/keys", json={"key": "/posts/1", "do": "pause", "reason": "by hand"})
        first = await accepted(world, "PUT /posts/1", b"1")
        other = await accepted(world, "PUT /posts/2", b"2")
        assert (await ended(world, f"/_writes/{other}"))["state"] == "committed"
        (write,) = (await operator.ask("/writes?key=/posts/1"))["writes"]
        assert (write["id"], write["state"], write["keys"]) == (first, "queued", ["/posts/1"])
        text = await operator.metrics()
        assert "lockgate_lanes_paused 1.0\n" in text
        assert "lockgate_lane_depth 1.0\n" in text
        assert "lockgate_journal_writes 1.0\n" in text
        await operator.ask("/writes/keys", json={"key": "/posts/1", "do": "resume"})
        assert (await ended(world, f"/_writes/{first}"))["state"] == "committed"
        events = (await operator.ask("/writes/events?after=all&limit=2"))["events"]
        assert [event["id"] for event in events] == [other, first]
        assert (await operator.ask(f"/writes/{first}"))["status"] == 204


async def test_a_dead_letter_is_replayed_under_an_id_that_clients_can_ask_for(world: World) -> None:
    world.origin.on("PUT /posts/1").reply(401)
    async with operated(world) as operator:
        dead = await accepted(world, "PUT /posts/1", b"1")
        assert (await ended(world, f"/_writes/{dead}"))["state"] == "dead"
        assert "lockgate_dead_letters 1.0\n" in await operator.metrics()
        world.origin.on("PUT /posts/1").reply(204)
        replayed = await operator.ask(f"/writes/{dead}/replay", json={})
        assert (await ended(world, f"/_writes/{replayed['id']}"))["state"] == "committed"
        assert (await operator.ask("/writes/dead"))["dead_letters"] == []
        keys = [asked.field("idempotency-key") for asked in world.origin.requests()]
        assert keys == [f'"{dead}"'] * 2


async def test_an_operator_cancels_what_a_client_gave_in(world: World) -> None:
    async with operated(world) as operator:
        await operator.ask("/writes/keys", json={"key": "/posts/1", "do": "pause"})
        write_id = await accepted(world, "PUT /posts/1", b"1")
        await operator.ask(f"/writes/{write_id}/cancel", json={})
        assert (await ended(world, f"/_writes/{write_id}"))["state"] == "cancelled"
    assert world.origin.asked() == 0


async def test_where_no_route_queues_writes_an_operator_is_told(world: World) -> None:
    async with administered(OneServer(await world.started())) as operator:
        assert "no route queues writes" in await operator.ask("/writes", status=404)
