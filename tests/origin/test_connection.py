"""The connection itself: idle silence, the one lazy timer, back-pressure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.origin.address import parse_address
from proxy.origin.balancer import Target
from proxy.origin.connection import OriginConnection
from proxy.tasks import spawn
from tests.origin.scripted import Peer, ScriptedOrigin
from tests.origin.waiting import soon, turns, until


class Receiver:
    """Records what a connection tells."""

    def __init__(self) -> None:
        self.received = b""
        self.ended = False
        self.lost = False
        self.complaints: list[str] = []

    def data_received(self, octets: bytes) -> None:
        self.received += octets

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True

    def timed_out(self, complaint: str) -> None:
        self.complaints.append(complaint)


Ends = tuple[OriginConnection, Peer]


@pytest.fixture
async def ends(scripted: ScriptedOrigin) -> AsyncIterator[Ends]:
    loop = asyncio.get_running_loop()
    lost: list[OriginConnection] = []
    target = Target(parse_address(scripted.url), "127.0.0.1")
    _, connection = await loop.create_connection(
        lambda: OriginConnection(target, origin="shop", loop=loop, on_lost=lost.append),
        "127.0.0.1",
        scripted.port,
    )
    yield connection, await scripted.accept()
    connection.drop()
    await until(lambda: lost == [connection])


async def test_an_idle_connection_closes_on_octets_and_on_an_end(ends: Ends) -> None:
    connection, peer = ends
    assert connection.silent()
    peer.send(b"x")
    await until(lambda: connection.lost)
    assert not connection.silent()
    assert "lost" in repr(connection)


async def test_what_the_kernel_has_breaks_the_silence(ends: Ends) -> None:
    connection, peer = ends
    peer.send(b"x")
    assert not connection.silent()


async def test_the_receiver_is_told_everything(ends: Ends) -> None:
    connection, peer = ends
    receiver = Receiver()
    connection.lend(receiver)
    peer.send(b"octets")
    await until(lambda: receiver.received == b"octets")
    peer.cut()
    await until(lambda: receiver.ended and receiver.lost)


async def test_a_limit_that_passes_is_told_once(ends: Ends) -> None:
    connection, _ = ends
    receiver = Receiver()
    connection.lend(receiver)
    connection.limit(30, "late")
    connection.limit(0.01, "too late")
    await until(lambda: receiver.complaints)
    assert receiver.complaints == ["too late"]


async def test_a_limit_that_was_moved_or_lifted_says_nothing(ends: Ends) -> None:
    connection, _ = ends
    receiver = Receiver()
    connection.lend(receiver)
    connection.limit(0.01, "early")
    connection.limit(0.03, "moved")
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await until(lambda: receiver.complaints)
    assert receiver.complaints == ["moved"]
    assert loop.time() - begun > 0.02
    connection.limit(0.01, "lifted")
    connection.unlimit()
    await until(lambda: loop.time() - begun > 0.08)
    assert receiver.complaints == ["moved"]


async def test_draining_waits_for_the_origin_and_ends_with_the_connection(ends: Ends) -> None:
    connection, peer = ends
    connection.lend(Receiver())
    peer.pause_reading()
    connection.write(b"x" * 16_000_000)
    assert connection.must_drain
    draining = spawn(connection.drained(), name="drain")
    await turns()
    assert not draining.done()
    peer.resume_reading()
    await soon(draining)
    peer.pause_reading()
    connection.write(b"x" * 16_000_000)
    draining = spawn(connection.drained(), name="drain")
    await turns()
    connection.drop()
    await soon(draining)
    connection.write(b"nothing happens")
    connection.write_eof()
    connection.pause_reading()
    connection.resume_reading()


async def test_a_connection_has_one_receiver(ends: Ends) -> None:
    connection, _ = ends
    connection.lend(Receiver())
    with pytest.raises(AssertionError, match="in use"):
        connection.lend(Receiver())
