"""One exchange in progress: from a request's head to its one outcome, with a task only where one is needed.

Theory of operation. Most exchanges need no task: a hit is answered while its head is read, and a waiter
has nothing to do until its flight's head is there. So an exchange begins without one (`begin`), and ends
in one of three ways:

    at once     a hit, or an error: answered before `begin` returns
    parked      with a seat in a flight, which calls `_settled`; if the whole body is there by then, the
                answer is written in that call, else a task goes on from the seat's outcome. Or with a
                write in its lane, which calls `_write_ended`
    in a task   everything else: passing through, bodies that are still arriving, upgrades (`go_on`)

A parked exchange is a few small objects; a task, its coroutines and their frames are as much again, in
memory and in time. What is decided is the same: both ways ask the coalescer and the delivery. Leaders are
parked, too: were a leader's flight started by its task, all that came in the same round of the loop would
find no flight to join and need tasks of their own.

Whatever happens, the exchange is recorded exactly once (`_end`), and its seat is given up. That holds for
a task that is cancelled before its first step, too: until then the connection calls `abandon`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.cache.cache import ResponseCache
from proxy.clock import Clock
from proxy.coalesce.answer import Answer, Outcome, PassThrough
from proxy.coalesce.ask import Ask, Wait
from proxy.coalesce.coalescer import Coalescer, Joined
from proxy.coalesce.next_step import needs_the_whole, range_is_near
from proxy.coalesce.outcomes import Role, Stream
from proxy.coalesce.slicing import Slicing
from proxy.config.settings import Config, RouteSettings
from proxy.errors import (
    BodyTooLarge,
    ClientError,
    ClientGone,
    EntityMissing,
    ExpectationFailed,
    NotStored,
    OriginError,
    OriginOverloaded,
    OriginUnreachable,
    ProxyError,
    UnknownMethod,
)
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.http.rendering import render_fields
from proxy.origin.port import ForwardRequest, Origin
from proxy.peers.question import Question, question_of
from proxy.policy.cache_status import CacheStatus, ForwardReason, format_cache_status
from proxy.policy.forwarding import ClientAddress, ends_here, forward_fields, with_conditions
from proxy.policy.key_parts import slice_key
from proxy.policy.keys import CacheKey
from proxy.policy.partial import slice_in
from proxy.policy.request_checks import KNOWN_METHODS
from proxy.policy.rewriting import forward_target
from proxy.policy.sharing import JoinRefusal, may_join
from proxy.policy.surrogate_keys import SAFE_METHODS
from proxy.policy.upgrades import passed_upgrade
from proxy.server.client_connection import ClientConnection
from proxy.server.delivery import Delivery
from proxy.server.echo import Echo
from proxy.server.exchange import Exchange
from proxy.server.invalidating import Invalidating
from proxy.server.ledger import Ledger
from proxy.server.own_answers import own_answer
from proxy.server.passage import Passage
from proxy.server.passing import Passing
from proxy.server.prepared import OwnResource, Prepared, PreparedHeads, Unanswerable
from proxy.server.purge_method import PurgeMethod
from proxy.server.request_body import ClientBody
from proxy.server.response_writer import ResponseWriter
from proxy.server.writes.entrance import StatusEntrance, WritesEntrance
from proxy.server.writes.front import WriteFront
from proxy.server.writes.parked_write import ParkedWrite
from proxy.server.writes.routes import WriteRoute
from proxy.server.writes.status import WriteStatusResource

logger = logging.getLogger(__name__)

REPEATABLE_METHODS = SAFE_METHODS | {"PUT", "DELETE"}
"""Idempotent (RFC 9110 §9.2.2); the origin port repeats only those without a body."""

DISCARD_BYTES = 64 * 1024
"""Of a request body that nobody wanted, this much is read to save the connection; above it we close."""

FORWARDS_OF_A_HEAD = 4
"""Forward requests that are remembered of one request head, for as many clients: monitors and pollers ask
for what is passed again and again, and writing a forward request is a sixth of passing it."""

_RETRY_AFTER_S = 2
"""Of an error before a route was found."""

_CONDITIONS = frozenset(
    {b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"}
)


@dataclass(frozen=True, slots=True)
class Services:
    """What every exchange under one configuration uses."""

    config: Config
    clock: Clock
    origins: Mapping[str, Origin]
    heads: PreparedHeads
    cache: ResponseCache
    coalescer: Coalescer
    slicing: Slicing
    delivery: Delivery
    passing: Passing
    invalidating: Invalidating
    purge_method: PurgeMethod
    ledger: Ledger
    echo: Echo
    owners: Owners | None = None
    writes: WriteFront | WritesEntrance | None = None
    write_status: WriteStatusResource | StatusEntrance | None = None


class Owners(Protocol):
    """Knows which keys another worker owns: `proxy.peers.peers.Peers`."""

    def owner_of(self, key: CacheKey) -> int:
        """The slot that owns a key."""

    def asks(self, key: CacheKey, *, alone: bool) -> bool:
        """Whether another worker may be asked in the origin's place; `alone`: for this client only."""


class Hall(Protocol):
    """What an exchange needs of the listener that its client came in by."""

    scheme: str
    draining: bool

    def trusts(self, client: str) -> bool:
        """Whether this peer is one of the trusted proxies."""

    def exchange_over(self) -> None:
        """One that began is over."""


class Serving:
    """One exchange in progress; see the module's head."""

    __slots__ = (
        "_answer",
        "_ask",
        "_body",
        "_connection",
        "_hall",
        "_joined",
        "_message",
        "_over",
        "_services",
        "_wait",
        "_write",
        "_write_route",
        "exchange",
        "parked",
    )

    def __init__(
        self,
        services: Services,
        hall: Hall,
        connection: ClientConnection,
        message: RawRequestMessage,
        body: StreamReader,
    ) -> None:
        clock = services.clock
        keep_alive = not message.should_close and not message.upgrade and not hall.draining
        self.exchange = Exchange(
            writer=ResponseWriter(connection, keep_alive=keep_alive),
            client=connection.peer,
            trusted=hall.trusts(connection.peer),
            started_at=clock.now(),
            started_mono=clock.mono(),
        )
        self.parked = False
        self._services = services
        self._hall = hall
        self._connection = connection
        self._message = message
        self._body = body
        self._over = False
        self._ask: Ask | None = None
        self._wait: Wait | None = None
        self._joined: Joined | None = None
        self._answer: Answer | None = None
        self._write_route: WriteRoute | None = None
        self._write: ParkedWrite | None = None

    def __repr__(self) -> str:
        state = "over" if self._over else "parked" if self.parked else "in progress"
        return f"<Serving {state} {self.exchange.request!r}>"

    # the three ways

    def begin(self) -> bool | Serving:
        """If it is over at once, whether the connection may take another request; else itself."""
        try:
            prepared = self._prepare()
            if prepared is not None and prepared.key is not None and prepared.bodyless:
                return self._begin_shared(prepared)
            if prepared is not None and self._services.writes is not None:
                return self._take_in(prepared, self._services.writes)
        except ProxyError as error:
            self._failed(error)
        except Exception as error:
            self._broken(error)
        else:
            return self
        return self._end()

    async def go_on(self) -> bool:
        """Go on in a task; whether the connection may take another request."""
        try:
            await self._go_on()
        except ProxyError as error:
            self._failed(error)
        except asyncio.CancelledError:
            self.exchange.client_gone()
            raise
        except Exception as error:
            self._broken(error)
        finally:
            self._end()
        if self.exchange.writer.keep_alive and not self._body.is_eof():
            await _discard(self._body)
        return self.exchange.writer.keep_alive

    def abandon(self) -> None:
        """The client is gone, and no task runs. Idempotent."""
        if not self._over:
            if self._joined is not None:
                self._joined.seat.leave()
            if self._write is not None:
                self._write.client_gone()
            self.exchange.client_gone()
            self._end()

    def _begin_shared(self, prepared: Prepared) -> bool | Serving:
        coalescer = self._services.coalescer
        self._ask = ask = self._ask_for(prepared)
        self._wait = wait = coalescer.wait_for(ask)
        if self._services.slicing.takes(ask):
            self._answer = self._services.slicing.at_hand(ask)
            if self._answer is not None and self._deliver_at_once(prepared, self._answer):
                return self._end()
            return self
        if b"range" in prepared.request.fields and self._is_to_be_brought(prepared, ask):
            return self
        try:
            step = coalescer.try_now(ask, wait)
        except NotStored:
            if self._may_be_stored_elsewhere(prepared, ask):
                return self
            raise
        if isinstance(step, Answer):
            self._answer = step
            if self._deliver_at_once(prepared, step):
                return self._end()
        elif step is not None:
            self._joined = step
            self.parked = True
            if step.seat.settled:  # it joined an answer that is arriving
                asyncio.get_running_loop().call_soon(self._settled_late)
            else:
                step.seat.on_settled = self._settled
        return self

    def _settled_late(self) -> None:
        later = self._settled()
        if later is not None:
            later()

    def _settled(self) -> Callable[[], None] | None:
        """The seat has its outcome: write the answer if it is all there, else go on in a task.

        Gives back what is left to do once the others of the herd have their answers, too.
        """
        if self._over:
            return None
        prepared, joined = self.exchange.prepared, self._joined
        assert prepared is not None, "an exchange that was parked has a route"
        assert joined is not None, "and a seat"
        try:
            if self._echoed(joined):
                return self._parked_over
            answer = self._settled_answer(joined)
            if answer is None or not self._deliver_at_once(prepared, answer):
                self._connection.run(self)
                return None
            if isinstance(joined.seat.outcome, Stream) and self._is_one_of_a_herd(joined):
                self._services.echo.keep(self.exchange, joined.seat.outcome)
        except ProxyError as error:
            self._failed(error)
        except Exception as error:
            self._broken(error)
        return self._parked_over

    def _parked_over(self) -> None:
        if not self._over:
            if self._joined is not None:
                self._joined.seat.leave()
            self._connection.exchange_over(again=self._end())

    def _take_in(self, prepared: Prepared, writes: WriteFront | WritesEntrance) -> bool | Serving:
        """See whether it is a write that is queued; park it with that, if its end is all to wait for."""
        exchange, settings = self.exchange, prepared.route.settings
        try:
            route = writes.takes(prepared)
            if route is None:
                return self
            limits = (settings.max_request_body_bytes, route.settings.max_body_bytes)
            exchange.body = self._body_of(prepared.request, min(filter(None, limits)))
        except (EntityMissing, BodyTooLarge) as error:
            exchange.writer.keep_alive &= self._body.is_eof()
            writes.refuse(exchange, error)
            return self._end()
        self._write_route = route
        front = writes.here()
        if front is not None and front.parks(prepared.request, route):
            return self._park(prepared, front, route)
        return self

    def _park(self, prepared: Prepared, front: WriteFront, route: WriteRoute) -> bool | Serving:
        exchange = self.exchange
        octets = b"" if exchange.body is None else exchange.body.at_hand()
        if octets is None:
            return self
        forward = self._forward_request(prepared.request, prepared.route.settings, leader_of_flight=False)
        self._write = front.park(exchange, prepared, route, octets, forward, on_end=self._write_ended)
        if self._write is None:
            return self._end()
        self.parked = True
        return self

    def _write_ended(self) -> None:
        """The client's write has ended, or its time is over."""
        assert self._write is not None, "it is parked with it"
        try:
            if not self._write.answer_at_once():
                self._connection.run(self)
                return
        except ProxyError as error:
            self._failed(error)
        except Exception as error:
            self._broken(error)
        # The next request has its turn when this write's end is behind us.
        asyncio.get_running_loop().call_soon(self._connection_free, self._end())

    def _connection_free(self, again: bool) -> None:
        self._connection.exchange_over(again=again)

    def _is_one_of_a_herd(self, joined: Joined) -> bool:
        return joined.seat.role is Role.WAITER and self._wait is not None and not self._wait.regroups

    def _echoed(self, joined: Joined) -> bool:
        """Whether it got the very octets that another of its herd just got."""
        outcome = joined.seat.outcome
        if not isinstance(outcome, Stream) or not self._is_one_of_a_herd(joined):
            return False
        waited_s = self._services.clock.mono() - joined.seat.joined_mono
        return self._services.echo.answer(self.exchange, outcome, wait_s=waited_s)

    def _settled_answer(self, joined: Joined) -> Answer | None:
        assert self._ask is not None, "a seat was asked for"
        assert self._wait is not None, "since some time"
        return self._services.coalescer.settled_answer(self._ask, joined, self._wait)

    def _deliver_at_once(self, prepared: Prepared, answer: Answer) -> bool:
        self.exchange.answered_with(answer)
        services = self._services
        key = prepared.key
        assert key is not None, "what is shared has a key"
        return services.delivery.at_once(
            self.exchange,
            prepared.request,
            answer,
            route=prepared.route.settings,
            key=key,
            now=services.clock.now(),
        )

    async def _go_on(self) -> None:
        prepared = self.exchange.prepared
        if prepared is None:
            await self._answer_ourselves()
            return
        if self._write_route is not None:
            await self._answer_write(prepared, self._write_route)
            return
        if self._ask is not None:
            await self._share(prepared, self._ask)
            return
        request, route = prepared.request, prepared.route.settings
        if request.method == "PURGE":
            self.exchange.writer.keep_alive &= self._body.is_eof()
            await self._services.purge_method.answer(self.exchange, prepared)
            return
        self.exchange.body = self._body_of(request, route.max_request_body_bytes)
        refusal = prepared.refusal
        if self.exchange.body is not None and self.exchange.body.length != 0:
            refusal = may_join(request, route=route, has_body=True)
        if refusal is None or refusal is JoinRefusal.AUTHORIZATION:
            await self._share(prepared, self._ask_for(prepared))
        else:
            reason = ForwardReason.METHOD if refusal is JoinRefusal.METHOD else ForwardReason.BYPASS
            await self._pass(prepared, reason, Outcome.PASSED)

    async def _answer_ourselves(self) -> None:
        request, resource = self.exchange.request, self._services.write_status
        assert request is not None, "an exchange without a head is over"
        assert resource is not None, "it has this path"
        self.exchange.writer.keep_alive &= self._body.is_eof()
        await resource.answer(self.exchange, request)

    async def _answer_write(self, prepared: Prepared, route: WriteRoute) -> None:
        """Have a write queued and answered; of one that was parked the rest of its answer."""
        if self._write is not None:
            await self._write.answer()
            return
        writes, exchange = self._services.writes, self.exchange
        assert writes is not None, "it was taken in by them"
        forward = self._forward_request(prepared.request, prepared.route.settings, leader_of_flight=False)
        await writes.answer(exchange, prepared, route, body=exchange.body, forward=forward)

    # beginnings

    def _prepare(self) -> Prepared | None:
        """What follows from the head; None if it is for a resource of our own."""
        exchange = self.exchange
        prepared = self._services.heads.prepare(
            self._message, scheme=self._hall.scheme, trusted=exchange.trusted
        )
        exchange.request = prepared.request
        exchange.writer.meant_for(prepared.request)
        if isinstance(prepared, OwnResource):
            return None
        if isinstance(prepared, Unanswerable):
            raise prepared.error
        exchange.prepared = prepared
        exchange.route = prepared.route.name
        return prepared

    def _body_of(self, request: RequestHead, max_bytes: int) -> ClientBody | None:
        stream, exchange = self._body, self.exchange
        declared = request.fields.get(b"content-length")
        if declared is None and not self._message.chunked:
            return None
        expectation = request.fields.get(b"expect")
        if expectation is not None and request.minor_version >= 1:
            if expectation.lower() != b"100-continue":
                raise ExpectationFailed(f"the expectation {expectation[:40]!r} is not known here")
            exchange.waits_for_continue = stream.total_bytes == 0 and not stream.is_eof()
        return ClientBody(
            stream,
            length=None if declared is None else int(declared),
            max_bytes=max_bytes,
            timeout_s=self._services.config.limits.body_timeout_s,
            on_first_read=exchange.continue_now if exchange.waits_for_continue else None,
        )

    def _ask_for(self, prepared: Prepared) -> Ask:
        assert prepared.key is not None, "what may be shared has a key"
        route = prepared.route.settings
        return Ask(
            key=prepared.key,
            request=prepared.seen,
            directives=prepared.directives,
            route=route,
            origin=self._services.origins[route.origin],
            forward=self._forward_for_sharing,
            with_authorization=prepared.refusal is JoinRefusal.AUTHORIZATION,
            on_informational=self._informed,
        )

    def _informed(self, head: ResponseHead) -> None:
        prepared = self.exchange.prepared
        assert prepared is not None, "an origin was asked"
        self._services.passing.informational(self.exchange, head, route=prepared.route.settings)

    # shared answers

    def _may_be_stored_elsewhere(self, prepared: Prepared, ask: Ask) -> bool:
        """Whether a request that leads no flight for the whole is for what another worker may have."""
        owners, key = self._services.owners, prepared.key
        if owners is None or key is None:
            return False
        leads = prepared.request.method == "GET" and not prepared.directives.only_if_cached
        leads = leads and range_is_near(ask, received_bytes=0) and not needs_the_whole(prepared.request)
        return not leads and owners.asks(self._services.cache.placed(key), alone=False)

    def _is_to_be_brought(self, prepared: Prepared, ask: Ask) -> bool:
        """Whether it is such a request, and there is nothing here that answers it."""
        return (
            self._may_be_stored_elsewhere(prepared, ask) and self._services.coalescer.stored_now(ask) is None
        )

    async def _share(self, prepared: Prepared, ask: Ask) -> None:
        coalescer = self._services.coalescer
        answer: Answer | PassThrough | None = self._answer
        if answer is None:
            joined, self._joined = self._joined, None
            wait = self._wait or coalescer.wait_for(ask)
            if joined is None:
                if self._is_to_be_brought(prepared, ask):
                    await coalescer.bring(replace(ask, forward=self._forward_for_stored))
                answer = await self._services.slicing.answer(ask, wait)
            else:
                answer = await coalescer.answer(ask, wait, joined=joined)
        if isinstance(answer, PassThrough):
            await self._pass(prepared, answer.forward, answer.outcome)
            return
        try:
            self.exchange.answered_with(answer)
            await self._deliver(prepared, ask, answer)
        finally:
            answer.close()

    async def _deliver(self, prepared: Prepared, ask: Ask, answer: Answer) -> None:
        await self._services.delivery.deliver(
            self.exchange,
            prepared.request,
            answer,
            route=prepared.route.settings,
            key=ask.key,
            now=self._services.clock.now(),
        )

    # passing through

    async def _pass(self, prepared: Prepared, reason: ForwardReason, outcome: Outcome) -> None:
        request, route = prepared.request, prepared.route.settings
        if ends_here(request):
            self._answer_as_recipient(request)
            return
        exchange = self.exchange
        exchange.outcome = outcome
        forward = self._forward_request(
            request,
            route,
            leader_of_flight=False,
            body=exchange.body,
            upgrade=passed_upgrade(request, route=route),
            expect_continue=exchange.waits_for_continue,
        )
        services = self._services
        passage = Passage(prepared, cache=services.cache, invalidating=services.invalidating)
        try:
            await services.passing.pass_through(
                exchange,
                request,
                forward,
                connection=self._connection,
                origin=services.origins[route.origin],
                route=route,
                reason=reason,
                now=services.clock.now(),
                passage=passage,
            )
        except (OriginUnreachable, OriginOverloaded):
            raise  # nothing was sent
        except BaseException:
            if (
                not exchange.origin_s
            ):  # no head: nobody knows what became of it, its client's leaving included
                passage.unknown()
            raise
        finally:
            passage.close()

    def _answer_as_recipient(self, request: RequestHead) -> None:
        """Max-Forwards is 0: OPTIONS is about us; of a TRACE we echo nothing, it may hold credentials."""
        if request.method == "TRACE":
            raise UnknownMethod("this proxy does not echo requests")
        allow = (b"Allow", ", ".join(sorted(KNOWN_METHODS)).encode())
        self.exchange.outcome = Outcome.ANSWERED
        self.exchange.writer.start(200, render_fields([allow]), length=0)

    # the forward request

    def _forward_for_sharing(self, *, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
        prepared = self.exchange.prepared
        assert prepared is not None, "what may be shared has a route"
        request = prepared.request
        if alone and not conditions and not _CONDITIONS.isdisjoint(request.fields.names()):
            conditions = tuple(pair for pair in request.fields if pair[0].lower() in _CONDITIONS)
        forward = self._forward_request(
            request, prepared.route.settings, leader_of_flight=True, conditions=conditions
        )
        question = self._question(prepared, conditions, alone=alone)
        return forward if question is None else replace(forward, question=question)

    def _forward_for_stored(self, *, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
        """For what the owner of the key has stored, and nothing that the origin would have to give."""
        prepared = self.exchange.prepared
        assert prepared is not None, "what may be shared has a route"
        request, route = replace(prepared.request, method="GET"), prepared.route.settings
        question = self._question(prepared, conditions, alone=alone, stored_only=True)
        assert question is not None, "the owner was looked for"
        forward = self._forward_request(request, route, leader_of_flight=True)
        return replace(forward, question=question)

    def _question(
        self, prepared: Prepared, conditions: tuple[Pair, ...], *, alone: bool, stored_only: bool = False
    ) -> Question | None:
        """What another worker is asked in the origin's place; None if this one asks the origin itself.

        Who goes alone does so because nothing is for sharing, or has credentials: then it may be stored all
        the same, for all. A part is fetched by whoever wants it, but a slice has an owner as a whole has.
        """
        owners, key = self._services.owners, prepared.key
        if owners is None or key is None:
            return None
        part = slice_in(conditions, slice_bytes=prepared.route.settings.cache.slice_bytes)
        if alone and (prepared.refusal is None or part is not None):
            return None
        if part is None and any(name.lower() == b"range" for name, _ in conditions):
            return None
        if part is not None:
            key = slice_key(key, part.number, part.slice_bytes)
            conditions = tuple(pair for pair in conditions if pair[0] not in (b"Range", b"If-Range"))
        key = self._services.cache.placed(key)
        if not owners.asks(key, alone=alone):
            return None
        return question_of(
            prepared.request,
            key=key,
            route=prepared.route.settings,
            client=self._client_address(prepared.request),
            conditions=conditions,
            alone=alone,
            stored_only=stored_only,
            slice_number=None if part is None else part.number,
            newer_than_mono=self._asked_for_mono(prepared, key) if conditions and not alone else None,
        )

    def _asked_for_mono(self, prepared: Prepared, key: CacheKey) -> float | None:
        """When what is stored here, and is to be validated, was asked for; the owner may have no newer."""
        glance = self._services.cache.glance()
        entry = glance.get(key, glance.variant_of(key, prepared.seen))
        return None if entry is None else entry.requested_mono

    def _client_address(self, request: RequestHead) -> ClientAddress:
        exchange = self.exchange
        return ClientAddress(exchange.client or None, request.scheme, exchange.trusted)

    def _forward_request(
        self,
        request: RequestHead,
        route: RouteSettings,
        *,
        leader_of_flight: bool,
        conditions: tuple[Pair, ...] = (),
        body: ClientBody | None = None,
        upgrade: bytes | None = None,
        expect_continue: bool = False,
    ) -> ForwardRequest:
        plain = self._plain_forward_request(request, route, leader_of_flight)
        if conditions:
            return self._conditional_forward_request(plain, request, route, leader_of_flight, conditions)
        if body is None and upgrade is None and not expect_continue:
            return plain
        return ForwardRequest(
            method=plain.method,
            target=plain.target,
            fields=plain.fields,
            body=body,
            upgrade=upgrade,
            expect_continue=expect_continue,
            may_repeat=plain.may_repeat,
        )

    def _plain_forward_request(
        self, request: RequestHead, route: RouteSettings, leader_of_flight: bool
    ) -> ForwardRequest:
        """Without anything that is this exchange's own; the same for the same head and client, mostly."""
        exchange = self.exchange
        place = (request.method, exchange.client, exchange.trusted, leader_of_flight)
        forwards = exchange.prepared.forwards if exchange.prepared is not None else {}
        found = forwards.get(place)
        if found is None:
            found = self._new_forward_request(request, route, leader_of_flight, ())
            if len(forwards) < FORWARDS_OF_A_HEAD:
                forwards[place] = found
        return found

    def _conditional_forward_request(
        self,
        plain: ForwardRequest,
        request: RequestHead,
        route: RouteSettings,
        leader_of_flight: bool,
        conditions: tuple[Pair, ...],
    ) -> ForwardRequest:
        fields = with_conditions(plain.fields, conditions, route=route) if leader_of_flight else None
        if fields is None:
            return self._new_forward_request(request, route, leader_of_flight, conditions)
        return ForwardRequest(plain.method, plain.target, fields, may_repeat=plain.may_repeat)

    def _new_forward_request(
        self, request: RequestHead, route: RouteSettings, leader_of_flight: bool, conditions: tuple[Pair, ...]
    ) -> ForwardRequest:
        fields = forward_fields(
            request,
            route=route,
            client=self._client_address(request),
            via_name=self._services.config.cache.cache_name,
            leader_of_flight=leader_of_flight,
            revalidate=conditions,
        )
        return ForwardRequest(
            method=request.method,
            target=forward_target(request, route=route),
            fields=fields,
            may_repeat=request.method in REPEATABLE_METHODS,
            written=None if conditions else {},
        )

    # ends

    def _end(self) -> bool:
        """Record the exchange, once; whether the connection may take another request."""
        if not self._over:
            self._over = True
            if self._write is not None:
                self._write.leave()
                self._write = None
            # These hold methods of ours, and so ourselves: a herd would leave a herd of cycles.
            self._ask = self._joined = self._answer = None
            self._services.ledger.record(self.exchange, now_mono=self._services.clock.mono())
            self._hall.exchange_over()
        return self.exchange.writer.keep_alive

    def _broken(self, error: Exception) -> None:
        logger.exception("exchange_broken target=%r", self._message.path, exc_info=error)
        self._failed(ProxyError(repr(error)))

    def _failed(self, error: ProxyError) -> None:
        """The exchange ends with an error: as an answer if nothing was sent yet, else as a cut."""
        exchange = self.exchange
        exchange.reason = str(error)
        if isinstance(error, OriginError):
            exchange.outcome = Outcome.FAILED
        writer = exchange.writer
        if isinstance(error, ClientGone):
            exchange.client_gone()
            writer.keep_alive = False
        elif writer.head_sent:
            exchange.aborted = True
            # Of a flight the fill is told of once, not each of ten thousand clients; the access log has them.
            level = logging.WARNING if exchange.role is None else logging.DEBUG
            logger.log(level, "answer_cut status=%d reason=%s", writer.status, error)
            writer.abort()
        else:
            answer_error(exchange, error, self._services.config)


def answer_error(exchange: Exchange, error: ProxyError, config: Config) -> None:
    """Answer with a short text of our own."""
    exchange.reason = str(error)
    if exchange.request is None:
        logger.info("request_refused status=%d client=%s reason=%s", error.status, exchange.client, error)
    writer = exchange.writer
    if isinstance(error, ClientError) or (exchange.body is not None and not exchange.body.arrived):
        writer.keep_alive = False  # what follows in the connection is not to be trusted, or not read
    extra: tuple[Pair, ...] = ()
    if config.cache.cache_status:
        detail = CacheStatus(detail=type(error).__name__)
        extra = ((b"Cache-Status", format_cache_status(config.cache.cache_name, detail)),)
    retry_after_s = _RETRY_AFTER_S
    if exchange.prepared is not None:
        retry_after_s = exchange.prepared.route.settings.coalesce.retry_after_s
    lines, text = own_answer(error, retry_after_s=retry_after_s, extra=extra)
    try:
        writer.start(error.status, lines, length=len(text))
        if not writer.sends_no_body:
            writer.write_nowait(text)
    except ClientGone:
        exchange.aborted = True


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
