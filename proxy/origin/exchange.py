"""One request and its answer over one connection (RFC 9112)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from proxy.config.settings import OriginSettings
from proxy.errors import OriginBodyCut, OriginError, OriginProtocolError, OriginTimeout, ProxyError
from proxy.http.messages import ResponseHead
from proxy.origin.chunked import ChunkDefect, ChunkedReader
from proxy.origin.connection import OriginConnection
from proxy.origin.inbox import Inbox
from proxy.origin.port import ForwardRequest, Framing, OnInformational
from proxy.origin.request_head import sends_body
from proxy.origin.response_head import (
    HeadDefect,
    HeadReader,
    ReceivedHead,
    received_head,
)
from proxy.origin.slots import Slot
from proxy.origin.tunnel import OriginTunnel
from proxy.origin.upload import Upload
from proxy.peers.word import OwnersWord

logger = logging.getLogger(__name__)

MAX_INFORMATIONAL = 16
"""1xx answers before the final one; more are a flood. Origins send 100, 102 and 103, a few at most."""

OnEnd = Callable[["Exchange", OriginConnection, bool], None]


class ConnectionDied(OriginProtocolError):
    """The connection ended before any octet of the answer: whether the request was acted on is unknown."""


class Exchange:
    """Sends one request and is its answer (`proxy.origin.port.OriginResponse`).

    `on_end` is called once, when the origin is done or the connection is lost to us, with the connection
    and whether it may carry another request.
    """

    __slots__ = (
        "_chunks",
        "_connection",
        "_early",
        "_error",
        "_framing",
        "_head",
        "_heads",
        "_inbox",
        "_informational",
        "_keep",
        "_length",
        "_loop",
        "_on_end",
        "_remaining",
        "_request",
        "_settings",
        "_tunnel",
        "_upload",
        "_waiter",
        "lasts",
        "reused",
        "slot",
        "touched",
    )

    def __init__(
        self,
        connection: OriginConnection,
        request: ForwardRequest,
        settings: OriginSettings,
        loop: asyncio.AbstractEventLoop,
        *,
        on_end: OnEnd,
        slot: Slot,
    ) -> None:
        self.slot = slot
        self.reused = connection.reused
        self.touched = False
        """Whether any octet of an answer came."""
        self.lasts = False
        """Whether the answer goes on for as long as its client likes, and so cannot hold a slot."""
        self._connection: OriginConnection | None = connection
        self._request = request
        self._settings = settings
        self._loop = loop
        self._on_end = on_end
        self._inbox = Inbox(connection, loop)
        self._heads = HeadReader(max_head_bytes=settings.max_head_bytes)
        self._informational: list[ResponseHead] = []
        self._early = 0
        self._head: ResponseHead | None = None
        self._framing = Framing.NONE
        self._length: int | None = None
        self._remaining = 0
        self._keep = False
        self._chunks: ChunkedReader | None = None
        self._tunnel: OriginTunnel | None = None
        self._upload: Upload | None = None
        self._error: ProxyError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        status = "unanswered" if self._head is None else str(self._head.status)
        return f"<Exchange {self._request.method} {self._request.target!r} {status}>"

    @property
    def has_head(self) -> bool:
        """Whether the final head has come."""
        return self._head is not None

    # The answer, as the port describes it.

    @property
    def head(self) -> ResponseHead:
        assert self._head is not None, "the answer's head has not come yet"
        return self._head

    @property
    def framing(self) -> Framing:
        return self._framing

    @property
    def length(self) -> int | None:
        return self._length

    @property
    def tunnel(self) -> OriginTunnel | None:
        return self._tunnel

    @property
    def word(self) -> OwnersWord | None:
        return None

    async def read(self) -> bytes:
        return await self._inbox.read(
            limit_s=self._settings.between_bytes_timeout_s,
            complaint="it sent nothing of its answer's body for between_bytes_timeout_s",
        )

    def close(self) -> None:
        if self._tunnel is not None:
            self._tunnel.close()
        self._inbox.close(OriginBodyCut("the answer was closed before its end was read"))
        self._release(reusable=False)

    # Sending.

    def start(self, head: bytes) -> None:
        """Write the request head, and begin with the body if there is one."""
        connection = self._connection
        assert connection is not None, "an exchange is started once"
        connection.lend(self)
        body = self._request.body if sends_body(self._request) else None
        octets = None if body is None or self._request.expect_continue else body.at_hand()
        if octets is not None:
            connection.write(head + octets)
            self._await_first_byte()
            return
        connection.write(head)
        if body is not None:
            self._upload = Upload(
                body,
                connection,
                stall_s=self._settings.between_bytes_timeout_s,
                expect_s=self._settings.expect_timeout_s if self._request.expect_continue else None,
                on_done=self._uploaded,
                on_failed=self._upload_failed,
            )
        else:
            self._await_first_byte()

    async def answered(self, on_informational: OnInformational | None) -> None:
        """Wait for the final head; each 1xx before it goes to `on_informational`, in order.

        Raises: OriginTimeout, OriginProtocolError, ConnectionDied, what the request's body raised.
        """
        try:
            while True:
                self._tell_informational(on_informational)
                if self._head is not None:
                    return
                if self._error is not None:
                    raise self._error
                self._waiter = self._loop.create_future()
                await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None

    def _tell_informational(self, on_informational: OnInformational | None) -> None:
        heads, self._informational = self._informational, []
        if on_informational is not None:
            for head in heads:
                on_informational(head)

    def _await_first_byte(self) -> None:
        if self._connection is not None:
            self._connection.limit(
                self._settings.first_byte_timeout_s, "it sent no answer within first_byte_timeout_s"
            )

    def _uploaded(self) -> None:
        self._upload = None
        if self._head is None:
            self._await_first_byte()

    def _upload_failed(self, error: ProxyError) -> None:
        self._upload = None
        if self._head is not None:
            # The answer cannot be told from one to a request that was cut short.
            error = _caused(OriginBodyCut(f"{self._label}: the request's body ended early: {error}"), error)
        self._fail(error)

    # Called by the connection.

    def data_received(self, octets: bytes) -> None:
        self.touched = True
        try:
            rest = octets if self._head is not None else self._read_heads(octets)
            if rest is not None:
                self._read_body(rest)
        except HeadDefect as defect:
            self._fail(_caused(OriginProtocolError(f"{self._label}: {defect}"), defect))
        except ChunkDefect as defect:
            if defect.good:
                self._inbox.put(defect.good)
            self._fail(
                _caused(OriginBodyCut(f"{self._label}: its chunked body is malformed: {defect}"), defect)
            )

    def eof_received(self) -> bool:
        if self._head is not None and self._framing is Framing.CLOSE:
            self._complete(surplus=False)
        else:
            self._fail(self._cut(None))
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(self._cut(error))

    def timed_out(self, complaint: str) -> None:
        self._fail(OriginTimeout(f"{self._label}: {complaint}"))

    # The head.

    def _read_heads(self, octets: bytes) -> bytes | None:
        """Read heads up to the final one; what follows it, None if it is not there yet."""
        rest: bytes | None = octets
        while rest is not None and self._head is None:
            raw, rest = self._heads.cut(rest)
            if raw is None:
                return None
            received = received_head(raw)
            if received.head.status >= 200:
                self._accept(received)
            elif received.head.status == 101:
                self._switch(received.head, rest)
                return None
            else:
                self._interim(received.head)
                rest = rest or None
        return rest

    def _interim(self, head: ResponseHead) -> None:
        self._early += 1
        if self._early > MAX_INFORMATIONAL:
            raise HeadDefect(f"it sent more than {MAX_INFORMATIONAL} informational answers")
        self._informational.append(head)
        if self._upload is None:
            self._await_first_byte()
        elif head.status == 100:
            self._upload.go_on()
        self._wake()

    def _accept(self, received: ReceivedHead) -> None:
        head = received.head
        self._framing, self._length = received.framing_for(self._request.method)
        self._keep, self.lasts = received.keeps_alive, received.lasts
        self._remaining = self._length or 0
        if self._framing is Framing.CHUNKED:
            self._chunks = ChunkedReader(max_framing_octets=self._settings.max_head_bytes)
        if self._upload is not None and (head.status >= 300 or not self._upload.started):
            # Refused or sent elsewhere: the origin will not read the rest. After a 2xx it may (an echo).
            self._stop_upload()
        if self._connection is not None:
            self._connection.unlimit()
        self._head = head
        self._wake()

    def _switch(self, head: ResponseHead, rest: bytes) -> None:
        offered = {token.strip().lower() for token in (self._request.upgrade or b"").split(b",")}
        chosen = [protocol.lower() for protocol in head.fields.members(b"upgrade")]
        if self._request.upgrade is None or not chosen or not offered.issuperset(chosen):
            raise HeadDefect(f"it switched to {chosen!r} where {self._request.upgrade!r} was asked for")
        if self._upload is not None:
            raise HeadDefect("it switched protocols before the request was complete")
        connection = self._connection
        assert connection is not None, "octets come from a connection"
        connection.unlimit()
        self._length, self.lasts = 0, True
        self._tunnel = OriginTunnel(connection, self._loop, on_end=self._tunnel_ended)
        connection.hand_over(self._tunnel)
        if rest:
            self._tunnel.data_received(rest)
        self._inbox.end()
        self._head = head
        self._wake()

    def _tunnel_ended(self) -> None:
        self._release(reusable=False)

    # The body.

    def _read_body(self, octets: bytes) -> None:
        match self._framing:
            case Framing.NONE:
                self._complete(surplus=bool(octets))
            case Framing.LENGTH:
                self._read_declared(octets)
            case Framing.CHUNKED:
                self._read_chunks(octets)
            case Framing.CLOSE:
                if octets:
                    self._inbox.put(octets)

    def _read_declared(self, octets: bytes) -> None:
        remaining = self._remaining
        if len(octets) < remaining:
            self._remaining = remaining - len(octets)
            if octets:
                self._inbox.put(octets)
            return
        self._remaining = 0
        if remaining:
            self._inbox.put(octets[:remaining])
        self._complete(surplus=len(octets) > remaining)

    def _read_chunks(self, octets: bytes) -> None:
        if not octets:
            return
        chunks = self._chunks
        assert chunks is not None, "chunked framing has its reader"
        content = chunks.feed(octets)
        if content:
            self._inbox.put(content)
        if chunks.finished:
            self._complete(surplus=chunks.surplus)

    # Ends.

    def _complete(self, *, surplus: bool) -> None:
        connection = self._connection
        if surplus and connection is not None:
            logger.warning("origin_sent_surplus origin=%s address=%s", connection.origin, connection.target)
        self._inbox.end()
        whole = self._framing is not Framing.CLOSE and self._upload is None
        self._release(reusable=self._keep and whole and not surplus)

    def _fail(self, error: ProxyError) -> None:
        if self._inbox.ended:
            return
        self._error = error
        if isinstance(error, OriginError):
            self._inbox.end(error)
        else:
            self._inbox.end(OriginBodyCut("the request was given up before its answer"))
        self._release(reusable=False)
        self._wake()

    def _cut(self, error: Exception | None) -> OriginError:
        why = "" if error is None else f": {error}"
        if self._head is not None:
            cut: OriginError = OriginBodyCut(f"{self._label}: the connection ended inside the body{why}")
        elif self.touched:
            cut = OriginProtocolError(f"{self._label}: the connection ended inside the head{why}")
        else:
            cut = ConnectionDied(f"{self._label}: it closed the connection without an answer{why}")
        return cut if error is None else _caused(cut, error)

    def _release(self, *, reusable: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._stop_upload()
        if self._chunks is not None:
            self._chunks.close()
        if self._tunnel is None:
            connection.take_back()
        self._on_end(self, connection, reusable)

    def _stop_upload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            self._keep = False
            upload.stop()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def _label(self) -> str:
        return "origin" if self._connection is None else self._connection.label


def _caused(error: OriginError, cause: BaseException) -> OriginError:
    """What `raise … from` does, for an error that is raised later and elsewhere."""
    error.__cause__ = cause
    return error
