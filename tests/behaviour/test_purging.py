"""The method PURGE, and what purges of every kind do to those who ask meanwhile."""

from __future__ import annotations

import json

import pytest

from proxy.policy.purge_order import parse_order
from tests.scenario import World

ENABLED = {"purge": {"enabled": True}}


def _ordered(world: World, **order: object) -> int:
    receipt = world.proxy.proxy.purger.purge(parse_order(order))
    assert receipt.done
    return receipt.entries


async def _stored(world: World, *targets: str, **fields: str) -> None:
    for target in targets:
        world.origin.on(f"GET {target}").reply(200, b"old", cache_control="max-age=60", **fields)
        await world.client().send(f"GET {target}").expect(200, b"old")


async def test_purge_removes_a_url_and_tells_the_count(world: World) -> None:
    world.configure(route=ENABLED)
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60", vary="Accept-Language")
    for language in ("de", "fr"):
        await world.client().send("GET /a", accept_language=language).expect(200)
    await _stored(world, "/b")
    answer = await world.client().send("PURGE /a").expect(200, content_type="application/json")
    assert json.loads(answer.body) == {"kind": "url", "soft": False, "entries": 2}
    assert world.entries == 1
    assert world.outcomes() == {"miss": 3, "answered": 1}
    assert world.origin.asked("PURGE /a") == 0


async def test_purge_covers_all_cookies_and_all_equivalent_queries(world: World) -> None:
    world.configure(route={**ENABLED, "cookies": "key"})
    search = 'params=("utm")'
    for target in ("/a?x=1&utm=2", "/a?x=2"):
        rule = world.origin.on(f"GET {target}")
        rule.reply(200, b"old", cache_control="max-age=60", no_vary_search=search)
    for cookie in ("id=1", "id=2"):
        for target in ("/a?x=1&utm=2", "/a?x=2"):
            await world.client().send(f"GET {target}", cookie=cookie).expect(200)
    answer = await world.client().send("PURGE /a?x=1").expect(200)
    assert json.loads(answer.body)["entries"] == 2
    assert world.entries == 2


async def test_purge_reaches_an_equivalent_query_that_is_on_its_way(world: World) -> None:
    world.configure(route=ENABLED)
    old = world.origin.on("GET /a?x=1&utm=2").hold()
    old.reply(200, b"old", cache_control="max-age=60", no_vary_search='params=("utm")')
    before = world.client().send("GET /a?x=1&utm=2")
    await world.until(lambda: old.held == 1)
    await world.client().send("PURGE /a?x=1").expect(200)
    old.release()
    await before.expect(200, b"old")
    assert world.entries == 0


async def test_purge_is_refused_where_the_route_does_not_take_it(world: World) -> None:
    await _stored(world, "/a")
    answer = await world.client().send("PURGE /a").expect(405, content_type="application/problem+json")
    assert "PURGE" not in (answer.field("allow") or "PURGE")
    assert "purge.enabled" in json.loads(answer.body)["detail"]
    assert world.entries == 1
    assert world.outcomes() == {"miss": 1, "refused": 1}


@pytest.mark.parametrize(
    ("listen", "fields"),
    [
        pytest.param({}, {}, id="from-another-network"),
        pytest.param({}, {"x_forwarded_for": "10.0.0.1"}, id="with-a-claim"),
        pytest.param(
            {"trusted_proxies": ["127.0.0.1/32"]}, {"x_forwarded_for": "10.0.0.1, 11.0.0.1"}, id="for-another"
        ),
    ],
)
async def test_purge_is_refused_to_those_in_no_network(
    world: World, listen: dict[str, object], fields: dict[str, str]
) -> None:
    world.configure(route={"purge": {"enabled": True, "networks": ["10.0.0.0/8"]}}, listen=listen)
    await _stored(world, "/a")
    await world.client().send("PURGE /a", **fields).expect(403)
    assert world.entries == 1


async def test_a_trusted_proxy_purges_for_its_client(world: World) -> None:
    settings = {"purge": {"enabled": True, "networks": ["10.0.0.0/8"]}}
    world.configure(route=settings, listen={"trusted_proxies": ["127.0.0.1/32"]})
    await _stored(world, "/a")
    await world.client().send("PURGE /a", x_forwarded_for="11.0.0.1, 10.0.0.1").expect(200)
    assert world.entries == 0


async def test_a_connection_goes_on_after_a_purge(world: World) -> None:
    world.configure(route=ENABLED)
    client = world.client()
    await client.send("PURGE /a").expect(200)
    await client.send("PURGE /a", b"{}").expect(200)


async def test_a_soft_purge_with_grace_serves_stale_to_a_herd_and_asks_once(world: World) -> None:
    world.configure(route=ENABLED)
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60, stale-while-revalidate=30")
    await world.client().send("GET /a").expect(200, b"old")
    await world.client().send("PURGE /a", fastly_soft_purge="1").expect(200)
    new = world.origin.on("GET /a").hold().reply(200, b"new", cache_control="max-age=60")
    await world.clients(20).send("GET /a").expect(200, b"old")
    await world.until(lambda: new.held == 1)
    new.release()
    await world.until(lambda: world.flights == 0)
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.asked() == 2


async def test_a_soft_purge_without_grace_makes_a_herd_wait_for_one(world: World) -> None:
    await _stored(world, "/a")
    assert _ordered(world, url="http://shop.example/a", soft=True) == 1
    new = world.origin.on("GET /a").hold().reply(200, b"new", cache_control="max-age=60")
    herd = world.clients(20).send("GET /a")
    await world.until(lambda: world.seats == 20)
    new.release()
    await herd.expect(200, b"new")
    assert world.origin.asked() == 2


async def test_grace_counts_from_the_soft_purge(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60, stale-while-revalidate=10")
    await world.client().send("GET /a").expect(200, b"old")
    _ordered(world, everything=True, soft=True)
    world.clock.advance(11)
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"new")


@pytest.mark.parametrize(
    ("order", "left"),
    [
        ({"url": "https://shop.example/img/a"}, 3),
        ({"tag": "t"}, 2),
        ({"tags": ["t", "u"]}, 1),
        ({"tag": "g"}, 3),
        ({"prefix": "https://shop.example/img/"}, 2),
        ({"pattern": r"/[ab]$"}, 2),
        ({"everything": True}, 0),
    ],
    ids=lambda value: str(value),
)
async def test_each_kind_of_order_removes_what_it_names(
    world: World, order: dict[str, object], left: int
) -> None:
    await _stored(world, "/img/a", surrogate_key="t x")
    await _stored(world, "/img/c", cache_tag="t, y")
    await _stored(world, "/b", surrogate_key="u")
    await _stored(world, "/d", cache_groups='"g"')
    assert _ordered(world, **order) == 4 - left
    assert world.entries == left
    counted = world.proxy.statistics().proxy.purges
    assert (sum(counted.purges.values()), counted.entries) == (1, 4 - left)


async def test_a_write_invalidates_each_key_of_its_target(world: World) -> None:
    world.configure(route={"key": {"cookies": ["lang"]}})
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    for cookie in ("lang=de", "lang=fr"):
        await world.client().send("GET /a", cookie=cookie).expect(200, b"old")
    world.origin.on("POST /a").reply(204)
    await world.client().send("POST /a", b"x").expect(204)
    assert world.entries == 0
