"""Upgraded connections: octets both ways, each direction with its own end."""

from __future__ import annotations

import pytest

from proxy.errors import OriginBodyCut, OriginProtocolError
from proxy.http.fields import Fields
from proxy.origin.exchange import Exchange
from proxy.origin.port import ForwardRequest
from proxy.tasks import spawn
from tests.origin.asking import HOST, ask
from tests.origin.conftest import Connect
from tests.origin.request_bodies import ScriptedBody
from tests.origin.scripted import Peer, ScriptedOrigin
from tests.origin.waiting import Gate, soon, turns

SWITCH = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"


def upgrade(offered: bytes = b"websocket", **parts: object) -> ForwardRequest:
    return ForwardRequest("GET", b"/chat", Fields([HOST]), upgrade=offered, **parts)  # type: ignore[arg-type]


async def switched(scripted: ScriptedOrigin, connect: Connect, octets: bytes = b"") -> tuple[Exchange, Peer]:
    asking = ask(connect(scripted.url), upgrade())
    peer = await scripted.accept()
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in await peer.expect_head()
    peer.send(SWITCH + octets)
    return await soon(asking), peer


async def test_octets_in_the_heads_segment_belong_to_the_tunnel(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    response, peer = await switched(scripted, connect, b"first\r\n\r\nHTTP/1.1 ")
    tunnel = response.tunnel
    assert tunnel is not None
    assert await soon(tunnel.read()) == b"first\r\n\r\nHTTP/1.1 "
    peer.send(b"second")
    assert await soon(tunnel.read()) == b"second"
    await soon(tunnel.write(b"back"))
    await peer.expect(b"back")
    assert await soon(response.read()) == b""
    response.close()
    await peer.closed()


async def test_each_direction_ends_by_itself(scripted: ScriptedOrigin, connect: Connect) -> None:
    response, peer = await switched(scripted, connect)
    tunnel = response.tunnel
    assert tunnel is not None
    peer.half_close()
    assert await soon(tunnel.read()) == b""
    await soon(tunnel.write(b"still here"))
    await peer.expect(b"still here")
    tunnel.write_eof()
    await peer.closed()
    response.close()


async def test_our_end_leaves_the_origins_direction_open(scripted: ScriptedOrigin, connect: Connect) -> None:
    response, peer = await switched(scripted, connect)
    tunnel = response.tunnel
    assert tunnel is not None
    tunnel.write_eof()
    await peer.closed()
    peer.send(b"late")
    assert await soon(tunnel.read()) == b"late"
    tunnel.close()
    tunnel.close()
    response.close()


async def test_a_reset_is_an_error(scripted: ScriptedOrigin, connect: Connect) -> None:
    response, peer = await switched(scripted, connect, b"x")
    tunnel = response.tunnel
    assert tunnel is not None
    assert await soon(tunnel.read()) == b"x"
    peer.reset()
    with pytest.raises(OriginBodyCut, match="broke"):
        await soon(tunnel.read())
    with pytest.raises(OriginBodyCut, match="closed"):
        await soon(tunnel.write(b"y"))
    response.close()


async def test_writing_waits_while_the_origin_is_slow(scripted: ScriptedOrigin, connect: Connect) -> None:
    response, peer = await switched(scripted, connect)
    tunnel = response.tunnel
    assert tunnel is not None
    peer.pause_reading()
    size = 12 * 1024 * 1024  # more than the kernel takes
    writing = spawn(tunnel.write(b"x" * size), name="write")
    await turns(200)
    assert not writing.done()
    peer.resume_reading()
    await peer.expect(b"x" * size)
    await soon(writing)
    response.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
    ],
)
async def test_a_switch_to_what_was_not_offered_is_an_error(
    scripted: ScriptedOrigin, connect: Connect, octets: bytes
) -> None:
    asking = ask(connect(scripted.url), upgrade())
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(octets)
    with pytest.raises(OriginProtocolError, match="switched"):
        await soon(asking)
    await peer.closed()


async def test_a_switch_before_the_request_is_complete_is_an_error(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    asking = ask(connect(scripted.url), upgrade(body=ScriptedBody(b"x", Gate(), length=2)))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(SWITCH)
    with pytest.raises(OriginProtocolError, match="before the request was complete"):
        await soon(asking)


async def test_a_tunnel_counts_for_balancing_until_it_is_closed(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    asking = ask(client, upgrade())
    peer = await scripted.accept()
    peer.send(SWITCH)
    response = await soon(asking)
    assert client.statistics().outstanding == 0
    assert client.statistics().addresses[0].outstanding == 1
    response.close()
    assert client.statistics().addresses[0].outstanding == 0
