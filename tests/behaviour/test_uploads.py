"""Request bodies: streamed with back-pressure, with Content-Length or in chunks; 100-continue."""

from __future__ import annotations

import pytest

from tests.scenario import World

MiB = 1024 * 1024


async def test_a_body_with_a_length_arrives_with_that_length(world: World) -> None:
    world.origin.on("PUT /a").reply(201)
    await world.client().send("PUT /a", b"0123456789").expect(201)
    (asked,) = world.origin.requests()
    assert asked.body == b"0123456789"
    assert asked.field("content-length") == "10"
    assert asked.field("transfer-encoding") is None


async def test_a_body_in_chunks_arrives_in_chunks(world: World) -> None:
    world.origin.on("PUT /a").reply(201)
    await world.client().send("PUT /a", chunks=[b"one", b"two"]).expect(201)
    (asked,) = world.origin.requests()
    assert asked.body == b"onetwo"
    assert asked.field("transfer-encoding") == "chunked"
    assert asked.field("content-length") is None


@pytest.mark.parametrize("how", [{"body": b""}, {"chunks": []}], ids=["length", "chunked"])
async def test_an_empty_body_arrives_as_one(world: World, how: dict[str, object]) -> None:
    world.origin.on("POST /a").reply(200, b"A")
    client = world.client()
    for _ in range(2):
        await client.send("POST /a", **how).expect(200, b"A")
    assert [asked.body for asked in world.origin.requests()] == [b"", b""]


async def test_chunk_extensions_and_trailers_of_a_request_are_dropped(world: World) -> None:
    world.origin.on("POST /a").reply(200, b"A")
    client = world.client().send_raw(
        b"POST /a HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"3;ext=1\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
        "POST",
    )
    await client.expect(200, b"A")
    (asked,) = world.origin.requests()
    assert asked.body == b"abc"
    assert len(asked.trailers) == 0
    assert asked.field("trailer") is None
    await client.closed()  # no next request shall be read with these trailers among its fields


async def test_a_body_is_passed_on_piece_by_piece(world: World) -> None:
    asking = world.origin.on("PUT /a").by_hand()
    client = world.client().send_raw(
        b"PUT /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 10\r\n\r\n01234", "PUT"
    )
    asked = await asking.next()
    assert await asked.wire.take(5) == b"01234"
    client.send_raw(b"56789")
    assert await asked.wire.take(5) == b"56789"
    asked.reply(204)
    await client.expect(204)


@pytest.mark.slow
async def test_an_origin_that_reads_nothing_holds_the_client_back(world: World) -> None:
    asking = world.origin.on("PUT /a").by_hand()
    size = 32 * MiB
    client = world.client().send_raw(
        b"PUT /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: %d\r\n\r\n" % size, "PUT"
    )
    asked = await asking.next()
    asked.wire.pause()
    client.send_raw(b"x" * size)
    await world.turns(300)
    assert (await client.wire()).unsent_bytes > 8 * MiB, "the proxy reads on although the origin does not"
    asked.wire.resume()
    await asked.wire.take(size)
    asked.reply(204)
    await client.expect(204)


async def test_a_body_above_the_limit_is_answered_413_and_the_client_reads_it(world: World) -> None:
    world.configure(route={"max_request_body_bytes": 100})
    client = world.client().send("PUT /a", b"x" * 101)
    await client.expect(413, connection="close")
    await client.closed()
    assert world.origin.asked() == 0


async def test_a_chunked_body_above_the_limit_is_answered_413(world: World) -> None:
    world.configure(route={"max_request_body_bytes": 100})
    asking = world.origin.on("PUT /a").by_hand()
    client = world.client().send("PUT /a", chunks=[b"x" * 60, b"y" * 60])
    await client.expect(413)
    asked = await asking.next()
    await asked.given_up()


async def test_an_early_answer_to_an_unfinished_upload_reaches_the_client(world: World) -> None:
    asking = world.origin.on("PUT /a").by_hand()
    client = world.client().send_raw(
        b"PUT /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000000\r\n\r\nbegin", "PUT"
    )
    asked = await asking.next()
    asked.reply(403, b"no")
    response = await client.expect(403, b"no")
    assert response.field("connection") == "close"
    client.send_raw(b"x" * 100_000)  # it had not read the answer yet: not reset under its hands
    await client.closed()


async def test_an_error_of_the_origin_during_an_upload_closes_the_connection(world: World) -> None:
    asking = world.origin.on("PUT /a").by_hand()
    client = world.client().send_raw(
        b"PUT /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000\r\n\r\nbegin", "PUT"
    )
    (await asking.next()).cut()
    await client.expect(502, connection="close")
    await client.closed()


async def test_a_client_that_leaves_its_upload_is_no_whole_request_to_the_origin(world: World) -> None:
    asking = world.origin.on("PUT /a").by_hand()
    client = world.client().send_raw(
        b"PUT /a HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n", "PUT"
    )
    asked = await asking.next()
    client.leave()
    await asked.given_up()
    assert bytes(asked.wire.received) == b"5\r\n01234\r\n"


@pytest.mark.parametrize(
    "chunks",
    [b"5 \r\n01234\r\n0\r\n\r\n", b"5\n01234\n0\n\n", b"-1\r\n", b"5\r\n01234XX0\r\n\r\n", b"g\r\n"],
)
async def test_a_malformed_chunk_of_a_request_is_answered_400(world: World, chunks: bytes) -> None:
    asking = world.origin.on("PUT /a").by_hand()
    client = world.client().send_raw(
        b"PUT /a HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "PUT"
    )
    await client.expect(400)
    await client.closed()
    if world.origin.asked():
        await (await asking.next()).given_up()


async def test_a_client_that_stops_in_the_middle_of_its_body_is_answered_408(world: World) -> None:
    world.configure(limits={"body_timeout_s": 0.02})
    asking = world.origin.on("PUT /a").by_hand()
    client = world.client().send_raw(
        b"PUT /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 10\r\n\r\n01234", "PUT"
    )
    await client.expect(408)
    await (await asking.next()).given_up()


# Expect: 100-continue

EXPECTING = b"PUT /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


async def test_a_continue_of_the_origin_lets_the_client_send(world: World) -> None:
    asking = world.origin.on("PUT /a", expect="100-continue").by_hand()
    client = world.client().send_raw(EXPECTING, "PUT")
    asked = await asking.next()
    await world.turns()
    await client.quiet()
    asked.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    status, *_ = await client.head()
    assert status == 100
    client.send_raw(b"01234")
    assert await asked.read_body() == b"01234"
    asked.reply(201)
    response = await client.expect(201)
    assert response.informational == ()


async def test_an_origin_that_ignores_the_expectation_is_sent_the_body_after_a_while(world: World) -> None:
    world.configure(origin={"expect_timeout_s": 0.01})
    asking = world.origin.on("PUT /a").by_hand()
    client = world.client().send_raw(EXPECTING, "PUT")
    asked = await asking.next()
    status, *_ = await client.head()
    assert status == 100
    client.send_raw(b"01234")
    assert await asked.read_body() == b"01234"
    asked.reply(201)
    await client.expect(201)


@pytest.mark.parametrize("status", [413, 417, 401])
async def test_an_origin_that_refuses_before_the_body_spares_it(world: World, status: int) -> None:
    asking = world.origin.on("PUT /a").by_hand()
    client = world.client().send_raw(EXPECTING, "PUT")
    asked = await asking.next()
    asked.reply(status, b"no")
    response = await client.expect(status, b"no")
    assert response.informational == ()
    assert not asked.wire.received
    await client.closed()


async def test_a_client_that_sends_its_body_without_waiting_is_no_trouble(world: World) -> None:
    world.configure(origin={"expect_timeout_s": 0.01})
    world.origin.on("PUT /a").reply(201)
    client = world.client().send_raw(EXPECTING + b"01234", "PUT")
    await client.expect(201)
    assert world.origin.requests()[0].body == b"01234"
    await client.send("PUT /a", b"again").expect(201)


async def test_an_expectation_of_http_1_0_is_ignored(world: World) -> None:
    world.origin.on("PUT /a").reply(201)
    await (
        world.client()
        .send_raw(
            EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0") + b"01234",
            "PUT",
        )
        .expect(201)
    )
    assert world.origin.requests()[0].field("expect") is None


@pytest.mark.parametrize("expectation", ["200-ok", "100-continue, x", "magic"])
async def test_another_expectation_is_answered_417(world: World, expectation: str) -> None:
    await world.client().send("PUT /a", b"x", expect=expectation).expect(417)
    assert world.origin.asked() == 0


async def test_a_body_that_is_refused_for_its_length_is_never_asked_for(world: World) -> None:
    world.configure(route={"max_request_body_bytes": 3})
    client = world.client().send_raw(EXPECTING, "PUT")
    response = await client.expect(413)
    assert response.informational == ()
    await client.closed()
