"""Bytes reach everybody as they come, at each one's own pace."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenario import World

MiB = 1024 * 1024


async def test_who_joins_in_the_middle_of_a_fill_gets_the_beginning_at_once(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(200, length=10, cache_control="max-age=60")
    asked.data(b"01234")
    await leader.head()
    assert await leader.body_octets(5) == b"01234"
    late = world.client().send("GET /a")
    await late.head()
    assert await late.body_octets(5) == b"01234"
    asked.data(b"56789")
    asked.finish()
    assert await leader.body_octets(5) == await late.body_octets(5) == b"56789"
    assert world.outcomes() == {"miss": 1, "collapsed": 1} or world.seats == 0


async def test_who_joins_a_fill_in_chunks_gets_each_piece_when_it_comes(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(200, cache_control="max-age=60")
    asked.data(b"one")
    await leader.head()
    late = world.client().send("GET /a")
    await late.head()
    for client in (leader, late):
        assert await client.body_octets(8) == b"3\r\none\r\n"
    asked.data(b"four")
    for client in (leader, late):
        assert await client.body_octets(9) == b"4\r\nfour\r\n"
    asked.finish()
    for client in (leader, late):
        assert await client.body_octets(5) == b"0\r\n\r\n"


async def test_a_fill_that_came_to_its_end_is_hit_by_the_next(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(200, length=2, cache_control="max-age=60")
    asked.data(b"AB")
    asked.finish()
    await leader.expect(200, b"AB")
    response = await world.client().send("GET /a").expect(200, b"AB")
    assert response.cache_status["hit"] is True


async def test_a_slow_waiter_slows_neither_the_fill_nor_the_others(world: World) -> None:
    body = bytes(range(256)) * 16 * 1024  # 4 MiB: above what sockets buffer
    answer = world.origin.on("GET /a").hold().reply(200, body, cache_control="max-age=60")
    slow = world.client()
    (await slow.wire()).pause()
    slow.send("GET /a")
    fast = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 4)
    answer.release()
    await fast.expect(200, body)
    await world.until(lambda: world.entries == 1)
    (await slow.wire()).resume()
    await slow.expect(200, body)
    assert world.origin.asked() == 1


@pytest.mark.slow
async def test_a_body_too_large_to_store_takes_no_new_waiters_and_is_paced_by_the_fastest(
    world: World,
) -> None:
    world.configure(cache={"max_entry_bytes": 1 * MiB})
    asking = world.origin.on("GET /a").by_hand()
    first = world.client()
    (await first.wire()).pause()
    first.send("GET /a")
    asked = await asking.next()
    asked.head(200, length=16 * MiB, cache_control="max-age=60")
    asked.data(b"x" * (16 * MiB))
    await world.turns(200)
    assert asked.wire.unsent_bytes > 4 * MiB, "the proxy reads on although nobody takes it"
    other = world.origin.on("GET /a").reply(200, b"small", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"small")
    assert other.held == 0
    (await first.wire()).resume()
    response = await first.expect(200)
    assert len(response.body) == 16 * MiB
    asked.finish()


async def test_a_body_that_grows_past_what_is_stored_still_reaches_all_who_wait(world: World) -> None:
    world.configure(cache={"max_entry_bytes": 1 * MiB})
    body = bytes(range(256)) * 8 * 1024
    answer = (
        world.origin.on("GET /a")
        .hold()
        .reply(
            200,
            chunks=[body[start : start + 65536] for start in range(0, len(body), 65536)],
            cache_control="max-age=60",
        )
    )
    clients = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 3)
    answer.release()
    await clients.expect(200, body)
    assert world.entries == 0


async def test_a_reader_that_falls_a_window_behind_is_cut_and_the_fast_one_is_not(world: World) -> None:
    world.configure(cache={"max_entry_bytes": 1 * MiB}, route={"coalesce": {"window_bytes": 1 * MiB}})
    body = b"x" * (16 * MiB)
    answer = world.origin.on("GET /a").hold().reply(200, body, cache_control="max-age=60")
    fast = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    slow = world.client()
    (await slow.wire()).pause()
    slow.send("GET /a")
    await world.until(lambda: world.seats == 2)
    answer.release()
    assert len((await fast.expect(200)).body) == len(body)
    (await slow.wire()).resume()
    assert len(await slow.expect_cut()) < len(body)


async def test_an_event_stream_is_passed_on_at_once_and_joined_by_nobody(world: World) -> None:
    asking = world.origin.on("GET /events").by_hand()
    clients = [world.client().send("GET /events") for _ in range(1)]
    asked = await asking.next()
    asked.head(200, content_type="text/event-stream", cache_control="no-cache")
    await clients[0].head()
    for number in range(3):
        event = b"data: %d\n\n" % number
        asked.data(event)
        octets = b"%x\r\n%b\r\n" % (len(event), event)
        assert await clients[0].body_octets(len(octets)) == octets
    second = world.client().send("GET /events")
    other = await asking.next()
    other.head(200, content_type="text/event-stream", cache_control="no-cache")
    other.data(b"data: x\n\n")
    await second.head()
    assert await second.body_octets(14) == b"9\r\ndata: x\n\n\r\n"
    clients[0].leave()
    second.leave()
    await asyncio.gather(asked.given_up(), other.given_up())


async def test_event_streams_hold_no_slot_of_the_origin(world: World) -> None:
    world.configure(origin={"max_concurrency": 1})
    asking = world.origin.on("GET /events").by_hand()
    stream = world.client().send("GET /events")
    asked = await asking.next()
    asked.head(200, content_type="text/event-stream")
    await stream.head()
    world.origin.on("GET /a").reply(200, b"A")
    await world.client().send("GET /a").expect(200, b"A")
    stream.leave()
    await asked.given_up()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_that_does_not_read_holds_the_origin_back(world: World, method: str) -> None:
    asking = world.origin.on(f"{method} /a").by_hand()
    client = world.client()
    (await client.wire()).pause()
    client.send(f"{method} /a", None if method == "GET" else b"")
    asked = await asking.next()
    await asked.read_body()
    asked.head(200, length=16 * MiB, cache_control="no-store")
    asked.data(b"x" * (16 * MiB))
    await world.turns(200)
    assert asked.wire.unsent_bytes > 4 * MiB
    (await client.wire()).resume()
    assert len((await client.expect(200)).body) == 16 * MiB
    asked.finish()
