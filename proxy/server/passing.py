"""Passes a request through: both bodies streamed with back-pressure, nothing stored, nothing shared."""

from __future__ import annotations

import asyncio

from proxy.coalesce.answer import Outcome
from proxy.config.settings import CacheSettings, RouteSettings
from proxy.errors import ProxyError
from proxy.http.messages import RequestHead, ResponseHead
from proxy.http.rendering import render_fields
from proxy.origin.port import ForwardRequest, Framing, Origin, OriginResponse, Tunnel
from proxy.policy.cache_status import CacheStatus, ForwardReason, format_cache_status
from proxy.policy.content_coding import not_modified_for_client
from proxy.policy.forwarding import response_fields
from proxy.server.client_connection import ClientConnection
from proxy.server.exchange import Exchange
from proxy.server.head_lines import HeadLines
from proxy.server.passage import Passage


class Passing:
    """Passes requests through under one configuration."""

    def __init__(self, settings: CacheSettings) -> None:
        self._name = settings.cache_name
        self._cache_status = settings.cache_status
        self._written = HeadLines()

    def informational(self, exchange: Exchange, head: ResponseHead, *, route: RouteSettings) -> None:
        """Pass a 1xx on; 100 only to a client that waits for one."""
        if head.status == 100:
            exchange.continue_now()
            return
        fields = response_fields(head, route=route, via_name=self._name)
        exchange.writer.informational(ResponseHead(head.status, fields, head.reason))

    async def pass_through(
        self,
        exchange: Exchange,
        request: RequestHead,
        forward: ForwardRequest,
        *,
        connection: ClientConnection,
        origin: Origin,
        route: RouteSettings,
        reason: ForwardReason,
        now: float,
        passage: Passage,
    ) -> None:
        """Ask and answer. `passage` is told of the head before any of the answer is sent, and of the body.

        Raises: what the origin port raises, ClientGone, ClientError; after the head was sent the caller
        cuts the connection.
        """
        response = await origin.send(
            forward, on_informational=lambda head: self.informational(exchange, head, route=route)
        )
        try:
            head = response.head
            await passage.answered(response)
            exchange.origin_s = asyncio.get_running_loop().time() - exchange.started_mono
            if route.compression.enabled:
                head = not_modified_for_client(request, head)
            lines = self._lines(head, route, now)
            if response.tunnel is not None:
                exchange.writer.switch(head, lines + _upgrade_lines(head))
                await _relay(connection, response.tunnel)
                return
            if self._cache_status:
                status = CacheStatus(
                    fwd=reason,
                    fwd_status=head.status,
                    stored=passage.keeps,
                    collapsed=_collapsed(exchange),
                )
                lines += render_fields([(b"Cache-Status", format_cache_status(self._name, status))])
            await _copy_body(exchange, request, response, lines, passage)
        finally:
            response.close()

    def _lines(self, head: ResponseHead, route: RouteSettings, now: float) -> bytes:
        lines = self._written.find(head, route)
        if lines is None:
            lines = render_fields(response_fields(head, route=route, via_name=self._name, received_at=now))
            self._written.keep(head, route, lines)
        return lines


def _collapsed(exchange: Exchange) -> bool | None:
    return False if exchange.outcome is Outcome.RELEASED else None


def _declared_length(request: RequestHead, response: OriginResponse) -> int | None:
    """Octets to declare; to HEAD what the origin declared for the GET (RFC 9110 §9.3.2)."""
    if request.method == "HEAD":
        value = response.head.fields.get(b"content-length")
        return int(value) if value is not None and value.isdigit() else None
    return 0 if response.framing is Framing.NONE else response.length


async def _copy_body(
    exchange: Exchange, request: RequestHead, response: OriginResponse, lines: bytes, passage: Passage
) -> None:
    writer = exchange.writer
    head = response.head
    closes = response.framing is Framing.CLOSE
    length = _declared_length(request, response)
    if exchange.body is not None and not exchange.body.arrived:
        # Whether the client will still send the rest is for it to choose (RFC 9110 §10.1.1), and a next
        # request would be taken for the rest of this one.
        writer.keep_alive = False
    writer.start(head.status, lines, reason=head.reason, length=length, until_close=closes)
    while piece := await response.read():
        passage.take(piece)
        await writer.write(piece)
    passage.whole()
    writer.finish()


def _upgrade_lines(head: ResponseHead) -> bytes:
    protocol = head.fields.get(b"upgrade") or b""
    return render_fields([(b"Connection", b"Upgrade"), (b"Upgrade", protocol)])


async def _relay(connection: ClientConnection, tunnel: Tunnel) -> None:
    """Octets both ways until one side has closed."""
    inbox = connection.switch_to_tunnel()

    async def upwards() -> None:
        while octets := await inbox.read():
            await tunnel.write(octets)
        tunnel.write_eof()

    async def downwards() -> None:
        while octets := await tunnel.read():
            connection.write(octets)
            await connection.drain()
        connection.close()

    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(upwards())
            both.create_task(downwards())
    except* ProxyError:
        connection.reset()
    finally:
        tunnel.close()
