"""One client connection: octets in, exchanges one after the other, octets out.

Theory of operation. This is an asyncio protocol over aiohttp's lower layers: its C request parser
(llhttp, strict on the server's side), its body streams and its flow control of reading. `aiohttp.web`'s
own `RequestHandler` is not used: it costs two tasks and a `web.Request` an exchange and keeps a task per
idle connection, and it does not say whether a connection is idle, which is what answers out of turn come
from (DESIGN.md, D2). Here that is a state of our own:

    IDLE     between exchanges; no task, only the parser
    HEAD     some octets of a head came, not yet all
    BUSY     requests are answered, in order: at once, parked without a task, or in one (`server/serving.py`)
    LINGER   the last answer was sent; what still comes is thrown away, so that the client can read it
    TUNNEL   the protocol was switched: octets pass both ways
    CLOSED

One lazy timer serves every limit of a connection: it fires at the earliest time at which something could
be due, looks at the state, and sets itself again. So a request costs no timer.

aiohttp's parser stops at an `Upgrade`, and what follows in the segment is lost for protocols other than
websocket (3.14.5). So after a request with `Upgrade` nothing is parsed any more: what comes is kept for
the tunnel, and if the protocol is not switched the answer says `Connection: close`.

The same parser counts the last trailer of a chunked request among the fields of the *next* request on the
connection (3.14.5), which may be another client's, where a proxy before us shares it. Trailers cannot be
seen from here, but their absence can: the body then ends with exactly `CRLF 0 CRLF CRLF`, and nothing
behind it. After any other end nothing is parsed any more.

A client that closes, or half-closes, is gone: its task is cancelled, and with it its seat given up.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, cast

from aiohttp import StreamReader
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from proxy.config.settings import LimitsSettings
from proxy.errors import ClientError, ClientGone, HeadTooLarge, RequestTimeout
from proxy.server.client_transport import ClientTransport
from proxy.server.parser import client_error
from proxy.server.tunnel_inbox import TunnelInbox
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

BODY_BUFFER_BYTES = 128 * 1024
"""Of a request body, read ahead of the origin before reading pauses (aiohttp pauses at twice this)."""

LINGER_S = 2.0
"""How long what a client still sends is thrown away after the last answer. Closing at once would make the
kernel reset the connection and with it the answer on its way (RFC 9112 §9.6)."""

TURNS = 32
"""Requests of one connection that are answered in a row, before other connections have their turn."""


_END_WITHOUT_TRAILERS = b"\r\n0\r\n\r\n"


class State(StrEnum):
    """Of a connection; see the module's head."""

    IDLE = "idle"
    HEAD = "head"
    BUSY = "busy"
    LINGER = "linger"
    TUNNEL = "tunnel"
    CLOSED = "closed"


_END_OF_HEAD = b"\r\n\r\n"

Parsed = tuple[Sequence[tuple[RawRequestMessage, StreamReader]], bool, bytes]
"""Messages with their bodies, whether an upgrade ends the parsing, and what is behind it."""

_IDLE = State.IDLE  # asked for with each request, and slower through its class


class InProgress(Protocol):
    """An exchange that has begun and is not over.

    `parked` ones end without a task, by `ClientConnection.exchange_over`, or ask for one by `run`.
    """

    parked: bool

    async def go_on(self) -> bool:
        """Go on in a task; whether the connection may take another request. Raises only CancelledError."""

    def abandon(self) -> None:
        """The client is gone before a task ran. Idempotent."""


class ConnectionHost(Protocol):
    """What a connection needs of the listener that accepted it."""

    limits: LimitsSettings

    @property
    def draining(self) -> bool:
        """Whether the process is on its way out, so that no further request is taken."""

    def opened(self, connection: ClientConnection) -> bool:
        """Register; False if there are too many connections."""

    def closed(self, connection: ClientConnection) -> None:
        """Unregister."""

    def begin(
        self, connection: ClientConnection, message: RawRequestMessage, body: StreamReader
    ) -> bool | InProgress:
        """Begin to answer one request; if it is over at once, whether the connection may take another."""

    def goes_first(self) -> bool:
        """Whether this is the first request that came in this round of the loop: then it is begun at once."""

    def refuse(self, connection: ClientConnection, error: ClientError) -> None:
        """Answer octets that are no request; the connection closes afterwards."""

    def gate_for(self, client: str) -> HitGate | None:
        """What answers plain hits to this client; None where everything takes the ordinary path."""


class HitGate(Protocol):
    """Answers plain hits at once; see `server/gate.py`."""

    def answer_known(self, connection: ClientConnection, octets: bytes) -> bool:
        """Whether these octets are a head that it knows, and it answered."""

    def answer_parsed(self, connection: ClientConnection, message: RawRequestMessage, octets: bytes) -> bool:
        """Whether it answered this request, whose head is `octets`, empty where they came in parts."""


class ClientConnection(ClientTransport):
    """One accepted connection."""

    __slots__ = (
        "_body",
        "_came",
        "_chunked",
        "_current_body",
        "_deadline_mono",
        "_gate",
        "_head_bytes",
        "_held",
        "_host",
        "_idle_timeout_s",
        "_in_progress",
        "_last_octets",
        "_no_more_requests",
        "_outstanding",
        "_queue",
        "_task",
        "_timer",
        "_working",
        "state",
        "tunnel_inbox",
    )

    def __init__(self, host: ConnectionHost, loop: asyncio.AbstractEventLoop) -> None:
        limits = host.limits
        parser = HttpRequestParser(
            self,
            loop,
            BODY_BUFFER_BYTES,
            max_line_size=limits.max_line_bytes,
            max_field_size=limits.max_field_bytes,
            max_headers=limits.max_head_bytes,  # counted by policy.request_checks, for the right status
            payload_exception=ClientError,
            auto_decompress=False,
            max_msg_queue_size=limits.max_pipelined,
        )
        super().__init__(loop, parser, write_timeout_s=limits.write_timeout_s)
        self._host = host
        self.state = State.IDLE
        self._queue: deque[tuple[RawRequestMessage, StreamReader] | ClientError] = deque()
        self._outstanding = 0  # requests that came and are not answered yet
        self._body: StreamReader | None = None  # of the newest request, while more of it may come
        self._chunked = False  # the newest request's body is chunked, and its end has not come
        self._last_octets = b""  # received since its head; as many as tell whether it has trailers
        self._head_bytes = 0
        self._held = b""  # behind the requests that are as many as may wait
        self._no_more_requests = False
        self._came = False  # a request, in the octets that are being read
        self._in_progress: InProgress | None = None
        self._current_body: StreamReader | None = None  # of the request that is being answered
        self._working = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_mono = 0.0
        self._gate: HitGate | None = None
        self._idle_timeout_s = limits.idle_timeout_s
        self.tunnel_inbox: TunnelInbox | None = None

    def __repr__(self) -> str:
        return f"<ClientConnection {self.peer} {self.state} {len(self._queue)} queued>"

    @property
    def draining(self) -> bool:
        """Whether it takes no further request, as the process is on its way out."""
        return self._host.draining

    # from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        if not self._host.opened(self):
            self.reset()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._set_deadline(self._host.limits.head_timeout_s)
        self.renew_gate()

    def renew_gate(self) -> None:
        """Take the gate of what is configured now."""
        self._gate = self._host.gate_for(self.peer)

    def connection_lost(self, exc: BaseException | None) -> None:
        switched, self.state = self.state is State.TUNNEL, State.CLOSED
        self._host.closed(self)
        super().connection_lost(None)
        if self._timer is not None:
            self._timer.cancel()
        gone = ClientGone("the client closed its connection")
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(gone)
        if switched and self.tunnel_inbox is not None:
            self.tunnel_inbox.feed_eof()
            if self._task is not None:  # what came last may still be passed on, but not for ever
                self._loop.call_later(LINGER_S, self._task.cancel)
        else:
            if self._task is not None:
                self._task.cancel()
            if self._in_progress is not None:  # parked, or its task never began
                self._in_progress.abandon()
        self._queue.clear()
        self._parser = None

    def eof_received(self) -> None:
        if self.tunnel_inbox is not None:
            self.tunnel_inbox.feed_eof()

    def data_received(self, data: bytes) -> None:
        gate = self._gate
        if gate is not None and self._may_be_answered_at_once():
            if gate.answer_known(self, data):
                self._rest_again()
                return
            if data.find(_END_OF_HEAD) == len(data) - len(_END_OF_HEAD):
                self._receive_head(gate, data)
            else:
                self._feed(data)
        else:
            self._feed(data)
        if self._came:
            self._came = False
            if self._host.goes_first():
                self._work()
            else:
                self._loop.call_soon(self._work)

    def _may_be_answered_at_once(self) -> bool:
        """Whether no answer is outstanding, the client reads, and the next answer is not the last one."""
        return (
            self.state is _IDLE
            and not self._paused
            and not self._buffer_paused
            and not self._host.draining  # then the answer says so, and the gate's do not
        )

    def _feed(self, data: bytes) -> None:
        """Give the parser one head at a time: it forgets what came whole in front of an error."""
        data, self._held = self._held + data, b""
        if self._buffer_paused and not self._no_more_requests:
            self._held = data
            return
        while True:
            piece, data = self._cut(data)
            self._receive(piece)
            if not data:
                return
            if self._buffer_paused:
                self._held = data
                return

    def _cut(self, data: bytes) -> tuple[bytes, bytes]:
        """What ends with the next head, and the rest; all of it where it is a body's, or nothing parsed."""
        if self._no_more_requests or not (self._body is None or self._body.is_eof()):
            return data, b""
        end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        return (data[:end], data[end:]) if 4 <= end < len(data) else (data, b"")

    def _receive(self, data: bytes) -> None:
        if self.state in (State.LINGER, State.CLOSED):
            return
        between_requests = self._body is None or self._body.is_eof()
        if between_requests and self._no_more_requests:
            if self.tunnel_inbox is not None:
                self.tunnel_inbox.feed(data)
            return
        parsed = self._parse(data)
        if parsed is not None:
            self._take_in(data, parsed, between_requests=between_requests)

    def _receive_head(self, gate: HitGate, data: bytes) -> None:
        """On an idle connection came what ends with the end of its only head, if it is one."""
        parsed = self._parse(data)
        if parsed is None:
            return
        messages = parsed[0]
        if len(messages) == 1:
            message, body = messages[0]
            if body.is_eof() and gate.answer_parsed(self, message, data):
                assert self._parser is not None, "it has just parsed"
                self._parser.message_consumed()
                self._rest_again()
                return
        self._take_in(data, parsed, between_requests=True)

    def _parse(self, data: bytes) -> Parsed | None:
        """What the parser makes of it; None if it fails, which was told then."""
        assert self._parser is not None, "octets after the end"
        try:
            return cast(Parsed, self._parser.feed_data(data))
        except HttpProcessingError as error:
            self._parse_failed(client_error(error, data))
        except Exception as error:  # not foreseen by the parser's authors, nor to be trusted further
            logger.warning("parser_broken error=%r", error)
            self._parse_failed(ClientError("the octets received cannot be read as HTTP"))
        return None

    def _take_in(self, data: bytes, parsed: Parsed, *, between_requests: bool) -> None:
        messages, upgraded, tail = parsed
        self._look_for_trailers(data, followed=bool(messages))
        if messages:
            self._head_bytes = 0
            self._take(messages)
            self._look_for_trailers(data, followed=False)
        elif between_requests and data:
            self._head_goes_on(len(data))
        if upgraded and tail and self.tunnel_inbox is not None:
            self.tunnel_inbox.feed(tail)  # the end of a body and what is behind it came as one
        self._pause_for_pipelining()

    # requests

    def _take(self, messages: Sequence[tuple[RawRequestMessage, StreamReader]]) -> None:
        for message, body in messages:
            if self._no_more_requests:
                break
            self._queue.append((message, body))
            self._outstanding += 1
            self._body = body
            self._chunked = bool(message.chunked)
            if message.upgrade:
                self._no_more_requests = True
                self.tunnel_inbox = TunnelInbox(self)
            elif self._chunked and message is not messages[-1][0]:
                self._no_more_requests = True  # the next one was parsed with this one's trailers, if any
        self._came = True

    def _look_for_trailers(self, data: bytes, *, followed: bool) -> None:
        """At the end of a chunked body see that it had none; the module's head says why."""
        if not self._chunked:
            return
        self._last_octets = (self._last_octets + data)[-len(_END_WITHOUT_TRAILERS) :]
        if self._body is None or not self._body.is_eof():
            return
        # A full parser may hold octets behind the end that only look like it.
        full = self._outstanding >= self._host.limits.max_pipelined
        if followed or full or self._last_octets != _END_WITHOUT_TRAILERS:
            self._no_more_requests = True
        self._chunked, self._last_octets = False, b""

    def _head_goes_on(self, octets: int) -> None:
        if self.state is State.IDLE:
            self.state = State.HEAD
            self._set_deadline(self._host.limits.head_timeout_s)
        self._head_bytes += octets
        if self._head_bytes > self._host.limits.max_head_bytes:
            self._parse_failed(HeadTooLarge(f"the head is above {self._host.limits.max_head_bytes} octets"))

    def _parse_failed(self, error: ClientError) -> None:
        self._no_more_requests = True
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(error)  # the exchange that reads it answers, or cuts its answer short
            return
        self._queue.append(error)
        self._work()

    @property
    def _busy(self) -> bool:
        return self._task is not None or self._in_progress is not None

    def _work(self) -> None:
        """Answer what is queued, in order, until an exchange has to wait; then rest, linger or close."""
        if self._working or self._busy:
            return
        self._working = True
        try:
            turns = TURNS
            while self._queue and not self._busy:
                if self._paused:
                    self._task = spawn(self._drain_and_work(), name="client connection")
                elif not turns:
                    self._loop.call_soon(self._work)  # others want to be served, too
                    return
                else:
                    turns -= 1
                    self._begin(self._queue.popleft())
            if self.state is State.BUSY and not self._busy:
                self._rest()
        except Exception:
            self.reset()  # a defect of ours: nobody would look after this connection any more
            raise
        finally:
            self._working = False

    def _begin(self, item: tuple[RawRequestMessage, StreamReader] | ClientError) -> None:
        self.state = State.BUSY
        if isinstance(item, ClientError):
            self._host.refuse(self, item)
            self._linger()
            return
        message, self._current_body = item
        progress = self._host.begin(self, message, self._current_body)
        if isinstance(progress, bool):
            self._over(again=progress)
            return
        self._in_progress = progress
        if not progress.parked:
            self.run(progress)

    def run(self, exchange: InProgress) -> None:
        """Let the exchange go on in a task."""
        if self.state is not State.CLOSED:
            self._task = spawn(self._run(exchange), name="client connection")

    async def _run(self, exchange: InProgress) -> None:
        self._in_progress = None  # from here on it ends by itself, also when it is cancelled
        try:
            again = await exchange.go_on()
        except Exception:
            self.reset()  # a defect of ours: nobody would look after this connection any more
            raise
        finally:
            self._task = None
        self._over(again=again)
        self._work()

    def exchange_over(self, *, again: bool) -> None:
        """A parked exchange is over."""
        self._in_progress = None
        self._over(again=again)
        self._work()

    def _over(self, *, again: bool) -> None:
        self._outstanding -= 1
        if self._parser is not None and self._current_body is not None and self._current_body.is_eof():
            self._parser.message_consumed()  # it counts whole messages only, this one by now
        if self.state in (State.CLOSED, State.TUNNEL):
            return
        assert self._current_body is not None, "an exchange has a body, if only an empty one"
        if not again or not self._current_body.is_eof() or (self._no_more_requests and not self._queue):
            self._queue.clear()
            self._linger()
            return
        self._resume_after_pipelining()
        if not self._queue:
            self._rest()

    async def _drain_and_work(self) -> None:
        """The client has not taken the answers it has: wait for that before it gets more."""
        try:
            await self.drain()
        except ClientGone:
            return
        finally:
            self._task = None
        self._work()

    def _rest(self) -> None:
        if self._host.draining:
            self.close()
            return
        self.state = State.HEAD if self._head_bytes else State.IDLE
        self._unsent_bytes = 0  # what is unsent from now on is another answer's
        limits = self._host.limits
        self._set_deadline(limits.head_timeout_s if self._head_bytes else limits.idle_timeout_s)

    def _rest_again(self) -> None:
        """It was idle, and the gate has answered: idle from now on. The deadline only moves away."""
        self._unsent_bytes = 0
        self._deadline_mono = self._loop.time() + self._idle_timeout_s

    # The parser keeps to itself what follows `max_pipelined` whole requests that it was not told to be
    # consumed. Here are counted those that are not answered, which are as many or more: so whenever the
    # parser keeps something back, reading is paused, and what is kept is asked for when it goes on.

    def _pause_for_pipelining(self) -> None:
        body_came = self._body is None or self._body.is_eof()
        if body_came and self._outstanding >= self._host.limits.max_pipelined and not self._buffer_paused:
            self._pause_reading_for_buffer()

    def _resume_after_pipelining(self) -> None:
        if self._buffer_paused and self._outstanding <= self._host.limits.max_pipelined // 2:
            self._buffer_paused = False
            self.data_received(b"")
            if not self._buffer_paused:
                self._resume_reading_for_buffer()

    # time limits

    def _set_deadline(self, in_s: float) -> None:
        """What is due at the latest in so many seconds; the timer looks then."""
        self._deadline_mono = self._loop.time() + in_s
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline_mono, self._time_passed)
        elif self._timer.when() > self._deadline_mono:
            self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline_mono, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        if self.transport is None:
            return
        now_mono = self._loop.time()
        if self._deadline_mono - now_mono > 0.001:
            self._timer = self._loop.call_at(self._deadline_mono, self._time_passed)
            return
        limits = self._host.limits
        match self.state:
            case State.HEAD:
                self._parse_failed(
                    RequestTimeout(f"no whole request head within {limits.head_timeout_s:g} s")
                )
            case State.IDLE | State.LINGER if self.is_sending(now_mono):
                self._set_deadline(limits.write_timeout_s)
            case State.IDLE | State.LINGER:
                self.close()
            case State.TUNNEL if self.transport.is_closing() and self.is_sending(now_mono):
                self._set_deadline(limits.write_timeout_s)  # its end waits for a client that does not read
            case State.BUSY | State.TUNNEL | State.CLOSED:
                self._set_deadline(limits.idle_timeout_s)

    # ending

    def _linger(self) -> None:
        """Nothing more is answered: tell the client, and let it read what was sent before we close."""
        if self.transport is None or self.state is State.CLOSED or self.transport.is_closing():
            return
        self.state = State.LINGER
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        if self._reading_paused:
            self._reading_paused = False
            self._resume_transport_reading()
        body_came = self._body is None or self._body.is_eof()
        if body_came and not self._no_more_requests:
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()  # over TLS only time, or the client, ends the connection
        self._set_deadline(LINGER_S)

    def reset(self) -> None:
        if self.state is State.TUNNEL:
            self.state = State.CLOSED  # so that its task ends at once
        super().reset()

    def drain_for_shutdown(self) -> None:
        """The process is on its way out: close now if nothing is in progress."""
        if self.state in (State.IDLE, State.HEAD):
            self.close()

    def hold(self) -> None:
        if not self._buffer_paused:
            self._pause_reading_for_buffer()

    def unhold(self) -> None:
        if self._buffer_paused:
            self._resume_reading_for_buffer()

    def switch_to_tunnel(self) -> TunnelInbox:
        """101 was sent: from now on octets pass both ways."""
        assert self.tunnel_inbox is not None, "no upgrade was asked for"
        self.state = State.TUNNEL
        return self.tunnel_inbox
