"""Responses as they are passed on: 1xx, trailers, framing for each kind of client."""

from __future__ import annotations

import pytest

from tests.scenario import World


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_early_hints_are_passed_on_before_the_answer(world: World, method: str) -> None:
    rule = world.origin.on(f"{method} /a").hold().early(103, link="</s.css>; rel=preload")
    rule.reply(200, b"A")
    client = world.client().send(f"{method} /a", None if method == "GET" else b"x")
    status, _, fields, _, _ = await client.head()
    assert status == 103
    assert fields.get(b"link") == b"</s.css>; rel=preload"
    assert b"content-length" not in fields
    rule.release()
    await client.expect(200, b"A")


async def test_early_hints_of_a_flight_reach_the_leader(world: World) -> None:
    rule = world.origin.on("GET /a").hold().early(103, link="</s.css>; rel=preload")
    rule.reply(200, b"A", cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: rule.held == 1)
    waiter = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    rule.release()
    assert [status for status, _ in (await leader.expect(200, b"A")).informational] == [103]
    assert (await waiter.expect(200, b"A")).informational == ()


async def test_a_leader_that_leaves_before_early_hints_harms_no_waiter(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    waiter = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    leader.leave()
    await world.until(lambda: world.seats == 1)
    asked.send(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n")
    asked.reply(200, b"A", cache_control="max-age=60")
    await waiter.expect(200, b"A")


async def test_an_http_1_0_client_gets_no_1xx(world: World) -> None:
    world.origin.on("POST /a").early(103, link="</s.css>").reply(200, b"A")
    response = await world.client().send("POST /a", b"x", version="1.0").expect(200, b"A")
    assert response.informational == ()


async def test_a_flood_of_1xx_is_an_error_of_the_origin(world: World) -> None:
    rule = world.origin.on("POST /a")
    for _ in range(30):
        rule.early(102)
    rule.reply(200, b"A")
    response = await world.client().send("POST /a", b"x").expect(502)
    assert len(response.informational) < 30


async def test_trailers_of_a_response_are_dropped_and_nothing_is_out_of_step(world: World) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    world.origin.on("POST /a").raw(head + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
    client = world.client().send("POST /a", b"x")
    response = await client.expect(200, b"abc", trailer=None)
    assert len(response.trailers) == 0
    await client.send("POST /a", b"x").expect(200, b"abc")
    assert world.origin.connections == 1


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_length_stays_a_length(world: World, version: str) -> None:
    world.origin.on("POST /a").reply(200, b"0123456789")
    await (
        world.client()
        .send("POST /a", b"x", version=version)
        .expect(200, b"0123456789", content_length="10", transfer_encoding=None)
    )


async def test_chunks_reach_an_http_1_0_client_without_framing_up_to_the_close(world: World) -> None:
    world.origin.on("POST /a").reply(200, chunks=[b"01234", b"56789"])
    client = world.client().send("POST /a", b"x", version="1.0", connection="keep-alive")
    await client.expect(200, b"0123456789", content_length=None, transfer_encoding=None, connection="close")
    await client.closed()


async def test_a_response_of_http_1_0_is_passed_on_as_1_1(world: World) -> None:
    world.origin.on("POST /a").raw(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nA", then="cut")
    response = await world.client().send("POST /a", b"x").expect(200, b"A", via="1.0 Lockgate")
    assert response.raw_head.startswith(b"HTTP/1.1 200")


async def test_a_missing_date_is_added_and_one_that_is_there_stays(world: World) -> None:
    world.origin.on("POST /a").reply(200)
    await world.client().send("POST /a", b"x").expect(200, date="Fri, 15 Jan 2027 08:00:00 GMT")
    world.origin.on("POST /a").reply(200, date="Thu, 14 Jan 2027 08:00:00 GMT")
    await world.client().send("POST /a", b"x").expect(200, date="Thu, 14 Jan 2027 08:00:00 GMT")


@pytest.mark.parametrize("size", [0, 1, 8191, 65536, 1_000_003])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_of_all_sizes_come_whole(world: World, size: int, chunked: bool) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    rule = world.origin.on("GET /a")
    if chunked:
        rule.reply(
            200, chunks=[body[at : at + 7000] for at in range(0, size, 7000)], cache_control="max-age=60"
        )
    else:
        rule.reply(200, body, cache_control="max-age=60")
    client = world.client()
    for _ in range(2):
        await client.send("GET /a").expect(200, body)
    assert world.origin.asked() == 1
