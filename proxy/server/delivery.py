"""Gives a client a shared answer: conditions, ranges, Age, Cache-Status, and the body as it comes."""

from __future__ import annotations

import math

from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.body import BodyReader, SharedBody
from proxy.config.settings import CacheSettings, RouteSettings
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.http.rendering import render_fields
from proxy.policy.cache_status import CacheStatus, format_cache_status
from proxy.policy.conditional import not_modified, not_modified_head
from proxy.policy.forwarding import response_fields
from proxy.policy.keys import CacheKey
from proxy.policy.ranges import (
    Full,
    Partial,
    RangeAnswer,
    Unsatisfiable,
    content_range,
    single_range,
    unsatisfied_range,
)
from proxy.server.exchange import Exchange
from proxy.server.response_writer import ResponseWriter

WHOLE_BELOW_BYTES = 1024 * 1024
"""A complete body up to this size is handed to the transport at once; a larger one piece by piece, so that
a client which does not read costs no second copy of it (asyncio's writelines joins)."""


class Delivery:
    """Writes shared answers under one configuration."""

    def __init__(self, settings: CacheSettings) -> None:
        self._name = settings.cache_name
        self._cache_status = settings.cache_status
        self._show_key = settings.cache_status_key

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
        """Write the answer. Raises: ClientGone, and what the body failed with after the head was sent."""
        writer = exchange.writer
        if self.at_once(exchange, request, answer, route=route, key=key, now=now):
            await writer.drained()
            return
        body = answer.body
        lines = self._memoised(answer, route) + self._own_lines(answer, key)
        span = _span(request, answer)
        if isinstance(span, Partial):
            lines += _content_range(span, body)
            writer.start(206, lines, length=span.last - span.first + 1)
            await _copy(writer, answer.reader(span.first, span.last))
        else:
            head, until_close = answer.head, body.ends_with_connection
            length = None if until_close else body.length
            writer.start(head.status, lines, reason=head.reason, length=length, until_close=until_close)
            await _copy(writer, answer.reader())

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
        """Write the answer if nothing of it has to be waited for; False, and nothing is written, if not.

        Raises: ClientGone.
        """
        writer = exchange.writer
        head, body = answer.head, answer.body
        extra = self._own_lines(answer, key)
        if head.status == 200 and not_modified(request, head, now=now):
            writer.whole(304, self._lines(not_modified_head(head), answer, route) + extra, (), length=0)
            return True
        if body.ends_with_connection:
            return False
        span = _span(request, answer)
        match span:
            case Unsatisfiable():
                lines = render_fields([(b"Content-Range", unsatisfied_range(body.length or 0))])
                writer.whole(416, lines + extra, (), length=0)
            case Partial(first, last):
                if not body.whole or last - first >= WHOLE_BELOW_BYTES:
                    return False
                lines = self._memoised(answer, route) + extra + _content_range(span, body)
                pieces = _pieces(answer.reader(first, last))
                writer.whole(206, lines, pieces, length=last - first + 1)
            case Full():
                if not body.whole or body.received_bytes > WHOLE_BELOW_BYTES:
                    return False
                lines = self._memoised(answer, route) + extra
                writer.whole(head.status, lines, body.pieces, reason=head.reason, length=body.received_bytes)
        return True

    def _memoised(self, answer: Answer, route: RouteSettings) -> bytes:
        lines = answer.memo.lines
        if lines is None:
            lines = answer.memo.lines = self._lines(answer.head, answer, route)
        return lines

    def _lines(self, head: ResponseHead, answer: Answer, route: RouteSettings) -> bytes:
        """The origin's fields as clients get them, without Age where ours takes its place."""
        received_at = answer.received_at
        fields = response_fields(head, route=route, via_name=self._name, received_at=received_at)
        return render_fields(fields if answer.age_s is None else fields.without((b"age",)))

    def _own_lines(self, answer: Answer, key: CacheKey) -> bytes:
        """Age and Cache-Status: the same for most clients of one herd, and for hits within one second."""
        age = None if answer.age_s is None else int(answer.age_s)
        ttl = None if answer.ttl_s is None else _whole_seconds(answer.ttl_s)
        memo = answer.memo
        own_for = (
            age,
            ttl,
            answer.outcome,
            answer.forward,
            answer.forward_status,
            answer.stored,
            answer.collapsed,
        )
        if memo.own_for != own_for:
            pairs: list[Pair] = []
            if age is not None:
                pairs.append((b"Age", b"%d" % age))
            if self._cache_status:
                status = self._status_of(answer, ttl, key)
                pairs.append((b"Cache-Status", format_cache_status(self._name, status)))
            memo.own, memo.own_for = render_fields(pairs), own_for
        return memo.own

    def _status_of(self, answer: Answer, ttl: int | None, key: CacheKey) -> CacheStatus:
        hit = answer.outcome in (Outcome.HIT, Outcome.STALE)
        return CacheStatus(
            hit=hit,
            fwd=None if hit else answer.forward,
            fwd_status=answer.forward_status,
            stored=answer.stored,
            collapsed=answer.collapsed,
            ttl=ttl,
            key=key if self._show_key else None,
        )


def _span(request: RequestHead, answer: Answer) -> RangeAnswer:
    length = answer.body.length
    if length is None or answer.body.ends_with_connection or b"range" not in request.fields:
        return Full()
    return single_range(request, answer.head, length=length)


def _content_range(span: Partial, body: SharedBody) -> bytes:
    return render_fields([(b"Content-Range", content_range(span.first, span.last, body.length))])


def _pieces(reader: BodyReader) -> list[bytes]:
    """What the reader has still to read, of a whole body."""
    pieces = []
    while piece := reader.read_nowait():
        pieces.append(piece)
    return pieces


async def _copy(writer: ResponseWriter, reader: BodyReader) -> None:
    """The body as it comes, at the client's pace."""
    if writer.sends_no_body:
        return
    while True:
        piece = reader.read_nowait()
        if piece is None:
            piece = await reader.read()
        if not piece:
            break
        await writer.write(piece)
    writer.finish()


def _whole_seconds(ttl_s: float) -> int:
    """Rounded away from fresh: what is stale by a fraction shows as -1, not as 0 (RFC 9211 §2.6)."""
    return math.floor(ttl_s)
