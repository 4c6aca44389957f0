"""The origin does not answer, or answers with an error: one fetch, and everybody told at once."""

from __future__ import annotations

import pytest

from tests.scenario import World

STALE = {"cache_control": "max-age=60", "etag": '"1"'}


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_after_an_error_of_the_origin_waiters_are_told_the_fact_and_ask_no_more(
    world: World, status: int
) -> None:
    answer = world.origin.on("GET /a").hold().reply(status, b"secret of the leader")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 6)
    answer.release()
    await leader.expect(status, b"secret of the leader")
    for response in await waiters.expect(503, retry_after="2"):
        assert b"secret" not in response.body
        assert response.field("cache-control") == "no-store"
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "failed": 5}


async def test_an_error_is_not_waited_for_longer_than_it_lasts(world: World) -> None:
    world.origin.on("GET /a").reply(500, b"no")
    await world.client().send("GET /a").expect(500)
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"A")


async def test_everybody_gets_the_stale_copy_after_an_error_of_the_origin(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", **STALE)
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(100)
    answer = world.origin.on("GET /a").hold().reply(503, b"no")
    clients = world.clients(6).send("GET /a")
    await world.until(lambda: world.seats == 6)
    answer.release()
    for response in await clients.expect(200, b"old", age="100"):
        assert response.cache_status["ttl"] == -40
    assert world.origin.asked() == 2
    assert world.outcomes() == {"miss": 1, "stale": 6}


@pytest.mark.parametrize(
    "forbidding",
    [
        "max-age=60, must-revalidate",
        "max-age=60, proxy-revalidate",
        "s-maxage=60",
        "max-age=60, stale-if-error=0",
    ],
)
async def test_stale_is_not_served_where_the_answer_forbids_it(world: World, forbidding: str) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control=forbidding, etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(100)
    world.origin.on("GET /a").reply(500, b"no")
    await world.client().send("GET /a").expect(500, b"no")


@pytest.mark.parametrize("said", ["max-age=60", "max-age=60, stale-if-error=100"])
async def test_stale_if_error_ends_with_its_window(world: World, said: str) -> None:
    world.configure(route={"cache": {"stale_if_error_s": 100}})
    world.origin.on("GET /a").reply(200, b"old", cache_control=said, etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on("GET /a").reply(500, b"no")
    world.clock.advance(159)
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(2)
    await world.client().send("GET /a").expect(500, b"no")


async def test_an_origin_that_dies_before_the_head_fails_everybody_at_once(world: World) -> None:
    answer = world.origin.on("GET /a").hold().raw(b"", then="cut")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 6)
    answer.release()
    await leader.expect(502)
    await waiters.expect(503, retry_after="2")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"failed": 6}


async def test_an_unreachable_origin_is_tried_once_for_a_herd_and_not_at_once_again(world: World) -> None:
    await world.started()
    world.origin.refuse()
    await world.client().send("GET /a").expect(502, retry_after="2")
    tried = world.proxy.statistics().origins["shop"].connect_failures
    clients = world.clients(5).send("GET /a")
    await clients.expect(503, retry_after="2")
    assert world.proxy.statistics().origins["shop"].connect_failures == tried
    assert world.outcomes() == {"failed": 6}


async def test_an_unreachable_origin_is_asked_again_after_a_moment(world: World) -> None:
    await world.started()
    world.origin.refuse()
    await world.client().send("GET /a").expect(502)
    await world.origin.listen()
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    world.clock.advance(1.1)
    await world.client().send("GET /a").expect(200, b"A")


async def test_stale_stands_in_for_an_unreachable_origin(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", **STALE)
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(100)
    world.origin.refuse()
    await world.clients(5).send("GET /a").expect(200, b"old")
    await world.clients(5).send("GET /a").expect(200, b"old")
    assert world.outcomes() == {"miss": 1, "stale": 10}


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 1\n\nA", id="bare-LF"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nA", id="two-lengths"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nA", id="two-framings"
        ),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", id="another-protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\nA", id="folded"),
    ],
)
async def test_a_malformed_head_of_the_origin_is_answered_502(world: World, octets: bytes) -> None:
    world.origin.on("GET /a").raw(octets, then="cut")
    await world.client().send("GET /a").expect(502)
    assert world.entries == 0


async def test_an_origin_without_an_answer_in_time_is_a_504(world: World) -> None:
    world.configure(origin={"first_byte_timeout_s": 0.02})
    answer = world.origin.on("GET /a").hold().reply(200, b"late")
    leader = world.client().send("GET /a")
    await leader.expect(504)
    answer.release()


@pytest.mark.parametrize("status", [400, 401, 403, 406, 413, 416, 431])
async def test_an_answer_about_the_leader_elects_a_new_leader_once(world: World, status: int) -> None:
    bad = world.origin.on("GET /a", x_bad="yes").hold().reply(status, b"you")
    leader = world.client().send("GET /a", x_bad="yes")
    await world.until(lambda: bad.held == 1)
    waiters = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 6)
    good = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    bad.release()
    await leader.expect(status, b"you")
    await world.until(lambda: world.seats == 5 and good.held == 1)
    good.release()
    await waiters.expect(200, b"A")
    assert world.origin.asked() == 2
    assert world.outcomes() == {"miss": 2, "collapsed": 4}


async def test_after_two_leaders_at_fault_the_rest_is_released(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(403, b"no")
    clients = world.clients(6).send("GET /a")
    await world.until(lambda: world.seats == 6 and answer.held == 1)
    answer.release(1)
    await world.until(lambda: world.origin.asked() == 2 and answer.held == 1)
    assert world.origin.asked() == 2
    answer.release(1)
    await world.until(lambda: answer.held == 4)
    answer.release()
    await clients.expect(403, b"no")
    assert world.origin.asked() == 6
