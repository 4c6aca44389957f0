"""Requests as tests of the origin leg send them, and how they read what comes back."""

from __future__ import annotations

import asyncio

from proxy.http.fields import Fields, Pair
from proxy.origin.client import OriginClient
from proxy.origin.exchange import Exchange
from proxy.origin.port import ForwardRequest, OriginResponse
from proxy.tasks import spawn
from tests.origin.scripted import Peer, ScriptedOrigin
from tests.origin.waiting import soon

HOST = (b"Host", b"example.org")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(target: bytes = b"/a", *fields: Pair, may_repeat: bool = True) -> ForwardRequest:
    """A plain GET."""
    return ForwardRequest("GET", target, Fields([HOST, *fields]), may_repeat=may_repeat)


def ask(client: OriginClient, request: ForwardRequest | None = None) -> asyncio.Task[Exchange]:
    """Send in a task of its own, so that the test can play the origin meanwhile."""
    return spawn(client.send(request or get()), name="ask")


async def read_all(response: OriginResponse) -> bytes:
    """The whole body; the response is closed."""
    pieces = []
    try:
        while piece := await soon(response.read()):
            pieces.append(piece)
    finally:
        response.close()
    return b"".join(pieces)


async def answered(client: OriginClient, peer: Peer, octets: bytes = OK) -> bytes:
    """One exchange over a connection that is there already; its body."""
    asking = ask(client)
    await peer.expect_head()
    peer.send(octets)
    return await read_all(await soon(asking))


async def first_exchange(client: OriginClient, origin: ScriptedOrigin, octets: bytes = OK) -> Peer:
    """One exchange over a new connection; the origin's end of it."""
    asking = ask(client)
    peer = await origin.accept()
    await peer.expect_head()
    peer.send(octets)
    await read_all(await soon(asking))
    return peer
