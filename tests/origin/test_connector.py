"""Opening connections within the time to connect."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import OriginProtocolError, OriginTimeout, OriginUnreachable
from proxy.origin.connection import OriginConnection
from tests.origin.asking import ask, get
from tests.origin.conftest import Connect
from tests.origin.scripted import Peer, ScriptedOrigin
from tests.origin.waiting import soon, until


async def test_a_handshake_that_does_not_end_is_a_time_out_and_goes_on_elsewhere(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url.replace("http:", "https:"), connect_timeout_s=0.03, fail_after=1)
    with pytest.raises(OriginTimeout, match="connect_timeout_s"):
        await soon(client.send(get()))
    assert client.statistics().connect_failures == 1
    await (await scripted.accept()).closed()


async def test_cancelling_while_connecting_leaves_no_connection(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url.replace("http:", "https:"))
    asking = ask(client)
    peer = await scripted.accept()
    await until(lambda: peer.pending)  # in the middle of the handshake
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(asking)
    await peer.closed()


@pytest.mark.parametrize("after", range(6))
async def test_cancelling_at_any_turn_leaves_no_connection(
    scripted: ScriptedOrigin, connect: Connect, after: int
) -> None:
    client = connect(scripted.url)
    asking = ask(client)
    for _ in range(after):
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(asking)
    await until(lambda: all(peer.ended for peer in scripted.peers))
    await soon(client.close())


@pytest.mark.parametrize("ending", ["cut", "reset", "speak"])
async def test_an_origin_that_ends_or_speaks_at_once_is_noticed_at_once(
    scripted: ScriptedOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    made = Peer.connection_made

    def connection_made(peer: Peer, transport: asyncio.BaseTransport) -> None:
        made(peer, transport)
        if ending == "speak":
            peer.send(b"SSH-2.0-OpenSSH_9\r\n")
        else:
            getattr(peer, ending)()

    monkeypatch.setattr(Peer, "connection_made", connection_made)
    client = connect(scripted.url)
    for _ in range(20):
        with pytest.raises((OriginProtocolError, OriginUnreachable)):
            await soon(client.send(get()))


async def test_a_connection_that_is_lost_before_it_was_used_is_unreachable(
    scripted: ScriptedOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = OriginConnection.connection_made

    def connection_made(connection: OriginConnection, transport: asyncio.BaseTransport) -> None:
        made(connection, transport)
        connection.drop()

    monkeypatch.setattr(OriginConnection, "connection_made", connection_made)
    client = connect(scripted.url)
    with pytest.raises(OriginUnreachable, match="closed at once"):
        await soon(client.send(get()))
    assert client.statistics().connect_failures == 1
