"""A request's body on its way in: in pieces, bounded in size and time, with 100 Continue when wanted."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import TransferEncodingError

from proxy.errors import BodyTooLarge, ClientError, ClientGone, RequestTimeout
from proxy.origin.port import AT_HAND_BYTES
from proxy.server.request_body import ClientBody


class _Flow(BaseProtocol):
    def pause_reading(self) -> None:
        """Nothing comes by itself here."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Likewise."""

    @property
    def connected(self) -> bool:
        return True


@pytest.fixture
async def stream() -> StreamReader:
    loop = asyncio.get_running_loop()
    return StreamReader(_Flow(loop), 1024, loop=loop)


def body_of(
    stream: StreamReader,
    *,
    length: int | None = None,
    max_bytes: int = 0,
    timeout_s: float = 5.0,
    **more: object,
) -> ClientBody:
    return ClientBody(stream, length=length, max_bytes=max_bytes, timeout_s=timeout_s, **more)  # type: ignore[arg-type]


async def test_pieces_come_as_they_arrive_and_an_empty_one_ends(stream: StreamReader) -> None:
    body = body_of(stream)
    stream.feed_data(b"a")
    assert await body.read() == b"a"
    reading = asyncio.ensure_future(body.read())
    await asyncio.sleep(0)
    stream.feed_data(b"b")
    assert await reading == b"b"
    assert not body.arrived
    stream.feed_eof()
    assert body.arrived
    assert await body.read() == b""


async def test_it_is_touched_by_the_first_read(stream: StreamReader) -> None:
    body = body_of(stream)
    assert not body.touched
    stream.feed_eof()
    await body.read()
    assert body.touched


async def test_the_client_is_told_to_go_on_once_and_only_if_it_has_more_to_send(stream: StreamReader) -> None:
    told: list[bool] = []
    body = body_of(stream, on_first_read=lambda: told.append(True))
    stream.feed_data(b"a")
    await body.read()
    stream.feed_eof()
    await body.read()
    assert told == [True]
    whole = body_of(stream, on_first_read=lambda: told.append(True))
    await whole.read()
    assert told == [True]


async def test_a_declared_length_above_the_limit_is_refused_at_once(stream: StreamReader) -> None:
    with pytest.raises(BodyTooLarge):
        body_of(stream, length=11, max_bytes=10)
    body_of(stream, length=10, max_bytes=10)
    body_of(stream, length=11, max_bytes=0)


async def test_a_chunked_body_is_refused_when_it_passes_the_limit(stream: StreamReader) -> None:
    body = body_of(stream, max_bytes=10)
    stream.feed_data(b"a" * 10)
    assert await body.read() == b"a" * 10
    stream.feed_data(b"a")
    with pytest.raises(BodyTooLarge):
        await body.read()


async def test_a_pause_above_the_limit_is_a_408(stream: StreamReader) -> None:
    with pytest.raises(RequestTimeout):
        await body_of(stream, timeout_s=0.001).read()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(ClientGone("gone"), ClientGone, id="client-gone"),
        pytest.param(ClientError("bad chunk"), ClientError, id="client-error"),
        pytest.param(TransferEncodingError("bad chunk"), ClientError, id="the-parsers-own"),
        pytest.param(ValueError("?"), ClientError, id="unforeseen"),
    ],
)
async def test_what_was_set_on_the_stream_is_raised_as_an_error_of_ours(
    stream: StreamReader, error: Exception, expected: type[Exception]
) -> None:
    body = body_of(stream)
    stream.feed_data(b"a")
    stream.set_exception(error)
    with pytest.raises(expected):
        await body.read()


async def test_a_short_body_that_is_here_is_taken_at_once(stream: StreamReader) -> None:
    stream.feed_data(b"ab")
    stream.feed_data(b"c")
    stream.feed_eof()
    body = body_of(stream, length=3)
    assert body.at_hand() == b"abc"
    assert body.touched
    assert body.at_hand() is None
    assert await body.read() == b""


@pytest.mark.parametrize("case", ["still coming", "of unknown length", "long", "begun", "broken"])
async def test_any_other_body_is_read_in_pieces(stream: StreamReader, case: str) -> None:
    octets = b"x" * (AT_HAND_BYTES + 1 if case == "long" else 4)
    stream.feed_data(octets)
    if case == "broken":
        stream.set_exception(TransferEncodingError("broken"))
    if case != "still coming":
        stream.feed_eof()
    body = body_of(stream, length=None if case == "of unknown length" else len(octets))
    if case == "begun":
        await body.read()
    assert body.at_hand() is None
