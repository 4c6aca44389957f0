"""Gives another worker a shared answer: as the origin sent it, and the owner's word beside it.

Via, rules for fields, Cache-Status, ranges and codings are the asker's to add, who knows its client. A
validator is answered with 304: the asker has the body.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.clock import Clock
from proxy.coalesce.answer import Answer
from proxy.compression.compressor import Compressor
from proxy.config.settings import CacheSettings, RouteSettings
from proxy.http.dates import format_http_date
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.http.rendering import render_fields
from proxy.peers.word import Answered, OwnersWord, word_field
from proxy.policy.conditional import not_modified
from proxy.policy.hop_by_hop import end_to_end
from proxy.policy.keys import CacheKey
from proxy.server.delivery import WHOLE_BELOW_BYTES, Delivery, copy
from proxy.server.exchange import Exchange


class OwnersDelivery(Delivery):
    """Writes shared answers to workers, where `Delivery` writes them to clients."""

    def __init__(self, settings: CacheSettings, *, compressor: Compressor, clock: Clock) -> None:
        super().__init__(settings, compressor=compressor)
        self._clock = clock

    async def deliver(
        self,
        exchange: Exchange,
        request: RequestHead,
        answer: Answer,
        *,
        route: RouteSettings,
        key: CacheKey,
        now: float,
    ) -> None:
        writer = exchange.writer
        if self.at_once(exchange, request, answer, route=route, key=key, now=now):
            await writer.drained()
            return
        writer.start(
            answer.head.status,
            self._lines_for_worker(answer.head, answer),
            reason=answer.head.reason,
            length=None if answer.body.ends_with_connection else answer.body.length,
        )
        await copy(writer, answer.reader())

    def at_once(
        self,
        exchange: Exchange,
        request: RequestHead,
        answer: Answer,
        *,
        route: RouteSettings,
        key: CacheKey,
        now: float,
    ) -> bool:
        writer, head, body = exchange.writer, answer.head, answer.body
        if head.status == 200 and not_modified(request, head, now=now):
            writer.whole(304, self._lines_for_worker(_not_modified(answer), answer), (), length=0)
            return True
        if body.ends_with_connection or not body.whole or body.received_bytes > WHOLE_BELOW_BYTES:
            return False
        lines = self._lines_for_worker(head, answer)
        writer.whole(head.status, lines, body.pieces, reason=head.reason, length=body.received_bytes)
        return True

    def _lines_for_worker(self, head: ResponseHead, answer: Answer) -> bytes:
        fields = end_to_end(head.fields)
        if answer.age_s is not None:
            fields = fields.with_set(b"Age", b"%d" % int(answer.age_s))
        if b"date" not in fields:
            fields = fields.with_added((b"Date", format_http_date(answer.received_at)))
        word = word_of(answer, now_mono=self._clock.mono())
        return render_fields(Fields((*fields, word_field(word))))


def _not_modified(answer: Answer) -> ResponseHead:
    """The 304 for another worker: with every field, since both copies are to be the same.

    What is stored has no Set-Cookie for anybody in particular; where the origin has just sent one, it is for
    the client whose worker asked.
    """
    head = replace(answer.head, status=304, reason=b"Not Modified")
    return head if answer.entry is None else replace(head, fields=head.fields.without((b"set-cookie",)))


def word_of(answer: Answer, *, now_mono: float) -> OwnersWord:
    """What is said beside this answer."""
    if answer.entry is not None:
        began_mono = answer.entry.requested_mono
    else:
        assert answer.seat is not None, "what is not stored comes from a flight"
        began_mono = answer.seat.flight.asked_mono
    return OwnersWord(
        answered=Answered(answer.outcome),
        began_mono=began_mono,
        at_mono=now_mono,
        age_s=answer.age_s,
        forward=answer.forward,
        forward_status=answer.forward_status,
        stored=answer.stored,
        collapsed=answer.collapsed,
        ends_with_connection=answer.body.ends_with_connection,
    )
