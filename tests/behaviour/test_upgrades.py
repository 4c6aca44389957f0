"""Protocol switches: WebSocket through, others answered as if they had not been asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.scenario import World

SocketHandler = Callable[[web.WebSocketResponse], Awaitable[None]]

UPGRADE = {"connection": "Upgrade", "upgrade": "websocket"}
HANDSHAKE = {**UPGRADE, "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==", "sec_websocket_version": "13"}


@asynccontextmanager
async def websocket(world: World, talk: SocketHandler) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A client's socket through Lockgate to an origin that talks like this."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.WebSocketResponse(max_msg_size=0, protocols=("chat",))
        await answer.prepare(request)
        await talk(answer)
        return answer

    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    world.configure(origin={"addresses": [f"http://127.0.0.1:{port}"]})
    server = await world.started()
    world.unseen_exchanges = 1
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"http://{server.addresses[0]}/chat?room=1", max_msg_size=0, protocols=("chat",)
            ) as socket,
        ):
            yield socket
    finally:
        await runner.cleanup()


async def echo(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)


async def test_messages_pass_both_ways(world: World) -> None:
    async with websocket(world, echo) as socket:
        assert socket.protocol == "chat"
        for text in ("one", "", "zwei ✓"):
            await socket.send_str(text)
            assert await socket.receive_str() == text


async def test_big_messages_pass_both_ways_at_once(world: World) -> None:
    size = 3 * 1024 * 1024

    async def talk(socket: web.WebSocketResponse) -> None:
        _, received = await asyncio.gather(socket.send_bytes(b"d" * size), socket.receive_bytes())
        assert received == b"u" * size
        await socket.send_str("whole")
        await socket.receive()

    async with websocket(world, talk) as socket:
        _, received = await asyncio.gather(socket.send_bytes(b"u" * size), socket.receive_bytes())
        assert received == b"d" * size
        assert await socket.receive_str() == "whole"


async def test_the_clients_close_reaches_the_origin(world: World) -> None:
    closed = asyncio.get_running_loop().create_future()

    async def talk(socket: web.WebSocketResponse) -> None:
        message = await socket.receive()
        closed.set_result((message.type, socket.close_code))

    async with websocket(world, talk) as socket:
        await socket.close(code=4001)
        assert await closed == (aiohttp.WSMsgType.CLOSE, 4001)


async def test_the_origins_close_reaches_the_client(world: World) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.close(code=4002, message=b"done")

    async with websocket(world, talk) as socket:
        message = await socket.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == 4002


async def test_a_ping_of_the_client_is_answered_by_the_origin(world: World) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    async with websocket(world, talk) as socket:
        await socket.ping(b"there?")
        # The client answers pongs by itself; that the origin still talks afterwards is what can be seen.
        await socket.send_str("after")


async def test_octets_after_the_switch_are_not_read_as_http(world: World) -> None:
    asking = world.origin.on("GET /ws").by_hand()
    client = world.client().send("GET /ws", **HANDSHAKE)
    client.send_raw(b"GET /evil HTTP/1.1\r\n\r\n\x00\xff")
    asked = await asking.next()
    assert asked.field("upgrade") == "websocket"
    assert (asked.field("connection") or "").lower() == "upgrade"
    asked.send(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
    response = await client.expect(101, upgrade="websocket")
    assert (response.field("connection") or "").lower() == "upgrade"
    assert await client.body_octets(5) == b"hello"
    assert await asked.wire.take(24) == b"GET /evil HTTP/1.1\r\n\r\n\x00\xff"
    asked.cut()
    await client.closed()


async def test_what_a_client_sent_before_it_closed_a_tunnel_reaches_the_origin(world: World) -> None:
    asking = world.origin.on("GET /ws").by_hand()
    client = world.client().send("GET /ws", **HANDSHAKE)
    asked = await asking.next()
    asked.send(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    await client.expect(101)
    client.send_raw(b"last")
    (await client.wire()).half_close()
    assert await asked.wire.take(4) == b"last"
    await asked.given_up()
    await client.closed()


async def test_a_tunnel_that_breaks_at_the_origin_is_cut_for_the_client(world: World) -> None:
    asking = world.origin.on("GET /ws").by_hand()
    client = world.client().send("GET /ws", **HANDSHAKE)
    asked = await asking.next()
    asked.send(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    await client.expect(101)
    asked.reset()
    await client.closed()


async def test_a_client_that_leaves_a_tunnel_ends_it_at_the_origin(world: World) -> None:
    asking = world.origin.on("GET /ws").by_hand()
    client = world.client().send("GET /ws", **HANDSHAKE)
    asked = await asking.next()
    asked.send(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    await client.expect(101)
    client.leave(reset=True)
    await asked.given_up()


async def test_an_origin_that_refuses_the_switch_is_passed_on(world: World) -> None:
    world.origin.on("GET /ws").reply(426, b"no", upgrade="websocket")
    client = world.client().send("GET /ws", **HANDSHAKE)
    await client.expect(426, b"no", connection="close")
    await client.closed()


async def test_upgrades_hold_no_slot_of_the_origin(world: World) -> None:
    world.configure(origin={"max_concurrency": 1})
    asking = world.origin.on("GET /ws").by_hand()
    client = world.client().send("GET /ws", **HANDSHAKE)
    asked = await asking.next()
    asked.send(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    await client.expect(101)
    world.origin.on("GET /a").reply(200)
    await world.client().send("GET /a").expect(200)
    client.leave()
    await asked.given_up()


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        pytest.param({"connection": "Upgrade", "upgrade": "foo"}, "1.1", id="unknown-protocol"),
        pytest.param({"upgrade": "websocket"}, "1.1", id="not-named-by-connection"),
        pytest.param({"connection": "Upgrade", "upgrade": "websocket"}, "1.0", id="http-1.0"),
        pytest.param(
            {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABk"},
            "1.1",
            id="h2c",
        ),
    ],
)
async def test_an_upgrade_that_is_not_passed_is_answered_as_if_it_had_not_been_asked_for(
    world: World, fields: dict[str, str], version: str
) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    for _ in range(2):
        client = world.client().send("GET /a", version=version, **fields)
        await client.expect(200, b"A", upgrade=None)
    (asked,) = world.origin.requests()
    for name in ("upgrade", "http2-settings", "connection"):
        assert asked.field(name) is None


async def test_what_follows_an_upgrade_that_is_not_passed_is_no_second_request(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A")
    one = b"GET /a HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    client = world.client().send_raw(one + b"GET /evil HTTP/1.1\r\nHost: shop.example\r\n\r\n", "GET")
    await client.expect(200, b"A", connection="close")
    await client.closed()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("segments", ["one", "two", "three"])
async def test_an_h2c_upgrade_with_a_body_as_java_sends_it_works(
    world: World, framing: str, segments: str
) -> None:
    world.origin.on("POST /a").answer(lambda asked: asked.reply(200, asked.body))
    head = (
        b"POST /a HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"%b\r\nHost: shop.example\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        b"Upgrade: h2c\r\nUser-Agent: Java-http-client/21\r\n\r\n"
    ) % (b"Content-Length: 10" if framing == "length" else b"Transfer-Encoding: chunked")
    body = b"0123456789" if framing == "length" else b"a\r\n0123456789\r\n0\r\n\r\n"
    parts = {"one": [head + body], "two": [head, body], "three": [head, body[:4], body[4:]]}[segments]
    client = world.client()
    await client.wire()
    for number, part in enumerate(parts):
        client.send_raw(part, *(["POST"] if number == 0 else []))
        await world.turns()
    await client.expect(200, b"0123456789", connection="close")
    await client.closed()


async def test_a_route_may_pass_another_protocol(world: World) -> None:
    world.configure(route={"upgrades": ["echo"]})
    asking = world.origin.on("GET /a").by_hand()
    client = world.client().send("GET /a", connection="upgrade", upgrade="Echo")
    asked = await asking.next()
    asked.send(b"HTTP/1.1 101 x\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
    await client.expect(101, upgrade="echo")
    client.send_raw(b"ping")
    asked.send(await asked.wire.take(4))
    assert await client.body_octets(4) == b"ping"
    asked.cut()
    await client.closed()


async def test_a_switch_that_nobody_asked_for_is_an_error_of_the_origin(world: World) -> None:
    world.origin.on("GET /a").raw(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
    await world.client().send("GET /a").expect(502)
