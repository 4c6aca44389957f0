"""Passing a request through: heads, bodies as they come, 1xx, upgrades."""

from __future__ import annotations

import asyncio

import pytest

from proxy.coalesce.answer import Outcome
from proxy.config.settings import CacheSettings
from proxy.errors import ClientGone, OriginBodyCut
from proxy.http.messages import RequestHead, ResponseHead
from proxy.origin.port import ForwardRequest, Framing, OnInformational
from proxy.policy.cache_status import ForwardReason
from proxy.server.passing import Passing
from tests.origin.waiting import until
from tests.policy.heads import NOW, fields_of, request, response, route
from tests.server.sinks import Sink, exchange_on

ROUTE = route()
FORWARD = ForwardRequest("GET", b"/a", fields_of("Host: a"))


class Answering:
    """`Origin` and the answer it gives, in one. Pieces may be errors."""

    name = "shop"

    def __init__(
        self,
        head: ResponseHead,
        *pieces: bytes | Exception,
        framing: Framing = Framing.LENGTH,
        early: tuple[ResponseHead, ...] = (),
        tunnel: Pipe | None = None,
    ) -> None:
        self.head = head
        self.framing = framing
        self.tunnel = tunnel
        self.closed = False
        self.length = (
            sum(len(piece) for piece in pieces if isinstance(piece, bytes))
            if framing is Framing.LENGTH
            else None
        )
        self._pieces = list(pieces)
        self._early = early

    async def send(
        self, request: ForwardRequest, *, on_informational: OnInformational | None = None
    ) -> Answering:
        for head in self._early:
            assert on_informational is not None
            on_informational(head)
        return self

    async def read(self) -> bytes:
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.closed = True


class Pipe:
    """A tunnel to an origin that says `hello`, and closes when it is told so."""

    def __init__(self, *octets: bytes) -> None:
        self.written: list[bytes] = []
        self.ended = self.closed = False
        self.hang_up = asyncio.Event()
        self._octets = list(octets)

    async def read(self) -> bytes:
        if self._octets:
            return self._octets.pop(0)
        await self.hang_up.wait()
        return b""

    async def write(self, octets: bytes) -> None:
        self.written.append(octets)

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True


class Unlearned:
    """A passage of which the cache learns nothing."""

    keeps = False

    async def answered(self, answer: Answering) -> None:
        assert not answer.closed

    def take(self, piece: bytes) -> None:
        assert piece

    def whole(self) -> None:
        pass


async def passed(
    origin: Answering,
    asked: RequestHead | None = None,
    *,
    outcome: Outcome = Outcome.PASSED,
    sink: Sink | None = None,
) -> Sink:
    sink = sink or Sink()
    exchange, head = exchange_on(sink, asked)
    exchange.outcome = outcome
    await Passing(CacheSettings()).pass_through(
        exchange,
        head,
        FORWARD,
        connection=sink.connection,
        origin=origin,
        route=ROUTE,
        reason=ForwardReason.METHOD,
        now=NOW,
        passage=Unlearned(),  # type: ignore[arg-type]
    )
    return sink


async def test_a_body_passes_as_it_comes_with_the_framing_of_the_origin() -> None:
    sink = await passed(Answering(response(), b"he", b"llo"))
    assert (sink.head[0], sink.body) == (b"HTTP/1.1 200 OK", b"hello")
    assert b"Content-Length: 5" in sink.head
    chunked = await passed(Answering(response(), b"he", b"llo", framing=Framing.CHUNKED))
    assert chunked.body == b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    closing = await passed(Answering(response(), b"he", b"llo", framing=Framing.CLOSE))
    assert (closing.body, closing.head[-1]) == (b"hello", b"Connection: close")


async def test_head_is_told_what_the_origin_declared() -> None:
    origin = Answering(response("Content-Length: 5"), framing=Framing.NONE)
    sink = await passed(origin, request(method="HEAD"))
    assert (b"Content-Length: 5" in sink.head, sink.body) == (True, b"")
    without = await passed(Answering(response(), framing=Framing.NONE), request(method="HEAD"))
    assert not any(line.startswith(b"Content-Length") for line in without.head)


async def test_cache_status_says_why_it_was_passed_and_that_waiting_was_in_vain() -> None:
    sink = await passed(Answering(response()))
    assert b"Cache-Status: Lockgate; fwd=method; fwd-status=200" in sink.head
    released = await passed(Answering(response()), outcome=Outcome.RELEASED)
    (status,) = [line for line in released.head if line.startswith(b"Cache-Status:")]
    assert b"collapsed=?0" in status


async def test_interim_answers_pass_but_100_goes_only_to_a_client_that_waits() -> None:
    early = (ResponseHead(100, fields_of("")), ResponseHead(103, fields_of("Link: </a>"), b"Early Hints"))
    sink = await passed(Answering(response(), early=early))
    assert sink.octets.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n")
    assert b" 100 " not in sink.octets


async def test_the_answer_is_closed_however_it_ends() -> None:
    origin = Answering(response(), b"he", OriginBodyCut("cut"))
    with pytest.raises(OriginBodyCut):
        await passed(origin)
    assert origin.closed
    gone = Sink()
    gone.gone = True
    origin = Answering(response(), b"hello")
    with pytest.raises(ClientGone):
        await passed(origin, sink=gone)
    assert origin.closed


async def test_after_a_switch_octets_pass_both_ways_until_the_origin_hangs_up() -> None:
    pipe = Pipe(b"hello")
    head = response("Connection: Upgrade | Upgrade: websocket", status=101)
    sink = Sink()
    running = asyncio.ensure_future(passed(Answering(head, framing=Framing.NONE, tunnel=pipe), sink=sink))
    await until(lambda: sink.inbox is not None and sink.body)
    assert sink.inbox is not None
    assert sink.head[0] == b"HTTP/1.1 101 Switching Protocols"
    assert {b"Connection: Upgrade", b"Upgrade: websocket"} <= set(sink.head)
    sink.inbox.feed(b"world")
    await until(lambda: pipe.written)
    pipe.hang_up.set()
    await until(lambda: sink.was_closed)
    sink.inbox.feed_eof()
    await running
    assert (sink.body, pipe.written, pipe.ended, pipe.closed) == (b"hello", [b"world"], True, True)


async def test_a_tunnel_whose_client_left_is_cut_at_the_next_octet() -> None:
    pipe = Pipe(b"hello", b"more")
    head = response("Connection: Upgrade | Upgrade: websocket", status=101)
    sink = Sink()

    class Leaving(Sink):
        async def drain(self) -> None:
            self.gone = True

    sink = Leaving()
    await passed(Answering(head, framing=Framing.NONE, tunnel=pipe), sink=sink)
    assert sink.was_reset
    assert pipe.closed
