"""Framing and connection fields of one response, by method, version and status."""

from __future__ import annotations

import pytest

from proxy.errors import ClientGone
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.server.response_writer import JOIN_BELOW_BYTES, ResponseWriter
from tests.server.sinks import Sink

CHUNKED = b"Transfer-Encoding: chunked"
CLOSE = b"Connection: close"
KEEP = b"Connection: keep-alive"


def writer_to(sink: Sink, *, method: str = "GET", minor: int = 1, keep_alive: bool = True) -> ResponseWriter:
    writer = ResponseWriter(sink.connection, keep_alive=keep_alive)
    writer.meant_for(RequestHead(method, b"/", Fields(), minor_version=minor))
    return writer


@pytest.mark.parametrize(
    ("asked", "answered", "lines"),
    [
        pytest.param({}, {"status": 200, "length": 5}, [b"Content-Length: 5"], id="length"),
        pytest.param({}, {"status": 200, "length": 0}, [b"Content-Length: 0"], id="empty"),
        pytest.param({}, {"status": 200, "length": None}, [CHUNKED], id="chunked"),
        pytest.param({"minor": 0}, {"status": 200, "length": None}, [CLOSE], id="1.0-until-close"),
        pytest.param({"minor": 0}, {"status": 200, "length": 5}, [b"Content-Length: 5", KEEP], id="1.0-kept"),
        pytest.param({}, {"status": 200, "length": None, "until_close": True}, [CLOSE], id="until-close"),
        pytest.param({"method": "HEAD"}, {"status": 200, "length": 5}, [b"Content-Length: 5"], id="head"),
        pytest.param({"method": "HEAD"}, {"status": 200, "length": None}, [], id="head-unknown"),
        pytest.param({}, {"status": 204, "length": 0}, [], id="204"),
        pytest.param({}, {"status": 304, "length": 5}, [], id="304"),
        pytest.param({}, {"status": 204, "length": None, "until_close": True}, [], id="204-until-close"),
        pytest.param(
            {"keep_alive": False}, {"status": 200, "length": 5}, [b"Content-Length: 5", CLOSE], id="closing"
        ),
    ],
)
def test_framing_follows_method_version_and_status(
    asked: dict[str, object], answered: dict[str, object], lines: list[bytes]
) -> None:
    sink = Sink()
    writer_to(sink, **asked).start(lines=b"A: b\r\n", **answered)  # type: ignore[arg-type]
    assert sink.head[1:] == [b"A: b", *lines]


async def test_chunks_are_framed_and_ended() -> None:
    sink = Sink()
    writer = writer_to(sink)
    writer.start(200, b"", length=None)
    await writer.write(b"a" * 17)
    writer.finish()
    assert sink.body == b"11\r\n" + b"a" * 17 + b"\r\n0\r\n\r\n"
    assert (writer.sent_bytes, sink.drains) == (17, 1)


async def test_a_declared_body_is_written_as_it_is() -> None:
    sink = Sink()
    writer = writer_to(sink)
    writer.start(200, b"", length=2)
    await writer.write(b"a")
    await writer.write(b"b")
    writer.finish()
    assert sink.body == b"ab"


@pytest.mark.parametrize("size", [0, 1, JOIN_BELOW_BYTES, JOIN_BELOW_BYTES + 1])
def test_a_whole_answer_is_one_write(size: int) -> None:
    sink = Sink()
    writer = writer_to(sink)
    writer.whole(200, b"", [b"a" * size], length=size)
    assert (len(sink.written), sink.body, writer.sent_bytes) == (1, b"a" * size, size)


def test_a_whole_answer_to_head_has_no_body() -> None:
    sink = Sink()
    writer = writer_to(sink, method="HEAD")
    writer.whole(200, b"", [b"hello"], length=5)
    assert (sink.body, writer.sent_bytes, sink.head[1]) == (b"", 0, b"Content-Length: 5")


def test_interim_answers_go_to_those_who_may_know_of_them_and_before_the_final_one() -> None:
    early = ResponseHead(103, Fields([(b"Link", b"</a>")]), b"Early Hints")
    for minor, expected in ((1, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), (0, b"")):
        sink = Sink()
        writer = writer_to(sink, minor=minor)
        writer.informational(early)
        assert sink.octets == expected
    writer.start(200, b"", length=0)
    before = sink.octets
    writer.informational(early)
    assert sink.octets == before


def test_interim_answers_to_a_client_that_left_are_nobodys_failure() -> None:
    sink = Sink()
    sink.gone = True
    writer_to(sink).informational(ResponseHead(103, Fields(), b""))


def test_a_drain_that_began_meanwhile_is_told() -> None:
    sink = Sink()
    writer = writer_to(sink)
    sink.draining = True
    writer.start(200, b"", length=0)
    assert sink.head[-1] == CLOSE
    assert not writer.keep_alive


def test_there_is_one_response_to_a_request() -> None:
    writer = writer_to(Sink())
    writer.start(200, b"", length=0)
    with pytest.raises(AssertionError, match="second response"):
        writer.start(200, b"", length=0)


def test_a_switch_is_written_and_ends_http_on_the_connection() -> None:
    sink = Sink()
    writer = writer_to(sink)
    writer.switch(ResponseHead(101, Fields(), b"Switching Protocols"), b"Upgrade: websocket\r\n")
    assert sink.octets == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    assert (writer.keep_alive, writer.status, writer.head_sent) == (False, 101, True)


def test_a_body_that_cannot_be_completed_resets_the_connection() -> None:
    sink = Sink()
    writer = writer_to(sink)
    writer.start(200, b"", length=5)
    writer.abort()
    assert sink.was_reset
    assert not writer.keep_alive


def test_a_client_that_left_is_told_of() -> None:
    sink = Sink()
    sink.gone = True
    with pytest.raises(ClientGone):
        writer_to(sink).start(200, b"", length=0)
