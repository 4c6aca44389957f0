"""What scenarios of writes have in common: a route that queues them, and how answers about them are read."""

from __future__ import annotations

import json
from typing import Any

from proxy.server.writes.home import WritesHome
from tests.scenario import World
from tests.scenario_client import Client, Response


def configured(world: World, *, kept: bool = False, **writes: Any) -> World:
    """One route that queues writes; `kept`: with a journal."""
    world.configure(route={"writes": writes})
    if kept:
        world.configure(writes={"journal": {"directory": str(world.directory / "journal")}})
    return world


def home(world: World) -> WritesHome:
    found = world.proxy.proxy.writes
    assert found is not None
    return found


def document(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)
    return found


async def problem(client: Client, status: int, kind: str) -> dict[str, Any]:
    """Expect a problem document of this type, and give it."""
    response = await client.expect(status, content_type="application/problem+json", cache_control="no-store")
    found = document(response)
    assert found["type"].endswith(f":{kind}"), found
    assert found["status"] == status
    return found


async def accepted(world: World, what: str, body: bytes, **fields: str) -> str:
    """The place of a write that was answered 202."""
    response = await world.client().send(what, body=body, **fields).expect(202)
    return response.field("location") or ""


async def ended(world: World, place: str) -> dict[str, Any]:
    """The state of a write when it has ended."""
    return document(await world.client().send(f"GET {place}?wait=20").expect(200))
