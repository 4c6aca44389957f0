"""Gives a client a shared answer: conditions, ranges, Age, Cache-Status, and the body as it comes."""

from __future__ import annotations

import math
import secrets
from dataclasses import replace

from proxy.cache.entry import HeadMemo
from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.body import BodyReader, SharedBody
from proxy.compression.compressor import Compressor
from proxy.config.settings import CacheSettings, ContentCoding, RouteSettings
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.http.rendering import render_fields
from proxy.policy.cache_status import CacheStatus, format_cache_status
from proxy.policy.conditional import not_modified, not_modified_head
from proxy.policy.content_coding import (
    coded_head,
    coding_for,
    not_compressible,
    not_modified_for_client,
    varying_head,
)
from proxy.policy.forwarding import response_fields
from proxy.policy.keys import CacheKey
from proxy.policy.multipart_ranges import Several, multipart, ranges
from proxy.policy.ranges import (
    Full,
    Partial,
    RangeAnswer,
    Unsatisfiable,
    content_range,
    unsatisfied_range,
)
from proxy.server.exchange import Exchange
from proxy.server.head_lines import HeadLines
from proxy.server.response_writer import ResponseWriter

WHOLE_BELOW_BYTES = 1024 * 1024
"""A complete body up to this size is handed to the transport at once; a larger one piece by piece, so that
a client which does not read costs no second copy of it (asyncio's writelines joins)."""

OWN_LINES = 1024
"""Of ours that are remembered: outcomes, and ages and lifetimes in seconds."""

_OwnFor = tuple[object, ...]


class Delivery:
    """Writes shared answers under one configuration."""

    def __init__(self, settings: CacheSettings, *, compressor: Compressor) -> None:
        self._compressor = compressor
        self._name = settings.cache_name
        self._cache_status = settings.cache_status
        self._show_key = settings.cache_status_key
        self._written = HeadLines()
        self._own: dict[_OwnFor, bytes] = {}

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
        answer = await self._in_coding(request, answer, route, now)
        if self._write_now(exchange, request, answer, route=route, key=key, now=now):
            await writer.drained()
            return
        body = answer.body
        lines = self._memoised(answer, route) + self._own_lines(answer, key)
        span = _span(request, answer)
        if isinstance(span, Partial):
            lines += _content_range(span, body)
            writer.start(206, lines, length=span.last - span.first + 1)
            await copy(writer, answer.reader(span.first, span.last))
        elif isinstance(span, Several):
            await self._write_parts(writer, answer, span, route, self._own_lines(answer, key))
        else:
            head, until_close = answer.head, body.ends_with_connection
            length = None if until_close else body.length
            writer.start(head.status, lines, reason=head.reason, length=length, until_close=until_close)
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
        """Write the answer if nothing of it has to be waited for; False, and nothing is written, if not.

        Raises: ClientGone.
        """
        known = self._in_known_coding(request, answer, route, now)
        if known is None:
            return False
        return self._write_now(exchange, request, known, route=route, key=key, now=now)

    def _write_now(
        self,
        exchange: Exchange,
        request: RequestHead,
        answer: Answer,
        *,
        route: RouteSettings,
        key: CacheKey,
        now: float,
    ) -> bool:
        writer = exchange.writer
        head, body = answer.head, answer.body
        extra = self._own_lines(answer, key)
        if head.status == 200 and not_modified(request, head, now=now):
            head = not_modified_head(self._varying(answer, route))
            writer.whole(304, self._lines(head, answer, route) + extra, (), length=0)
            return True
        if body.ends_with_connection:
            return False
        span = _span(request, answer)
        match span:
            case Unsatisfiable():
                lines = render_fields([(b"Content-Range", unsatisfied_range(body.length or 0))])
                writer.whole(416, lines + extra, (), length=0)
            case Partial(first, last):
                if last - first >= WHOLE_BELOW_BYTES or not answer.at_hand(first, last):
                    return False
                lines = self._memoised(answer, route) + extra + _content_range(span, body)
                pieces = _pieces(answer.reader(first, last))
                writer.whole(206, lines, pieces, length=last - first + 1)
            case Several():
                return False
            case Full():
                if not body.whole or body.received_bytes > WHOLE_BELOW_BYTES:
                    return False
                lines = self._memoised(answer, route) + extra
                writer.whole(head.status, lines, body.pieces, reason=head.reason, length=body.received_bytes)
        return True

    def _memoised(self, answer: Answer, route: RouteSettings) -> bytes:
        lines = answer.memo.lines
        if lines is None:
            lines = answer.memo.lines = self._written_before(answer, route)
        return lines

    def _written_before(self, answer: Answer, route: RouteSettings) -> bytes:
        """The lines of such a head, which may be that of other answers."""
        decisive = (answer.body.length, answer.age_s is None)
        lines = self._written.find(answer.head, route, decisive)
        if lines is None:
            lines = self._lines(self._varying(answer, route), answer, route)
            self._written.keep(answer.head, route, lines, decisive)
        return lines

    def _lines(self, head: ResponseHead, answer: Answer, route: RouteSettings) -> bytes:
        """The origin's fields as clients get them, without Age where ours takes its place."""
        received_at = answer.received_at
        fields = response_fields(head, route=route, via_name=self._name, received_at=received_at)
        return render_fields(fields if answer.age_s is None else fields.without((b"age",)))

    # codings

    def _in_known_coding(
        self, request: RequestHead, answer: Answer, route: RouteSettings, now: float
    ) -> Answer | None:
        """The answer in the coding that this client gets; None if that has to be made yet."""
        if route.compression.enabled and answer.head.status == 304:
            head = not_modified_for_client(request, answer.head)
            return answer if head is answer.head else replace(answer, head=head, memo=HeadMemo())
        coding = self._coding(request, answer, route)
        if coding is None:
            return answer
        found = self._compressor.find(answer.body, coding, settings=route.compression)
        if found is not None:
            return answer if found.body is None else _coded(answer, coding, found.body)
        unmade = _coded(answer, coding, answer.body)
        return unmade if not_modified(request, unmade.head, now=now) else None  # a 304 needs no octets

    async def _in_coding(
        self, request: RequestHead, answer: Answer, route: RouteSettings, now: float
    ) -> Answer:
        """The same, made if need be; as it is if it cannot be made."""
        known = self._in_known_coding(request, answer, route, now)
        coding = self._coding(request, answer, route)
        if known is not None or coding is None:
            return known or answer
        body = await self._compressor.coded(answer.body, coding, settings=route.compression)
        return answer if body is None else _coded(answer, coding, body)

    def _coding(self, request: RequestHead, answer: Answer, route: RouteSettings) -> ContentCoding | None:
        """Only what is stored is compressed: of a fill the herd gets each piece as it comes."""
        if answer.entry is None or not answer.body.whole or not _compressible(answer, route):
            return None
        coding = coding_for(request, route=route)
        return coding if isinstance(coding, ContentCoding) else None

    def _varying(self, answer: Answer, route: RouteSettings) -> ResponseHead:
        return varying_head(answer.head) if _compressible(answer, route) else answer.head

    # parts

    async def _write_parts(
        self, writer: ResponseWriter, answer: Answer, several: Several, route: RouteSettings, own: bytes
    ) -> None:
        head, body = answer.head, answer.body
        boundary = secrets.token_hex(16).encode()
        assert body.length is not None, "ranges are those of a known length"
        plan = multipart(several.spans, head=head, length=body.length, boundary=boundary)
        of_parts = replace(head, fields=head.fields.with_set(b"Content-Type", plan.content_type))
        writer.start(206, self._lines(of_parts, answer, route) + own, length=plan.length)
        for part in plan.parts:
            await writer.write(part.head)
            reader = body.reader(part.first, part.last)
            while piece := await reader.read():
                await writer.write(piece)
        await writer.write(plan.ending)
        writer.finish()

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
            own = None if self._show_key else self._own.get(own_for)
            memo.own = self._new_own_lines(answer, own_for, age, ttl, key) if own is None else own
            memo.own_for = own_for
        return memo.own

    def _new_own_lines(
        self, answer: Answer, own_for: _OwnFor, age: int | None, ttl: int | None, key: CacheKey
    ) -> bytes:
        pairs: list[Pair] = []
        if age is not None:
            pairs.append((b"Age", b"%d" % age))
        if self._cache_status:
            status = self._status_of(answer, ttl, key)
            pairs.append((b"Cache-Status", format_cache_status(self._name, status)))
        own = render_fields(pairs)
        if not self._show_key:
            if len(self._own) >= OWN_LINES:
                self._own.clear()
            self._own[own_for] = own
        return own

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


def _span(request: RequestHead, answer: Answer) -> RangeAnswer | Several:
    length = answer.body.length
    if length is None or answer.body.ends_with_connection or b"range" not in request.fields:
        return Full()
    found = ranges(request, answer.head, length=length)
    if isinstance(found, Several) and not answer.in_any_order:
        return Full()  # parts of a fill would have to be read in turn: its beginning might be gone
    return found


def _compressible(answer: Answer, route: RouteSettings) -> bool:
    """Whether some client gets it compressed; while its length is not known, whether one might."""
    settings = route.compression
    if not settings.enabled:
        return False
    length = answer.body.length
    if length is None:
        return not_compressible(answer.head, length=settings.min_bytes, route=route) is None
    memo = answer.memo
    if memo.compressible is None:
        memo.compressible = not_compressible(answer.head, length=length, route=route) is None
    return memo.compressible


def _coded(answer: Answer, coding: ContentCoding, body: SharedBody) -> Answer:
    memo = answer.memo
    if memo.coded is None:
        memo.coded = {}
    found = memo.coded.get(coding)
    if found is None:
        found = memo.coded[coding] = (coded_head(answer.head, coding), HeadMemo())
    return replace(answer, head=found[0], memo=found[1], body=body)


def _content_range(span: Partial, body: SharedBody) -> bytes:
    return render_fields([(b"Content-Range", content_range(span.first, span.last, body.length))])


def _pieces(reader: BodyReader) -> list[bytes]:
    """What the reader has still to read, of a whole body."""
    pieces = []
    while piece := reader.read_nowait():
        pieces.append(piece)
    return pieces


async def copy(writer: ResponseWriter, reader: BodyReader) -> None:
    """Send the body as it comes, at its receiver's pace. Raises: ClientGone, and what the body fails with."""
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
