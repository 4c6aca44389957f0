"""Another configuration in a running server: prepared, then committed from one step to the next."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.server.change import unchangeable
from tests.origin.waiting import until
from tests.scenario_origin import Origin
from tests.server.stage import Stage

FRESH = {"cache_control": "max-age=60"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"listen": [{"address": "127.0.0.1:1"}]}, ["listen"]),
        ({"cache": {"max_bytes": 2**30}}, ["cache.max_bytes"]),
        ({"event_loop": "asyncio", "workers": {"count": 7}}, ["event_loop", "workers"]),
        ({"cache": {"cache_status": False}, "limits": {"max_fields": 7}, "gate": False}, []),
        ({"routes": [{"origin": "shop", "path": "/a"}], "shutdown_timeout_s": 1}, []),
    ],
)
def test_what_cannot_change_while_it_runs_is_named(settings: dict[str, Any], told: list[str]) -> None:
    stage = Stage()
    assert unchangeable(stage.config(), stage.config(**settings)) == told


async def test_the_next_request_goes_by_the_new_routes_and_what_is_stored_stays(stage: Stage) -> None:
    stage.origin.on("GET /a").reply(200, b"A", **FRESH)
    server = await stage.started()
    client = stage.client(server.addresses[0])
    await client.send("GET /a").expect(200, b"A")
    limited = {"path": "/new", "origin": "shop", "purge": {"enabled": True}}

    server.commit(server.prepare(stage.config(routes=[{"origin": "shop"}, limited])))

    await client.send("GET /a").expect(200, b"A")
    await client.send("PURGE /a").expect(405)
    await client.send("PURGE /new").expect(200)
    assert stage.origin.asked("GET /a") == 1
    assert server.statistics().proxy.exchanges.requests == 4


async def test_an_exchange_ends_at_the_origin_where_it_began(stage: Stage) -> None:
    held = stage.origin.on("GET /a").hold().reply(200, b"old", **FRESH)
    server = await stage.started()
    other = Origin("other", stage.transcript, stage.complaints.append)
    await other.listen()
    other.on("GET /b").reply(200, b"new", **FRESH)
    waiting = stage.client(server.addresses[0]).send("GET /a")
    await until(lambda: held.held == 1)

    server.commit(server.prepare(stage.config(origins={"shop": {"addresses": [other.url]}})))

    await stage.client(server.addresses[0]).send("GET /b").expect(200, b"new")
    held.release()
    await waiting.expect(200, b"old")
    await other.close()


async def test_what_cannot_be_changed_leaves_everything_as_it_was(stage: Stage) -> None:
    stage.origin.on("GET /a").reply(200, b"A")
    server = await stage.started()
    changed = stage.config(cache={"max_bytes": 2**30}, routes=[{"origin": "shop", "path": "/none"}])

    with pytest.raises(ConfigError, match=r"cache\.max_bytes: cannot change while it runs\. Restart"):
        server.prepare(changed)

    await stage.client(server.addresses[0]).send("GET /a").expect(200, b"A")


async def test_a_change_that_is_not_used_is_given_up(stage: Stage) -> None:
    server = await stage.started()
    change = server.prepare(stage.config(origins={"shop": {"addresses": ["http://127.0.0.1:9"]}}))
    assert len(change.fresh) == 1
    await change.abandon()
