from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

import pytest

from loadtest.processes import free_port
from loadtest.writes.http_client import Address, Broken, HttpConnection

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@asynccontextmanager
async def _answering(*answers: bytes) -> AsyncIterator[tuple[HttpConnection, list[bytes]]]:
    """A connection to a server that gives these octets, one for each request, and what it was asked."""
    asked: list[bytes] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while left:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(left.pop(0))
        writer.close()
        await writer.wait_closed()

    async with _serving(serve) as connection:
        yield connection, asked


@asynccontextmanager
async def _serving(serve: Serve, *, timeout_s: float = 5.0) -> AsyncIterator[HttpConnection]:
    """A connection to a server whose connections have all ended in the end."""
    served: list[asyncio.Task[None]] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.get_running_loop().create_task(serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    connection = HttpConnection(Address("127.0.0.1", server.sockets[0].getsockname()[1]), timeout_s=timeout_s)
    await connection.ready()
    yield connection
    connection.close()
    server.close()
    await asyncio.gather(*served)


async def test_answers_are_read_one_after_the_other() -> None:
    ok = b"HTTP/1.1 200 OK\r\nLocation: /x\r\nContent-Length: 2\r\n\r\nhi"
    chunked = b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    chunked = b"HTTP/1.1 100 Continue\r\n\r\n" + chunked
    async with _answering(ok, chunked) as (connection, asked):
        assert await connection.ask("GET", "/a") == (200, {"location": "/x", "content-length": "2"}, b"hi")
        reply = await connection.ask("POST", "/b", "X-Write: w\r\n")
        assert (reply.status, reply.body) == (202, b"a")
    assert asked[0].startswith(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:")
    assert asked[1].endswith(b"X-Write: w\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closed"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", id="cut"),
        pytest.param(b"no HTTP at all\r\n\r\n", id="garbage"),
    ],
)
async def test_what_is_no_whole_answer_is_broken(answer: bytes) -> None:
    async with _answering(answer) as (connection, _):
        with pytest.raises(Broken):
            await connection.ask("GET", "/a")
        with pytest.raises(Broken, match="before the request"):
            await connection.ask("GET", "/a")


async def test_an_answer_that_does_not_come_is_broken() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async with _serving(hold, timeout_s=0.01) as connection:
        with pytest.raises(Broken, match="in time"):
            await connection.ask("GET", "/a")


async def test_an_answer_that_closes_is_followed_by_another_connection() -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    async with _answering(closing, closing) as (connection, asked):
        for _ in range(2):
            await connection.ready()
            assert (await connection.ask("GET", "/a")).status == 200
    assert len(asked) == 2


async def test_it_connects_when_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.writes.http_client.RETRY_S", 0)
    port = free_port()
    connection = HttpConnection(Address("127.0.0.1", port), timeout_s=1)
    with pytest.raises(Broken, match="cannot connect"):
        await connection.ready(give_up_after_s=0)
    waiting = asyncio.get_running_loop().create_task(connection.ready())
    accepted = asyncio.get_running_loop().create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport)

    server = await asyncio.get_running_loop().create_server(Accepting, "127.0.0.1", port)
    await waiting
    (await accepted).close()
    connection.close()
    server.close()
