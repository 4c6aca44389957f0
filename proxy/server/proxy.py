"""From a request to its answer: check, route, then the cache and its flights, or straight through.

This is the shell around the decisions: every `if` about HTTP is in `proxy.policy`, every wait for a
shared answer in `proxy.coalesce`. What is left is to ask them in the right order, to write the answer,
and to see that every exchange ends with one outcome, whatever happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry
from proxy.cache.memory import MemoryStatistics
from proxy.clock import Clock
from proxy.coalesce.answer import Answer, Outcome, PassThrough
from proxy.coalesce.coalescer import Ask, Coalescer
from proxy.coalesce.flights import FlightStatistics
from proxy.config.settings import Config, CookieRule, RouteSettings
from proxy.errors import (
    ClientError,
    ClientGone,
    ExpectationFailed,
    OriginError,
    ProxyError,
    UnknownMethod,
)
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.http.rendering import render_fields
from proxy.origin.port import ForwardRequest, Origin
from proxy.policy.cache_status import CacheStatus, ForwardReason, format_cache_status
from proxy.policy.conditional import revalidation_fields
from proxy.policy.forwarding import ClientAddress, ends_here, forward_fields
from proxy.policy.keys import cache_key
from proxy.policy.request_checks import KNOWN_METHODS
from proxy.policy.rewriting import forward_target
from proxy.policy.sharing import JoinRefusal, may_join
from proxy.policy.upgrades import passed_upgrade
from proxy.routing import Route, Router
from proxy.server.client_connection import ClientConnection
from proxy.server.delivery import Delivery
from proxy.server.exchange import Exchange
from proxy.server.ledger import Ledger, LedgerStatistics
from proxy.server.listener import Listener
from proxy.server.own_answers import own_answer
from proxy.server.passing import Passing
from proxy.server.prepared import Prepared, PreparedHeads, Unanswerable
from proxy.server.request_body import ClientBody
from proxy.server.response_writer import ResponseWriter

logger = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
REPEATABLE_METHODS = SAFE_METHODS | {"PUT", "DELETE"}
"""Idempotent (RFC 9110 §9.2.2); the origin port repeats only those without a body."""

DISCARD_BYTES = 64 * 1024
"""Of a request body that nobody wanted, this much is read to save the connection; above it we close."""

_RETRY_AFTER_S = 2
"""Of an error before a route was found."""

_CONDITIONS = frozenset(
    {b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"}
)


@dataclass(frozen=True, slots=True)
class ProxyStatistics:
    """What the proxy did since the start."""

    exchanges: LedgerStatistics
    flights: FlightStatistics
    memory: MemoryStatistics


class Proxy:
    """Answers requests under one configuration."""

    def __init__(
        self, config: Config, *, origins: Mapping[str, Origin], clock: Clock, ledger: Ledger
    ) -> None:
        self._config = config
        self._clock = clock
        self._origins = origins
        via_name = config.cache.cache_name
        self._heads = PreparedHeads(Router(config.routes), limits=config.limits, via_name=via_name)
        self._ledger = ledger
        self._cache = ResponseCache(config.cache, clock=clock)
        self._coalescer = Coalescer(cache=self._cache)
        self._delivery = Delivery(config.cache)
        self._passing = Passing(config.cache)

    def __repr__(self) -> str:
        return f"<Proxy {self._coalescer!r} {self._cache!r}>"

    @property
    def cache(self) -> ResponseCache:
        """What is stored; the place to purge."""
        return self._cache

    def statistics(self) -> ProxyStatistics:
        """Counters since the start."""
        return ProxyStatistics(
            exchanges=self._ledger.statistics(),
            flights=self._coalescer.statistics(),
            memory=self._cache.statistics(),
        )

    def close(self) -> None:
        """Stop what still runs."""
        self._coalescer.close()

    # exchanges

    def refuse(self, listener: Listener, connection: ClientConnection, error: ClientError) -> None:
        """Answer octets that are no request; the connection closes afterwards."""
        exchange = self._exchange(listener, connection, keep_alive=False)
        try:
            self._answer_error(exchange, error)
        except ClientGone:
            exchange.aborted = True
        self._ledger.record(exchange, now_mono=self._clock.mono())

    async def serve(
        self, listener: Listener, connection: ClientConnection, message: RawRequestMessage, body: StreamReader
    ) -> bool:
        """Answer one request; whether the connection may take another."""
        keep_alive = not message.should_close and not message.upgrade and not listener.draining
        exchange = self._exchange(listener, connection, keep_alive=keep_alive)
        try:
            await self._serve(exchange, listener, connection, message, body)
        except asyncio.CancelledError:
            exchange.client_gone()
            raise
        finally:
            self._ledger.record(exchange, now_mono=self._clock.mono())
        if exchange.writer.keep_alive and not body.is_eof():
            await _discard(body)
        return exchange.writer.keep_alive

    def _exchange(self, listener: Listener, connection: ClientConnection, *, keep_alive: bool) -> Exchange:
        return Exchange(
            writer=ResponseWriter(connection, keep_alive=keep_alive),
            client=connection.peer,
            trusted=listener.trusts(connection.peer),
            started_at=self._clock.now(),
            started_mono=self._clock.mono(),
        )

    async def _serve(
        self,
        exchange: Exchange,
        listener: Listener,
        connection: ClientConnection,
        message: RawRequestMessage,
        body: StreamReader,
    ) -> None:
        try:
            prepared = self._heads.prepare(message, scheme=listener.scheme, trusted=exchange.trusted)
            exchange.request = prepared.request
            exchange.writer.meant_for(prepared.request)
            if isinstance(prepared, Unanswerable):
                raise prepared.error
            exchange.prepared = prepared
            exchange.route = prepared.route.name
            await self._answer(exchange, prepared, connection, message, body)
        except ProxyError as error:
            self._failed(exchange, error)
        except Exception as error:
            logger.exception("exchange_broken target=%r", message.path)
            self._failed(exchange, ProxyError(repr(error)))

    def _failed(self, exchange: Exchange, error: ProxyError) -> None:
        """The exchange ends with an error: as an answer if nothing was sent yet, else as a cut."""
        exchange.reason = str(error)
        if isinstance(error, OriginError):
            exchange.outcome = Outcome.FAILED
        writer = exchange.writer
        if isinstance(error, ClientGone):
            exchange.client_gone()
            writer.keep_alive = False
        elif writer.head_sent:
            exchange.aborted = True
            logger.warning("answer_cut status=%d reason=%s", writer.status, error)
            writer.abort()
        else:
            try:
                self._answer_error(exchange, error)
            except ClientGone:
                exchange.aborted = True

    def _answer_error(self, exchange: Exchange, error: ProxyError) -> None:
        exchange.reason = str(error)
        if exchange.request is None:
            logger.info("request_refused status=%d client=%s reason=%s", error.status, exchange.client, error)
        writer = exchange.writer
        if isinstance(error, ClientError):
            writer.keep_alive = False  # what follows in the connection is not to be trusted, or not read
        extra: list[Pair] = []
        if self._config.cache.cache_status:
            detail = CacheStatus(detail=type(error).__name__)
            extra.append((b"Cache-Status", format_cache_status(self._config.cache.cache_name, detail)))
        retry_after_s = _RETRY_AFTER_S
        if exchange.prepared is not None:
            retry_after_s = exchange.prepared.route.settings.coalesce.retry_after_s
        lines, text = own_answer(error, retry_after_s=retry_after_s, extra=tuple(extra))
        writer.start(error.status, lines, length=len(text))
        if not writer.sends_no_body:
            writer.write_nowait(text)

    async def _answer(
        self,
        exchange: Exchange,
        prepared: Prepared,
        connection: ClientConnection,
        message: RawRequestMessage,
        stream: StreamReader,
    ) -> None:
        request, route = prepared.request, prepared.route.settings
        exchange.body = self._body_of(exchange, request, message, stream, route)
        refusal = prepared.refusal
        if exchange.body is not None and exchange.body.length != 0:
            refusal = may_join(request, route=route, has_body=True)
        if refusal is None or refusal is JoinRefusal.AUTHORIZATION:
            await self._share(exchange, prepared, connection)
        else:
            reason = ForwardReason.METHOD if refusal is JoinRefusal.METHOD else ForwardReason.BYPASS
            await self._pass(exchange, request, prepared.route, connection, reason)

    def _body_of(
        self,
        exchange: Exchange,
        request: RequestHead,
        message: RawRequestMessage,
        stream: StreamReader,
        route: RouteSettings,
    ) -> ClientBody | None:
        declared = request.fields.get(b"content-length")
        if declared is None and not message.chunked:
            return None
        expectation = request.fields.get(b"expect")
        if expectation is not None and request.minor_version >= 1:
            if expectation.lower() != b"100-continue":
                raise ExpectationFailed(f"the expectation {expectation[:40]!r} is not known here")
            exchange.waits_for_continue = stream.total_bytes == 0 and not stream.is_eof()
        return ClientBody(
            stream,
            length=None if declared is None else int(declared),
            max_bytes=route.max_request_body_bytes,
            timeout_s=self._config.limits.body_timeout_s,
            on_first_read=exchange.continue_now,
        )

    # shared answers

    async def _share(self, exchange: Exchange, prepared: Prepared, connection: ClientConnection) -> None:
        request, route, settings = prepared.request, prepared.route, prepared.route.settings
        key = prepared.key
        assert key is not None, "what may be shared has a key"

        def forward(*, stored: Entry | None, alone: bool) -> ForwardRequest:
            conditions = () if stored is None else revalidation_fields(stored.head)
            if alone and stored is None:
                conditions = tuple(pair for pair in request.fields if pair[0].lower() in _CONDITIONS)
            client = self._client_address(exchange, request)
            return self._forward_request(
                request, route=settings, client=client, leader_of_flight=True, conditions=conditions
            )

        def informed(head: ResponseHead) -> None:
            self._passing.informational(exchange, head, route=settings)

        ask = Ask(
            key=key,
            request=prepared.seen,
            directives=prepared.directives,
            route=settings,
            origin=self._origins[settings.origin],
            forward=forward,
            with_authorization=prepared.refusal is JoinRefusal.AUTHORIZATION,
            on_informational=informed,
        )
        answer = await self._coalescer.answer(ask)
        if isinstance(answer, PassThrough):
            exchange.outcome = answer.outcome
            await self._pass(exchange, request, route, connection, answer.forward, outcome=answer.outcome)
            return
        try:
            self._note(exchange, answer)
            await self._delivery.deliver(
                exchange, request, answer, route=settings, key=key, now=self._clock.now()
            )
        finally:
            answer.close()

    def _note(self, exchange: Exchange, answer: Answer) -> None:
        exchange.outcome = answer.outcome
        exchange.role = answer.role
        exchange.wait_s = answer.wait_s
        exchange.origin_s = answer.origin_s
        exchange.shareable = answer.age_s is not None

    # passing through

    async def _pass(
        self,
        exchange: Exchange,
        request: RequestHead,
        route: Route,
        connection: ClientConnection,
        reason: ForwardReason,
        *,
        outcome: Outcome = Outcome.PASSED,
    ) -> None:
        settings = route.settings
        if ends_here(request):
            self._answer_as_recipient(exchange, request)
            return
        exchange.outcome = outcome
        forward = self._forward_request(
            request,
            route=settings,
            client=self._client_address(exchange, request),
            leader_of_flight=False,
            body=exchange.body,
            upgrade=passed_upgrade(request, route=settings),
            expect_continue=exchange.waits_for_continue,
        )
        await self._passing.pass_through(
            exchange,
            request,
            forward,
            connection=connection,
            origin=self._origins[settings.origin],
            route=settings,
            reason=reason,
            now=self._clock.now(),
            on_head=lambda status: self._invalidate(request, route, status),
        )

    def _answer_as_recipient(self, exchange: Exchange, request: RequestHead) -> None:
        """Max-Forwards is 0: OPTIONS is about us; of a TRACE we echo nothing, it may hold credentials."""
        if request.method == "TRACE":
            raise UnknownMethod("this proxy does not echo requests")
        allow = (b"Allow", ", ".join(sorted(KNOWN_METHODS)).encode())
        exchange.writer.start(200, render_fields([allow]), length=0)

    def _invalidate(self, request: RequestHead, route: Route, status: int) -> None:
        """An unsafe method that did not fail changed what the target answers (RFC 9111 §4.4)."""
        if request.method not in SAFE_METHODS and 200 <= status < 400 and route.settings.cache.enabled:
            of_nobody = replace(request, fields=request.fields.without((b"cookie",)))
            key = cache_key(route.name, of_nobody, route=route.settings)
            if route.settings.cookies is CookieRule.KEY:  # then each user's key begins with it
                self._cache.purge_where(lambda found, _tags: found.startswith(key))
            else:
                self._cache.purge(key)

    def _client_address(self, exchange: Exchange, request: RequestHead) -> ClientAddress:
        return ClientAddress(exchange.client or None, request.scheme, exchange.trusted)

    def _forward_request(
        self,
        request: RequestHead,
        *,
        route: RouteSettings,
        client: ClientAddress,
        leader_of_flight: bool,
        conditions: tuple[Pair, ...] = (),
        body: ClientBody | None = None,
        upgrade: bytes | None = None,
        expect_continue: bool = False,
    ) -> ForwardRequest:
        fields = forward_fields(
            request,
            route=route,
            client=client,
            via_name=self._config.cache.cache_name,
            leader_of_flight=leader_of_flight,
            revalidate=conditions,
        )
        return ForwardRequest(
            method=request.method,
            target=forward_target(request, route=route),
            fields=fields,
            body=body,
            upgrade=upgrade,
            expect_continue=expect_continue,
            may_repeat=request.method in REPEATABLE_METHODS,
        )


async def _discard(body: StreamReader) -> None:
    """Read the little that is left of a request body, so that the connection can be used again."""
    left = DISCARD_BYTES
    try:
        async with asyncio.timeout(1.0):
            while left > 0 and not body.is_eof():
                left -= len(await body.readany())
    except (TimeoutError, ProxyError):
        return
    except Exception as error:  # aiohttp's parser sets errors of several classes
        logger.debug("body_discard_failed error=%r", error)
