"""What `client_connection` relies on in the aiohttp that is installed; a new one is taken when this passes.

Each test names one thing, so that a failure says what to look at. The last ones hold defects that are
worked around: when they fail the work-around can go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import (
    BadHttpMessage,
    BadHttpMethod,
    BadStatusLine,
    HttpProcessingError,
    LineTooLong,
)
from aiohttp.http_parser import HttpRequestParser

Parser = Any
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Flow(BaseProtocol):
    """A protocol that notes what the body streams ask of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.asked: list[str] = []

    def pause_reading(self) -> None:
        self.asked.append("pause")
        self._reading_paused = True

    def resume_reading(self, resume_parser: bool = True) -> None:
        self.asked.append("resume")

    @property
    def connected(self) -> bool:
        return True


class Refused(Exception):
    """What the parser is told to set on a body."""


@pytest.fixture
async def make() -> Callable[..., Parser]:
    loop = asyncio.get_running_loop()

    def parser(limit: int = 1024, max_msg_queue_size: int = 0) -> Parser:
        return HttpRequestParser(
            Flow(loop),
            loop,
            limit,
            max_line_size=300,
            max_field_size=300,
            max_headers=50,
            payload_exception=Refused,
            auto_decompress=False,
            max_msg_queue_size=max_msg_queue_size,
        )

    return parser


async def test_the_parser_is_the_one_in_c() -> None:
    assert HttpRequestParser.__module__ == "aiohttp._http_parser", "the C extensions are missing"


async def test_feed_data_gives_messages_upgrade_and_tail(make: Callable[..., Parser]) -> None:
    messages, upgraded, tail = make().feed_data(GET + GET)
    assert (len(messages), upgraded, tail) == (2, False, b"")
    message, body = messages[0]
    assert (message.method, message.path) == ("GET", "/a")
    assert (message.version.major, message.version.minor) == (1, 1)
    assert message.raw_headers == ((b"Host", b"a"),)
    assert (bool(message.should_close), bool(message.upgrade), bool(message.chunked)) == (False, False, False)
    assert body.is_eof(), "a request without a body has one that is over"


async def test_octets_of_a_head_that_goes_on_give_nothing(make: Callable[..., Parser]) -> None:
    parser = make()
    assert tuple(parser.feed_data(GET[:10])) == ((), False, b"")
    assert len(parser.feed_data(GET[10:])[0]) == 1


async def test_the_target_keeps_its_octets(make: Callable[..., Parser]) -> None:
    (message, _), *_ = make().feed_data(b"GET //a/../%2e?&b? HTTP/1.1\r\nHost: a\r\n\r\n")[0]
    assert message.path == "//a/../%2e?&b?"


async def test_raw_fields_keep_case_order_and_octets(make: Callable[..., Parser]) -> None:
    (message, _), *_ = make().feed_data(GET[:-2] + b"X-oDD: \xff\xfe\r\nx-odd: 2 \r\n\r\n")[0]
    assert message.raw_headers[1:] == ((b"X-oDD", b"\xff\xfe"), (b"x-odd", b"2"))


async def test_a_body_ends_when_its_last_octet_was_fed(make: Callable[..., Parser]) -> None:
    parser = make()
    (_, body), *_ = parser.feed_data(POST + b"Content-Length: 5\r\n\r\nhel")[0]
    assert not body.is_eof()
    assert body.total_bytes == 3
    assert parser.feed_data(b"lo")[0] == ()
    assert body.is_eof()
    assert body.read_nowait() == b"hello"


async def test_a_chunked_body_says_so(make: Callable[..., Parser]) -> None:
    (message, body), *_ = make().feed_data(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n")[0]
    assert message.chunked
    assert body.is_eof()
    assert body.read_nowait() == b"hello"


async def test_a_body_is_not_decompressed(make: Callable[..., Parser]) -> None:
    octets = POST + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
    (_, body), *_ = make().feed_data(octets)[0]
    assert body.read_nowait() == b"hello"


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        pytest.param(b"BREW /a HTTP/1.1\r\n", BadHttpMethod, id="method"),
        pytest.param(b"GET /a HTTP/3.1\r\n", BadStatusLine, id="version"),
        pytest.param(b"GET /a HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", BadHttpMessage, id="space-before-colon"),
        pytest.param(b"GET /a HTTP/1.1\r\nHost: a\nX: a\r\n\r\n", BadHttpMessage, id="bare-lf"),
        pytest.param(b"GET /a HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", BadHttpMessage, id="folded"),
        pytest.param(b"GET /a HTTP/1.1\r\n\r\n", BadHttpMessage, id="no-host"),
        pytest.param(POST + b"Content-Length: 1, 1\r\n\r\n", BadHttpMessage, id="length-list"),
        pytest.param(
            POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", BadHttpMessage, id="cl-te"
        ),
    ],
)
async def test_what_breaks_the_grammar_raises(
    make: Callable[..., Parser], octets: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        make().feed_data(octets)
    assert issubclass(error, HttpProcessingError)


async def test_a_version_error_says_version(make: Callable[..., Parser]) -> None:
    with pytest.raises(BadStatusLine) as caught:
        make().feed_data(b"GET /a HTTP/3.1\r\n")
    assert "version" in caught.value.message, "client_connection tells 505 from 400 by this word"


async def test_a_long_target_is_told_from_a_long_field(make: Callable[..., Parser]) -> None:
    with pytest.raises(LineTooLong) as of_target:
        make().feed_data(b"GET /" + b"a" * 400 + b" HTTP/1.1\r\n")
    assert isinstance(of_target.value.args[0], bytearray), "414 is told from 431 by this type"
    with pytest.raises(LineTooLong) as of_field:
        make().feed_data(GET[:-2] + b"X: " + b"a" * 400 + b"\r\n\r\n")
    assert isinstance(of_field.value.args[0], bytes), "414 is told from 431 by this type"


async def test_bad_chunks_raise_and_leave_the_body_open(make: Callable[..., Parser]) -> None:
    parser = make()
    (_, body), *_ = parser.feed_data(CHUNKED)[0]
    with pytest.raises(HttpProcessingError):
        parser.feed_data(b"0x5\r\n")
    assert not body.is_eof(), "client_connection sets the error on a body that is not over"


async def test_an_exception_set_on_a_body_is_raised_to_its_reader() -> None:
    body = StreamReader(Flow(asyncio.get_running_loop()), 16, loop=asyncio.get_running_loop())
    body.set_exception(Refused("no"))
    with pytest.raises(Refused):
        await body.readany()
    with pytest.raises(Refused):
        body.read_nowait()


async def test_a_body_pauses_reading_above_twice_its_limit_and_resumes_below_it() -> None:
    flow = Flow(asyncio.get_running_loop())
    body = StreamReader(flow, 16, loop=asyncio.get_running_loop())
    body.feed_data(b"a" * 33)
    assert flow.asked == ["pause"]
    assert body.read_nowait() == b"a" * 33
    assert flow.asked == ["pause", "resume"]


async def test_the_end_of_a_body_resumes_reading_without_parsing() -> None:
    parsed = []

    class Resuming(Flow):
        def resume_reading(self, resume_parser: bool = True) -> None:
            parsed.append(resume_parser)

    body = StreamReader(Resuming(asyncio.get_running_loop()), 16, loop=asyncio.get_running_loop())
    body.feed_eof()
    assert parsed == [False], "else the parser is entered again from inside itself"


async def test_what_a_body_holds_can_be_seen() -> None:
    body = StreamReader(Flow(asyncio.get_running_loop()), 16, loop=asyncio.get_running_loop())
    assert not body._buffer
    body.feed_data(b"a")
    assert body._buffer, "request_body reads without a timer what is there already"


async def test_the_queue_limit_holds_back_whole_requests_until_told(make: Callable[..., Parser]) -> None:
    parser = make(max_msg_queue_size=2)
    assert len(parser.feed_data(GET * 5)[0]) == 2
    parser.message_consumed()
    parser.message_consumed()
    assert len(parser.feed_data(b"")[0]) == 2
    assert len(parser.feed_data(b"")[0]) == 1, "each call reads one more, whatever the limit"


@pytest.mark.parametrize("name", ["_paused", "_parser", "_reading_paused", "_buffer_paused", "transport"])
async def test_the_base_protocol_has_the_names_that_are_used(name: str) -> None:
    assert hasattr(BaseProtocol(asyncio.get_running_loop()), name)


@pytest.mark.parametrize(
    "name",
    [
        "_pause_reading_for_buffer",
        "_resume_reading_for_buffer",
        "_resume_transport_reading",
        "resume_reading",
    ],
)
async def test_the_base_protocol_has_the_methods_that_are_used(name: str) -> None:
    assert callable(getattr(BaseProtocol(asyncio.get_running_loop()), name))


async def test_resuming_reads_what_the_parser_kept() -> None:
    fed = []

    class Fed(BaseProtocol):
        def data_received(self, data: bytes) -> None:
            fed.append(data)

    Fed(asyncio.get_running_loop()).resume_reading()
    assert fed == [b""]


async def test_an_upgrade_is_told_and_websocket_keeps_its_tail(make: Callable[..., Parser]) -> None:
    octets = GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    messages, upgraded, tail = make().feed_data(octets + b"frames")
    assert messages[0][0].upgrade
    assert (upgraded, tail) == (True, b"frames")


# Defects. client_connection works around them.


async def test_defect_the_last_trailer_is_counted_among_the_next_requests_fields(
    make: Callable[..., Parser],
) -> None:
    parser = make()
    parser.feed_data(CHUNKED + b"0\r\nX-Trailer: a\r\n\r\n")
    (message, _), *_ = parser.feed_data(GET)[0]
    assert message.raw_headers == ((b"X-Trailer", b"a"), (b"Host", b"a")), (
        "fixed in this aiohttp: ClientConnection._look_for_trailers can go"
    )


async def test_defect_what_came_whole_in_front_of_an_error_is_lost(make: Callable[..., Parser]) -> None:
    parser = make()
    with pytest.raises(HttpProcessingError):
        parser.feed_data(GET + b"\0")
    with pytest.raises(HttpProcessingError):
        parser.feed_data(b"")


async def test_defect_the_tail_of_another_upgrade_is_lost(make: Callable[..., Parser]) -> None:
    octets = GET[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    messages, upgraded, tail = make().feed_data(octets + b"frames")
    assert messages[0][0].upgrade
    assert (upgraded, tail) == (False, b""), "fixed in this aiohttp: the note in client_connection can go"
