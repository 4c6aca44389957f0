"""Several misses at once: one forward request, and everybody answered from it."""

from __future__ import annotations

import pytest

from tests.scenario import World

BODY = b"0123456789"


async def test_concurrent_misses_share_one_forward_request(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(10).send("GET /a")
    await world.until(lambda: world.seats == 10)
    answer.release()
    await clients.expect(200, b"A")
    assert world.origin.asked("GET /a") == 1
    assert world.outcomes() == {"miss": 1, "collapsed": 9}


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        pytest.param(200, {"cache_control": "max-age=60"}, id="max-age"),
        pytest.param(200, {"cache_control": "s-maxage=60, max-age=0"}, id="s-maxage-before-max-age"),
        pytest.param(200, {"cache_control": "public, max-age=60, immutable"}, id="immutable"),
        pytest.param(
            200,
            {"date": "Fri, 15 Jan 2027 08:00:00 GMT", "expires": "Fri, 15 Jan 2027 08:01:00 GMT"},
            id="expires",
        ),
        pytest.param(
            200,
            {
                "date": "Fri, 15 Jan 2027 08:00:00 GMT",
                "last_modified": "Fri, 15 Jan 2027 07:00:00 GMT",
            },
            id="heuristic",
        ),
        pytest.param(404, {"cache_control": "max-age=60"}, id="not-found-with-lifetime"),
        pytest.param(301, {"cache_control": "max-age=60", "location": "/b"}, id="moved"),
        pytest.param(503, {"cache_control": "public, max-age=60"}, id="error-that-says-so"),
        pytest.param(403, {"cache_control": "max-age=60"}, id="forbidden-that-says-so"),
    ],
)
async def test_what_may_be_shared_is_fetched_once_and_hit_afterwards(
    world: World, status: int, fields: dict[str, str]
) -> None:
    answer = world.origin.on("GET /a").hold().reply(status, BODY, **fields)
    clients = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 5)
    answer.release()
    await clients.expect(status, BODY)
    later = await world.client().send("GET /a").expect(status, BODY)
    assert world.origin.asked("GET /a") == 1
    assert later.cache_status["hit"] is True
    assert world.outcomes() == {"miss": 1, "collapsed": 4, "hit": 1}


async def test_a_body_in_chunks_is_shared_like_one_with_a_length(world: World) -> None:
    answer = (
        world.origin.on("GET /a")
        .hold()
        .reply(200, chunks=[b"one", b"two", b"three"], cache_control="max-age=60")
    )
    clients = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 5)
    answer.release()
    await clients.expect(200, b"onetwothree")
    hit = await world.client().send("GET /a").expect(200, b"onetwothree")
    assert hit.field("content-length") == "11"
    assert world.origin.asked("GET /a") == 1


async def test_different_targets_do_not_wait_for_each_other(world: World) -> None:
    held = world.origin.on("GET /slow").hold().reply(200, b"S", cache_control="max-age=60")
    world.origin.on("GET /fast").reply(200, b"F", cache_control="max-age=60")
    slow = world.client().send("GET /slow")
    await world.until(lambda: held.held == 1)
    await world.client().send("GET /fast").expect(200, b"F")
    held.release()
    await slow.expect(200, b"S")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"what": "GET /a?x"}, id="query"),
        pytest.param({"what": "GET /a?"}, id="empty-query"),
        pytest.param({"what": "GET /A"}, id="case-of-the-path"),
        pytest.param({"what": "GET /%61"}, id="percent-encoding"),
        pytest.param({"what": "GET //a"}, id="double-slash"),
        pytest.param({"what": "GET /a", "host": "other.example"}, id="host"),
    ],
)
async def test_what_the_origin_can_tell_apart_is_not_shared(world: World, other: dict[str, str]) -> None:
    first = world.origin.on("GET /a", host="shop.example").hold()
    first.reply(200, b"A", cache_control="max-age=60")
    one = world.client().send("GET /a")
    await world.until(lambda: first.held == 1)
    what = other["what"]
    world.origin.on(what, host=other.get("host", "shop.example")).reply(200, b"B", cache_control="max-age=60")
    await world.client().send(what, host=other.get("host", "shop.example")).expect(200, b"B")
    first.release()
    await one.expect(200, b"A")


@pytest.mark.parametrize("host", ["SHOP.example", "shop.example:80", "Shop.Example:80"])
async def test_spellings_of_one_host_share(world: World, host: str) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = [world.client().send("GET /a"), world.client().send("GET /a", host=host)]
    await world.until(lambda: world.seats == 2)
    answer.release()
    for client in clients:
        await client.expect(200, b"A")
    assert world.origin.asked() == 1


async def test_a_leader_asks_for_nothing_that_the_others_did_not_ask_for(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, BODY, cache_control="max-age=60", etag='"1"')
    leader = world.client().send(
        "GET /a",
        if_none_match='"0"',
        range="bytes=2-3",
        x_http_method_override="DELETE",
        cache_control="max-stale=60",
    )
    await world.until(lambda: answer.held == 1)
    waiter = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    answer.release()
    await leader.expect(206, b"23")
    await waiter.expect(200, BODY)
    (asked,) = world.origin.requests()
    for name in ("if-none-match", "range", "x-http-method-override", "cache-control", "if-range", "expect"):
        assert asked.field(name) is None, name


async def test_coalescing_can_be_switched_off(world: World) -> None:
    world.configure(route={"coalesce": {"enabled": False}})
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(3).send("GET /a")
    await world.until(lambda: answer.held == 3)
    answer.release()
    await clients.expect(200, b"A")
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked("GET /a") == 3


async def test_a_route_without_cache_neither_stores_nor_shares(world: World) -> None:
    world.configure(route={"cache": {"enabled": False}})
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(3).send("GET /a")
    await world.until(lambda: answer.held == 3)
    answer.release()
    await clients.expect(200, b"A")
    assert world.entries == 0
    assert world.outcomes() == {"passed": 3}


@pytest.mark.slow
async def test_a_herd_of_a_thousand_is_one_forward_request(world: World) -> None:
    body = bytes(range(256)) * 40
    answer = world.origin.on("GET /a").hold().reply(200, body, cache_control="max-age=60")
    clients = world.clients(1000).send("GET /a")
    await world.until(lambda: world.seats == 1000)
    answer.release()
    await clients.expect(200, body)
    assert world.origin.asked("GET /a") == 1
