"""Writes over the life of a server: restarts, reloads, and its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.errors import ConfigError, WritesMoved
from proxy.server.server import Server
from proxy.writes.problem import Problem, ProblemType
from tests.behaviour.writes_kit import accepted, document, ended
from tests.scenario import World

PROBLEM = Problem(ProblemType.PAUSED, "for a test")


def configured(world: World, **writes: Any) -> World:
    world.configure(route={"writes": {"mode": "async", **writes}})
    world.configure(writes={"journal": {"directory": str(world.directory / "journal")}})
    return world


async def test_what_was_promised_goes_on_after_a_restart_in_its_order(world: World) -> None:
    configured(world)
    await world.started()
    await world.proxy.proxy.writes.writes.pause("/posts/1", PROBLEM)
    places = [await accepted(world, "PUT /posts/1", b"%d" % number) for number in range(5)]
    await world.restart()
    assert world.origin.asked() == 0
    world.origin.on("PUT /posts/1").reply(204)
    assert await world.proxy.proxy.writes.writes.resume("/posts/1")
    for place in places:
        done = await ended(world, place)
        assert done["state"] == "committed"
    assert [await asked.read_body() for asked in world.origin.requests()] == [b"%d" % n for n in range(5)]


async def test_the_end_of_a_write_can_be_asked_for_after_a_restart(world: World) -> None:
    configured(world)
    world.origin.on("POST /posts").reply(201, b"made")
    place = await accepted(world, "POST /posts", b"new")
    await world.client().send(f"GET {place}?wait=20").expect(200)
    await world.restart()
    await world.client().send(f"GET {place}/response").expect(201, b"made")


async def test_what_is_at_the_origin_at_the_end_is_waited_for(world: World) -> None:
    configured(world)
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    place = await accepted(world, "PUT /posts/1", b"1")
    await world.until(lambda: rule.held == 1)
    closing = asyncio.get_running_loop().create_task(world.restart())
    await world.turns(20)
    assert not closing.done()
    rule.release()
    await closing
    assert document(await world.client().send(f"GET {place}").expect(200))["state"] == "committed"
    assert world.origin.asked() == 1


async def test_who_waits_to_be_told_is_answered_when_the_server_ends(world: World) -> None:
    configured(world)
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    place = await accepted(world, "PUT /posts/1", b"1")
    await world.until(lambda: rule.held == 1)
    waiting = world.client().send(f"GET {place}?wait=60")
    await waiting.wire()
    await world.turns(20)
    draining = asyncio.get_running_loop().create_task(world.proxy.drain())
    found = document(await waiting.expect(200))
    assert found["state"] == "started"
    rule.release()
    await draining


async def test_who_waits_for_what_was_kept_and_never_sent_is_told_where_it_goes_on(world: World) -> None:
    configured(world, mode="sync")
    world.configure(writes={"shutdown_timeout_s": 0})
    await world.started()
    await world.proxy.proxy.writes.writes.pause("/posts/1", PROBLEM)
    kept = world.client().send("PUT /posts/1", body=b"1", idempotency_key="k")
    await world.until(lambda: world.proxy.proxy.writes.writes.depth("/posts/1") == 1)
    unkept = world.client().send("PUT /posts/1", body=b"2")
    await world.until(lambda: world.proxy.proxy.writes.writes.depth("/posts/1") == 2)
    await world.proxy.proxy.writes.hand_over()
    await unkept.expect(503, content_type="application/problem+json")
    place = (await kept.expect(202)).field("location")
    await world.restart()
    world.origin.on("PUT /posts/1").reply(204)
    assert await world.proxy.proxy.writes.writes.resume("/posts/1")
    assert (await ended(world, place))["state"] == "committed"
    assert [await asked.read_body() for asked in world.origin.requests()] == [b"1"]


async def test_a_body_that_was_read_when_another_process_gets_the_writes_goes_there(world: World) -> None:
    configured(world)
    await world.started()
    writes = world.proxy.proxy.writes
    assert writes is not None
    await writes.hand_over()
    with pytest.raises(WritesMoved) as moved, writes.inside(b"read"):
        pass
    assert moved.value.octets == b"read"


async def test_an_id_that_is_older_than_what_is_kept_is_gone(world: World) -> None:
    configured(world)
    await world.started()
    writes = world.proxy.proxy.writes
    assert writes is not None
    for age_s, status in ((writes.retention_s + 60, 410), (writes.retention_s - 60, 404)):
        write_id = writes.ids.next_id(now=world.clock.now() - age_s, shard=0)
        await world.client().send(f"GET /_writes/{write_id}").expect(status)


async def test_two_servers_never_use_one_journal(world: World) -> None:
    configured(world)
    await world.started()
    second = Server(world._config())
    with pytest.raises(ConfigError, match=r"writes\.journal\.directory"):
        await second.start()


async def test_a_reload_changes_what_is_queued_and_how(world: World) -> None:
    configured(world, mode="sync")
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    writer = world.client().send("PUT /posts/1", body=b"1")
    await world.until(lambda: rule.held == 1)
    server = world.proxy
    route = server.config.routes[0]
    assert route.writes is not None
    fresh = route.model_copy(update={"writes": route.writes.model_copy(update={"max_lane": 1})})
    server.commit(server.prepare(server.config.model_copy(update={"routes": (fresh,)})))
    await world.client().send("PUT /posts/1", body=b"2").expect(429)
    rule.release()
    await writer.expect(204)
    unqueued = route.model_copy(update={"writes": None})
    server.commit(server.prepare(server.config.model_copy(update={"routes": (unqueued,)})))
    await world.client().send("PUT /posts/1", body=b"3").expect(204)
    assert world.outcomes() == {"written": 1, "refused": 1, "passed": 1}


async def test_writes_of_a_route_that_is_gone_are_given_up_and_said_to_be(world: World) -> None:
    configured(world)
    await world.started()
    await world.proxy.proxy.writes.writes.pause("/posts/1", PROBLEM)
    place = await accepted(world, "PUT /posts/1", b"1")
    await world.restart(routes=[{"origin": "shop", "path": "/other"}])
    assert await world.proxy.proxy.writes.writes.resume("/posts/1")
    done = await ended(world, place)
    assert (done["state"], done["problem"]["type"]) == ("dead", "route-gone")
    assert world.origin.asked() == 0
