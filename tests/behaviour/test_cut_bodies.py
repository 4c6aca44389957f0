"""A body that breaks off is never taken for whole, and never stored."""

from __future__ import annotations

import pytest

from tests.scenario import World

LENGTH_HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"5\r\n01234\r\na\r\n0123456789\r\n0\r\n\r\n"
PRIVATE_HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 10\r\n\r\n"


async def herd_is_cut(world: World, octets: bytes, then: str) -> None:
    answer = world.origin.on("GET /a").hold().raw(octets, then=then)
    clients = world.clients(3).send("GET /a")
    old = world.client().send("GET /a", version="1.0", connection="keep-alive")
    await world.until(lambda: world.seats == 4 and answer.held == 1)
    answer.release()
    for got in await clients.expect_cut():
        assert b"0123401234567890".startswith(got) or b"0123456789".startswith(got)
    await old.expect_cut()
    assert world.origin.asked() == 1
    assert world.entries == 0
    world.origin.on("GET /a").reply(200, b"whole", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"whole")


@pytest.mark.parametrize("offset", range(10))
@pytest.mark.parametrize("then", ["cut", "reset"])
async def test_a_body_with_a_length_that_is_cut_reaches_nobody_as_whole(
    world: World, offset: int, then: str
) -> None:
    await herd_is_cut(world, LENGTH_HEAD + b"0123456789"[:offset], then)


@pytest.mark.parametrize("offset", range(len(CHUNKS)))
async def test_a_body_in_chunks_that_is_cut_reaches_nobody_as_whole(world: World, offset: int) -> None:
    await herd_is_cut(world, CHUNKED_HEAD + CHUNKS[:offset], "cut")


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(b"5\r\n01234XX", id="no-CRLF-after-a-chunk"),
        pytest.param(b"5 \r\n01234\r\n0\r\n\r\n", id="blank-after-the-size"),
        pytest.param(b"-5\r\n01234\r\n0\r\n\r\n", id="sign"),
        pytest.param(b"0x5\r\n01234\r\n0\r\n\r\n", id="hex-prefix"),
        pytest.param(b"5\n01234\n0\n\n", id="bare-LF"),
        pytest.param(b"fffffffffffffffff\r\n01234", id="too-large"),
    ],
)
async def test_malformed_chunks_reach_nobody_as_whole(world: World, chunks: bytes) -> None:
    await herd_is_cut(world, CHUNKED_HEAD + chunks, "keep")


@pytest.mark.parametrize("offset", [0, 1, 9])
async def test_a_body_that_is_not_for_sharing_is_cut_for_its_client(world: World, offset: int) -> None:
    world.origin.on("GET /a").raw(PRIVATE_HEAD + b"0123456789"[:offset], then="cut")
    await world.client().send("GET /a").expect_cut()


@pytest.mark.parametrize("offset", [0, 1, 9])
async def test_a_body_that_is_passed_through_is_cut_for_its_client(world: World, offset: int) -> None:
    world.origin.on("POST /a").raw(LENGTH_HEAD + b"0123456789"[:offset], then="cut")
    await world.client().send("POST /a", b"x").expect_cut()


async def test_an_http_1_0_client_sees_a_reset_and_no_clean_end(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    client = world.client().send("GET /a", version="1.0")
    asked = await asking.next()
    asked.send(CHUNKED_HEAD + b"5\r\n01234\r\n")
    status, _, fields, _, _ = await client.head()
    assert status == 200
    assert b"content-length" not in fields
    assert b"transfer-encoding" not in fields
    assert await client.body_octets(5) == b"01234"
    asked.cut()
    wire = await client.wire()
    await wire.until(lambda: wire.lost, "end", dead=True)
    assert wire.was_reset


async def test_a_surplus_after_the_body_is_dropped_with_its_connection(world: World) -> None:
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"
    world.origin.on("GET /a").raw(LENGTH_HEAD + b"0123456789" + evil)
    world.origin.on("GET /b").reply(200, b"good", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"0123456789")
    await world.client().send("GET /b").expect(200, b"good")
    assert world.origin.connections == 2


async def test_an_answer_on_an_idle_connection_answers_nobody(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"A")
    world.origin.requests()[0].send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")
    world.origin.on("GET /b").reply(200, b"good", cache_control="max-age=60")
    await world.client().send("GET /b").expect(200, b"good")


async def test_a_fill_that_stalls_is_cut_after_its_time(world: World) -> None:
    world.configure(origin={"between_bytes_timeout_s": 0.02})
    asking = world.origin.on("GET /a").by_hand()
    clients = world.clients(3).send("GET /a")
    asked = await asking.next()
    await world.until(lambda: world.seats == 3)
    asked.send(LENGTH_HEAD + b"012")
    assert await clients.expect_cut() == [b"012"] * 3
    await asked.given_up()
    assert world.entries == 0
