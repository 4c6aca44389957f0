"""Writing to a client: waiting while it is slow, and giving up on one that takes nothing."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from proxy.errors import ClientGone
from proxy.server.client_transport import ClientTransport


class Wire(asyncio.Transport):
    """A transport whose buffer the test fills and empties."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.unsent = 0
        self.ended: str | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


async def opened(write_timeout_s: float = 5.0) -> tuple[ClientTransport, Wire]:
    client = ClientTransport(asyncio.get_running_loop(), None, write_timeout_s=write_timeout_s)
    wire = Wire()
    client.connection_made(wire)
    return client, wire


async def test_what_is_written_goes_out_as_it_is() -> None:
    client, wire = await opened()
    client.write(b"a")
    client.write_pieces([b"b", b"c"])
    assert b"".join(wire.written) == b"abc"


async def test_nobody_waits_for_a_client_that_keeps_up() -> None:
    client, _ = await opened()
    await client.drain()


async def test_who_writes_waits_until_the_client_has_taken_enough() -> None:
    client, _ = await opened()
    client.pause_writing()
    draining = asyncio.ensure_future(client.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    client.resume_writing()
    await draining


async def test_a_wait_that_was_cancelled_does_not_cancel_the_next_one() -> None:
    client, _ = await opened()
    client.pause_writing()
    first = asyncio.ensure_future(client.drain())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.ensure_future(client.drain())
    await asyncio.sleep(0)
    client.resume_writing()
    await second


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    client, wire = await opened(write_timeout_s=0.01)
    wire.unsent = 10
    client.pause_writing()
    with pytest.raises(ClientGone, match="took nothing"):
        await client.drain()
    assert wire.ended == "aborted"


async def test_a_client_that_takes_a_little_is_waited_for() -> None:
    client, wire = await opened(write_timeout_s=0.01)
    wire.unsent = 10
    client.pause_writing()
    draining = asyncio.ensure_future(client.drain())
    await asyncio.sleep(0)
    wire.unsent = 5
    timer = asyncio.get_running_loop().call_later(0.015, client.resume_writing)
    await draining
    timer.cancel()
    assert wire.ended is None


async def test_the_end_of_the_connection_ends_the_wait() -> None:
    client, _ = await opened()
    client.pause_writing()
    draining = asyncio.ensure_future(client.drain())
    await asyncio.sleep(0)
    client.connection_lost(None)
    with pytest.raises(ClientGone):
        await draining
    for write in (lambda: client.write(b"x"), lambda: client.write_pieces([b"x"])):
        with pytest.raises(ClientGone):
            write()


async def test_an_answer_that_stands_still_for_the_time_limit_ends_the_connection() -> None:
    client, wire = await opened(write_timeout_s=5)
    assert not client.is_sending(100.0)
    wire.unsent = 7
    assert client.is_sending(100.0)
    assert client.is_sending(104.0)
    assert not client.is_sending(105.0)
    assert cast("str | None", wire.ended) == "aborted"


async def test_an_answer_that_moves_does_not() -> None:
    client, wire = await opened(write_timeout_s=5)
    for unsent, at in ((9, 100.0), (8, 106.0), (7, 112.0)):
        wire.unsent = unsent
        assert client.is_sending(at)
