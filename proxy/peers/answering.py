"""A question of another worker in progress: an exchange as any other, but for its two ends.

It begins with what the question tells of the client, in the place of what the connection would; it is decided
on and answered by the same code, with this worker's own origins: a question is never passed on to another
worker. It ends with an error that the asker raises again, not with a page for a client.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.ask import Ask
from proxy.coalesce.coalescer import Unsliced
from proxy.coalesce.outcomes import Released
from proxy.coalesce.seat import Seat
from proxy.errors import ClientGone, NotForAsker, NotShared, NotStored, ProxyError
from proxy.http.fields import Pair
from proxy.http.messages import ResponseHead
from proxy.http.rendering import render_fields
from proxy.origin.port import ForwardRequest
from proxy.peers.peers import Peers
from proxy.peers.question import Heard
from proxy.peers.word import Trouble, trouble_of, word_field
from proxy.policy.cache_status import ForwardReason
from proxy.policy.hop_by_hop import end_to_end
from proxy.policy.key_parts import slice_key
from proxy.policy.keys import CacheKey
from proxy.policy.partial import Slice
from proxy.policy.sharing import ABOUT_THE_REQUEST, Reason
from proxy.server.client_connection import ClientConnection
from proxy.server.exchange import Exchange
from proxy.server.prepared import Prepared, Unanswerable
from proxy.server.response_writer import ResponseWriter
from proxy.server.serving import Hall, Services, Serving

logger = logging.getLogger(__name__)

_ANY_AGE_S = 2**31
"""With max-age and without max-stale nothing stale will do, however young (RFC 9111 §5.2.1.1)."""


class Answering(Serving):
    """Answers one question."""

    __slots__ = ("_heard", "_parked_in", "_peers")

    def __init__(
        self,
        services: Services,
        hall: Hall,
        connection: ClientConnection,
        message: RawRequestMessage,
        body: StreamReader,
        *,
        heard: Heard,
        peers: Peers,
    ) -> None:
        super().__init__(services, hall, connection, message, body)
        self._heard = heard
        self._peers = peers
        self._parked_in: Seat | None = None

    def begin(self) -> bool | Serving:
        begun = super().begin()
        if self._joined is not None:
            self._parked_in = self._joined.seat
        return begun

    def _prepare(self) -> Prepared:
        exchange, client, request = self.exchange, self._heard.client, self._heard.request
        assert request is not None, "a look is no exchange"
        exchange.client, exchange.trusted = client.ip or "", client.trusted
        exchange.request = request
        # The connection is the asker's, whatever version its client speaks.
        exchange.writer.meant_for(replace(request, minor_version=1))
        prepared = self._services.heads.of_request(request, trusted=client.trusted)
        if isinstance(prepared, Unanswerable):
            raise prepared.error
        key = self._key(prepared)
        if key is None or not self._peers.answers(key, self._heard.slot):
            raise NotStored("this worker does not stand before the asker in the order of the key")
        if self._heard.stored_only:
            prepared.directives = replace(prepared.directives, only_if_cached=True)
        exchange.prepared = prepared
        exchange.route = prepared.route.name
        return prepared

    def _key(self, prepared: Prepared) -> CacheKey | None:
        """The key that is asked about."""
        key, number = prepared.key, self._heard.slice_number
        if key is None or number is None:
            return key
        return slice_key(key, number, prepared.route.settings.cache.slice_bytes)

    def _ask_for(self, prepared: Prepared) -> Ask:
        ask, number = super()._ask_for(prepared), self._heard.slice_number
        if number is None:
            ask = replace(ask, whole=True)
        else:
            ask = ask.of_slice(Slice(number, ask.route.cache.slice_bytes))
        return (
            ask if self._heard.newer_than_mono is None else self._for_news(ask, self._heard.newer_than_mono)
        )

    def _for_news(self, ask: Ask, than_mono: float) -> Ask:
        """The ask, if need be with the wish for what is newer than the asker's copy.

        A hot copy is as old as what it is a copy of: both are stale, or due to be refreshed, at one time. To
        give the same again, within its grace or its lifetime, would let the asker validate it over and over.
        """
        now_mono, glance = self._services.clock.mono(), self._services.cache.glance()
        placed = ask.placed(glance)
        entry = glance.get(placed.key, glance.variant_of(placed.key, ask.request))
        if entry is None or entry.requested_mono > than_mono:
            return ask
        directives, ttl_s = ask.directives, entry.ttl_s(now_mono)
        if ttl_s >= 0:
            wish_s = max(directives.min_fresh or 0, math.ceil(ttl_s) + 1)
            return replace(ask, directives=replace(directives, min_fresh=wish_s))
        wish_s = _ANY_AGE_S if directives.max_age is None else directives.max_age
        return replace(ask, directives=replace(directives, max_age=wish_s, max_stale=None))

    def _forward_for_sharing(self, *, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
        """As for clients; but who would have to go alone goes from where it is, and takes its herd along.

        Were it fetched here, the asker's herd would wait for that answer in vain, a second time.
        """
        if alone and not self._heard.alone:
            raise self._why_alone()
        return super()._forward_for_sharing(conditions=conditions, alone=alone)

    def _why_alone(self) -> NotShared:
        outcome = None if self._parked_in is None else self._parked_in.outcome
        reason = outcome.reason if isinstance(outcome, Released) else self._mark()
        told = "what the origin gives for this key is not for sharing"
        return NotForAsker(told) if reason is None or reason in ABOUT_THE_REQUEST else NotShared(told)

    def _mark(self) -> Reason | None:
        """What was learnt of the key a moment ago."""
        prepared = self.exchange.prepared
        assert prepared is not None, "somebody wants a forward request"
        assert prepared.key is not None, "of a key"
        cache = self._services.cache
        key = cache.placed(prepared.key)
        return cache.not_shareable(key, cache.variant_of(key, prepared.seen))

    def _deliver_at_once(self, prepared: Prepared, answer: Answer) -> bool:
        self._check_size(answer)
        return super()._deliver_at_once(prepared, answer)

    async def _deliver(self, prepared: Prepared, ask: Ask, answer: Answer) -> None:
        self._check_size(answer)
        await super()._deliver(prepared, ask, answer)

    def _check_size(self, answer: Answer) -> None:
        """For a head or a part the asker copies the whole: not what is too large for its memory.

        Raises: NotStored.
        """
        length, limit = answer.body.length, self._services.cache.max_entry_bytes
        if self._heard.stored_only and length is not None and length > limit:
            raise NotStored(f"{length} octets are not copied for a head or a part of them")

    def _informed(self, head: ResponseHead) -> None:
        if head.status != 100:
            self.exchange.writer.informational(replace(head, fields=end_to_end(head.fields)))

    async def _pass(self, prepared: Prepared, reason: ForwardReason, outcome: Outcome) -> None:
        raise NotStored("nobody else shares this: the asker passes it through itself")

    def _failed(self, error: ProxyError) -> None:
        if isinstance(error, Unsliced):
            error = NotStored(str(error))  # the asker finds out by itself what there is instead
        exchange, writer = self.exchange, self.exchange.writer
        exchange.reason = str(error)
        exchange.outcome = Outcome.FAILED
        if isinstance(error, NotStored):
            exchange.outcome = Outcome.REFUSED
        elif isinstance(error, NotShared):
            exchange.outcome = Outcome.RELEASED
        if isinstance(error, ClientGone):
            exchange.client_gone()
            writer.keep_alive = False
        elif writer.head_sent:
            exchange.aborted = True
            logger.debug("answer_to_worker_cut status=%d reason=%s", writer.status, error)
            writer.abort()
        else:
            answer_trouble(exchange, trouble_of(error), status=error.status)


def answer_trouble(exchange: Exchange, trouble: Trouble, *, status: int) -> None:
    """Tell another worker that there is no answer."""
    try:
        writer: ResponseWriter = exchange.writer
        writer.start(status, render_fields((word_field(trouble),)), length=0)
    except ClientGone:
        exchange.aborted = True
