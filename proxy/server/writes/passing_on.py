"""Passes a request on to who has the writes, and his answer back, octet for octet.

But for what belongs to a connection: framing, and whether it stays open. Passed on is the request as it came:
who has the writes knows the client by what is told beside it, and treats it as its own.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from proxy.coalesce.answer import Outcome
from proxy.config.settings import CacheSettings
from proxy.errors import ProxyError, WriteLost
from proxy.http.messages import RequestHead, ResponseHead
from proxy.http.rendering import render_fields
from proxy.origin.port import OnInformational
from proxy.peers.relay_field import Relayed, Told
from proxy.policy.forwarding import ClientAddress
from proxy.policy.hop_by_hop import end_to_end
from proxy.server.exchange import Exchange
from proxy.server.writes.answers import WriteAnswers
from proxy.server.writes.front import REFUSALS
from proxy.server.writes.kept_body import KeptBody
from proxy.writes.problem import Problem, ProblemType


class PassedBack(Protocol):
    """The answer of who has the writes."""

    head: ResponseHead
    told: Told

    @property
    def length(self) -> int | None:
        """Octets of the body, if they were declared."""

    async def read(self) -> bytes:
        """The next piece; `b""` at the end. Raises: OriginError."""

    def close(self) -> None:
        """Done with it. Idempotent."""


class WayToWrites(Protocol):
    """Leads to who has the writes: `proxy.peers.relay.Relay`."""

    async def ask(
        self,
        relayed: Relayed,
        *,
        body: KeptBody | None,
        expect_continue: bool,
        on_informational: OnInformational,
    ) -> PassedBack:
        """Raises: QueueUnavailable, WriteLost, and what reading the body raises."""


class PassingOn:
    """Under one configuration."""

    def __init__(self, settings: CacheSettings, *, way: WayToWrites) -> None:
        self._way = way
        self._answers = WriteAnswers(settings)

    def __repr__(self) -> str:
        return f"<PassingOn {self._way!r}>"

    async def pass_on(
        self,
        exchange: Exchange,
        request: RequestHead,
        body: KeptBody | None,
        *,
        outcome: Outcome,
        retry_safe: bool,
    ) -> None:
        """Have it answered. `outcome` is that of one whose answer is lost, or whose client has left by then.

        `retry_safe` tells whether a lost one may be sent again.

        Raises: ClientGone, ClientError (the body's framing, or its slowness), OriginError in the middle of an
        answer.
        """
        try:
            await self._there_and_back(exchange, request, body)
        except REFUSALS as error:
            if exchange.writer.head_sent:
                raise
            self.refuse(exchange, error)
        except WriteLost as error:
            exchange.outcome = outcome
            self._lost(exchange, error, retry_safe=retry_safe)
        except asyncio.CancelledError:  # its client left; what was given over goes on
            if body is None or body.given:
                exchange.outcome = outcome
            raise

    def refuse(self, exchange: Exchange, error: ProxyError) -> None:
        """Answer that it was not taken in, for one of REFUSALS. Raises: ClientGone."""
        exchange.outcome = Outcome.REFUSED
        _close_unread(exchange)
        self._answers.refused(exchange, error)

    def _lost(self, exchange: Exchange, error: WriteLost, *, retry_safe: bool) -> None:
        _close_unread(exchange)
        told = "the process that had it ended before it answered; it may have been applied"
        self._answers.problem(exchange, Problem(ProblemType.UNKNOWN_OUTCOME, told), retry_safe=retry_safe)
        exchange.reason = str(error)

    async def _there_and_back(self, exchange: Exchange, request: RequestHead, body: KeptBody | None) -> None:
        def informed(head: ResponseHead) -> None:
            if head.status == 100:
                exchange.continue_now()

        client = ClientAddress(exchange.client or None, request.scheme, exchange.trusted)
        answer = await self._way.ask(
            Relayed(request, client),
            body=body,
            expect_continue=exchange.waits_for_continue,
            on_informational=informed,
        )
        try:
            await _pass_back(exchange, request, answer)
        finally:
            answer.close()


def _close_unread(exchange: Exchange) -> None:
    if exchange.body is not None and not exchange.body.arrived:
        exchange.writer.keep_alive = False


async def _pass_back(exchange: Exchange, request: RequestHead, answer: PassedBack) -> None:
    told, head, writer = answer.told, answer.head, exchange.writer
    exchange.outcome = Outcome(told.outcome)
    exchange.origin_s = told.origin_s
    exchange.reason = told.reason
    _close_unread(exchange)
    lines = render_fields(end_to_end(head.fields))
    writer.start(head.status, lines, reason=head.reason, length=_declared_length(request, answer))
    while piece := await answer.read():
        await writer.write(piece)
    writer.finish()


def _declared_length(request: RequestHead, answer: PassedBack) -> int | None:
    """Octets to declare; to HEAD what a GET would be (RFC 9110 §9.3.2)."""
    if request.method == "HEAD":
        value = answer.head.fields.get(b"content-length")
        return int(value) if value is not None and value.isdigit() else None
    return answer.length
