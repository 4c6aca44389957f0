"""An exchange that another worker relays, in the worker that has the writes: as one of a client of its own.

It differs in its two ends. It begins with what was told of the client, in the place of what the connection
would tell; and the head of its answer tells what became of it, for the worker whose client it is counts and
logs it. If the writes leave this process before it was taken in, the other worker is told to bring it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.errors import ClientGone, ProxyError, WritesMoved
from proxy.http.rendering import render_fields
from proxy.peers.relay_field import MOVED, Relayed, Told, told_field
from proxy.server.client_connection import ClientConnection
from proxy.server.prepared import Prepared, Unanswerable
from proxy.server.response_writer import ResponseWriter
from proxy.server.serving import Hall, Services, Serving


class TellingWriter(ResponseWriter):
    """Adds to the head what `tell` says in that moment, which it is asked once."""

    __slots__ = ("tell",)

    def __init__(self, connection: ClientConnection, *, keep_alive: bool, tell: Callable[[], Told]) -> None:
        super().__init__(connection, keep_alive=keep_alive)
        self.tell: Callable[[], Told] | None = tell

    def _head(
        self, status: int, reason: bytes, lines: bytes, length: int | None, *, until_close: bool = False
    ) -> bytes:
        assert self.tell is not None, "a second response to one request"
        lines += render_fields((told_field(self.tell()),))
        self.tell = None  # it is the exchange's, which has us
        return super()._head(status, reason, lines, length, until_close=until_close)


class RelayedServing(Serving):
    """Answers one."""

    __slots__ = ("_relayed",)

    def __init__(
        self,
        services: Services,
        hall: Hall,
        connection: ClientConnection,
        message: RawRequestMessage,
        body: StreamReader,
        *,
        relayed: Relayed,
    ) -> None:
        super().__init__(services, hall, connection, message, body)
        self._relayed = relayed
        keep_alive = self.exchange.writer.keep_alive
        self.exchange.writer = TellingWriter(connection, keep_alive=keep_alive, tell=self._tell)

    def _tell(self) -> Told:
        exchange = self.exchange
        return Told(exchange.outcome.value, exchange.origin_s, exchange.reason)

    def _prepare(self) -> Prepared | None:
        exchange, client, request = self.exchange, self._relayed.client, self._relayed.request
        exchange.client, exchange.trusted = client.ip or "", client.trusted
        exchange.request = request
        # The connection is the other worker's, whatever version its client speaks.
        exchange.writer.meant_for(replace(request, minor_version=1))
        resource = self._services.write_status
        if resource is not None and resource.covers(request.path):
            return None
        prepared = self._services.heads.of_request(request, trusted=client.trusted)
        if isinstance(prepared, Unanswerable):
            raise prepared.error
        exchange.prepared = prepared
        exchange.route = prepared.route.name
        return prepared

    def _failed(self, error: ProxyError) -> None:
        writer = self.exchange.writer
        if not isinstance(error, WritesMoved) or writer.head_sent:
            super()._failed(error)
            return
        assert isinstance(writer, TellingWriter), "it was given one"
        writer.tell = lambda: Told(MOVED)
        writer.keep_alive = False
        try:
            writer.start(error.status, b"", length=0)
        except ClientGone:
            self.exchange.client_gone()

    def _end(self) -> bool:
        writer = self.exchange.writer
        assert isinstance(writer, TellingWriter), "it was given one"
        writer.tell = None
        return super()._end()
