"""Client connections: keep-alive, pipelining, HTTP/1.0, and the retry on the origin's side."""

from __future__ import annotations

import pytest

from tests.scenario import World


async def test_a_connection_carries_many_exchanges(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    world.origin.on("POST /p").reply(200, b"P")
    client = world.client()
    for _ in range(3):
        await client.send("GET /a").expect(200, b"A", connection=None)
        await client.send("POST /p", b"x").expect(200, b"P", connection=None)
        await client.send("HEAD /a").expect(200, b"")
        await client.send("GET /a", if_none_match="*").expect(304, b"")
    assert world.proxy.statistics().accepted == 1


async def test_connection_close_is_answered_and_done(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    client = world.client().send("GET /a", connection="close")
    await client.expect(200, b"A", connection="close")
    await client.closed()


async def test_an_http_1_0_client_is_closed_after_its_answer(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    client = world.client().send("GET /a", version="1.0")
    await client.expect(200, b"A", connection="close")
    await client.closed()


async def test_an_http_1_0_client_may_keep_its_connection(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    client = world.client()
    for _ in range(3):
        await client.send("GET /a", version="1.0", connection="keep-alive").expect(
            200, b"A", connection="keep-alive"
        )


async def test_pipelined_requests_are_answered_in_order_slow_and_fast_ones(world: World) -> None:
    slow = world.origin.on("GET /slow").hold().reply(200, b"S", cache_control="max-age=60")
    world.origin.on("GET /fast").reply(200, b"F", cache_control="max-age=60")
    world.origin.on("POST /p").answer(lambda asked: asked.reply(200, asked.body))
    await world.client().send("GET /fast").expect(200, b"F")
    one = b"%b HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    client = world.client().send_raw(
        one % b"GET /slow"
        + one % b"GET /fast"
        + b"POST /p HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nbody"
        + one % b"HEAD /fast"
        + one % b"GET /fast",
        "GET",
        "GET",
        "POST",
        "HEAD",
        "GET",
    )
    await world.until(lambda: slow.held == 1)
    await world.turns()
    await client.quiet()
    slow.release()
    for body in (b"S", b"F", b"body", b"", b"F"):
        await client.expect(200, body)


async def test_more_pipelined_requests_than_are_read_ahead_are_all_answered(world: World) -> None:
    world.configure(limits={"max_pipelined": 4})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    count = 200
    client = world.client().send_raw(
        b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n" * count, *["GET"] * count
    )
    for _ in range(count):
        await client.expect(200, b"A")
    assert world.origin.asked() == 1


async def test_a_request_cut_into_single_octets_is_understood(world: World) -> None:
    world.origin.on("POST /a").answer(lambda asked: asked.reply(200, asked.body))
    octets = (
        b"POST /a HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    client = world.client()
    await client.wire()
    for at in range(len(octets)):
        client.send_raw(octets[at : at + 1], *(["POST"] if at == 0 else []))
        await world.turns(2)
    await client.expect(200, b"abc")


async def test_after_bad_octets_nothing_of_the_connection_is_answered(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    client = world.client().send("GET /a")
    await client.expect(200, b"A")
    client.send_raw(b"BAD OCTETS\r\n\r\nGET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n", "BAD")
    await client.expect(501)
    await client.closed()


async def test_a_head_that_is_not_finished_in_time_is_answered_408(world: World) -> None:
    world.configure(limits={"head_timeout_s": 0.02})
    client = world.client().send_raw(b"GET /a HTTP/1.1\r\nHost: ", "GET")
    await client.expect(408)
    await client.closed()


async def test_an_idle_connection_is_closed_without_a_word(world: World) -> None:
    world.configure(limits={"idle_timeout_s": 0.02})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    client = world.client().send("GET /a")
    await client.expect(200, b"A")
    await client.closed()


async def test_a_client_that_never_reads_is_cut_off(world: World) -> None:
    world.configure(limits={"write_timeout_s": 0.05})
    world.origin.on("GET /a").reply(200, b"x" * 16 * 1024 * 1024, cache_control="max-age=60")
    client = world.client()
    wire = await client.wire()
    wire.pause()
    client.send("GET /a")
    await world.until(lambda: world.proxy.statistics().proxy.exchanges.aborted == 1)
    wire.resume()
    await client.expect_cut()


async def test_an_empty_line_before_a_request_is_forgiven(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A")
    await world.client().send_raw(b"\r\nGET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n", "GET").expect(200)


# kept connections to the origin


async def test_connections_to_the_origin_are_kept_and_used_again(world: World) -> None:
    world.origin.on("POST /a").reply(200)
    for _ in range(5):
        await world.client().send("POST /a", b"x").expect(200)
    assert world.origin.connections == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
async def test_a_kept_connection_that_died_is_forgiven_what_may_be_repeated(
    world: World, method: str
) -> None:
    world.origin.on("GET /first").reply(200)
    await world.client().send("GET /first", authorization="x").expect(200)
    dying = world.origin.on(f"{method} /a").by_hand()
    client = world.client().send(f"{method} /a")
    asked = await dying.next()
    world.origin.on(f"{method} /a").reply(200)
    asked.cut()
    await client.expect(200)
    assert world.origin.asked(f"{method} /a") == 2
    assert world.origin.connections == 2


@pytest.mark.parametrize(
    ("method", "body"), [("POST", b"x"), ("POST", b""), ("POST", None), ("PATCH", None), ("PUT", b"x")]
)
async def test_a_write_is_never_sent_a_second_time(world: World, method: str, body: bytes | None) -> None:
    world.origin.on("GET /first").reply(200)
    await world.client().send("GET /first", authorization="x").expect(200)
    world.origin.on(f"{method} /a").raw(b"", then="cut")
    await world.client().send(f"{method} /a", body).expect(502)
    assert world.origin.asked(f"{method} /a") == world.origin.connections == 1


async def test_a_new_connection_that_dies_is_not_tried_again(world: World) -> None:
    world.origin.on("GET /a").raw(b"", then="cut")
    await world.client().send("GET /a").expect(502)
    assert world.origin.asked() == 1


async def test_a_connection_that_died_after_some_octets_is_not_tried_again(world: World) -> None:
    world.origin.on("GET /first").reply(200)
    await world.client().send("GET /first", authorization="x").expect(200)
    world.origin.on("GET /a").raw(b"HTTP/1.1 200", then="cut")
    await world.client().send("GET /a").expect(502)
    assert world.origin.asked("GET /a") == 1


async def test_a_write_takes_no_connection_that_was_idle_for_a_second(world: World) -> None:
    world.origin.on("POST /a").reply(200)
    await world.client().send("POST /a", b"x").expect(200)
    world.clock.advance(1.1)
    await world.client().send("POST /a", b"x").expect(200)
    assert world.origin.connections == 2
