"""The answers to writes: the origin's as it gave it, 202, and problem documents (RFC 9457)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from proxy.config.settings import CacheSettings, RouteSettings
from proxy.errors import OriginBodyCut, ProxyError
from proxy.http.fields import Pair
from proxy.http.messages import ResponseHead
from proxy.http.rendering import render_fields
from proxy.policy.cache_status import CacheStatus, ForwardReason, format_cache_status
from proxy.policy.forwarding import response_fields
from proxy.server.exchange import Exchange
from proxy.server.head_lines import HeadLines
from proxy.writes.front.problem_document import MEDIA_TYPE, problem_document, problem_of
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.waiting import Ending
from proxy.writes.write import Result

_JSON: Final[Pair] = (b"Content-Type", b"application/json")
_PROBLEM: Final[Pair] = (b"Content-Type", MEDIA_TYPE)
_NO_STORE: Final[Pair] = (b"Cache-Control", b"no-store")
_REPLAYED: Final[Pair] = (b"Idempotent-Replayed", b"true")

_OF_THE_BODY: Final = (
    b"content-type",
    b"content-encoding",
    b"content-language",
    b"content-location",
    b"content-range",
    b"content-digest",
    b"repr-digest",
    b"digest",
    b"etag",
    b"last-modified",
    b"accept-ranges",
    b"cache-control",
    b"expires",
)
"""Fields that tell of a body, or how long it may be kept; not true of another one."""

COME_AGAIN_S: Final = 1.0
"""Retry-After of what we could not take in now."""
_COME_AGAIN: Final = (429, 503)

_ORIGINS_WORD: Final = frozenset({State.COMMITTED, State.REJECTED, State.DEAD})
"""States in which the origin's answer, if there is one, says all there is to say."""

_PROBLEMS: Final = {
    State.EXPIRED: Problem(ProblemType.EXPIRED, "its time was over before it was sent"),
    State.CANCELLED: Problem(ProblemType.CANCELLED, "it was taken back before it was sent"),
}
_UNKNOWN: Final = Problem(ProblemType.UNKNOWN_OUTCOME, "it was sent, and may have been applied")


class WriteAnswers:
    """Writes answers under one configuration."""

    def __init__(self, settings: CacheSettings) -> None:
        self._name = settings.cache_name
        self._cache_status = settings.cache_status
        self._written = HeadLines()

    def ended_at_once(
        self, exchange: Exchange, ending: Ending, *, route: RouteSettings, write_id: str, retry_safe: bool
    ) -> bool:
        """What became of this exchange's write; False where that is an answer whose body goes on, or was cut.

        Raises: ClientGone.
        """
        result = ending.result
        if result.status is None or result.state not in _ORIGINS_WORD:
            if ending.rest is not None:
                ending.rest.close()
            self._how_it_ended(exchange, result, write_id=write_id, retry_safe=retry_safe)
            return True
        if ending.rest is not None or not result.complete:
            return False
        lines = self._lines_of(ending, route)
        exchange.writer.whole(result.status, lines, (result.body,), length=len(result.body))
        return True

    async def body_goes_on(self, exchange: Exchange, ending: Ending, *, route: RouteSettings) -> None:
        """What `ended_at_once` leaves. Raises: ClientGone; OriginError in the middle of the body."""
        result, rest, writer = ending.result, ending.rest, exchange.writer
        assert result.status is not None, "there is an answer"
        try:
            length = None if rest is None else rest.length
            writer.start(result.status, self._lines_of(ending, route), length=length)
            await writer.write(result.body)
            if rest is None:
                raise OriginBodyCut("the origin's answer to a write was cut")
            while piece := await rest.read():
                await writer.write(piece)
            writer.finish()
        finally:
            if rest is not None:
                rest.close()

    def replayed(
        self, exchange: Exchange, result: Result, *, route: RouteSettings, write_id: str, retry_safe: bool
    ) -> bool:
        """The same of one that ended before, from what was kept; False if the origin's answer was not."""
        if result.status is None or result.state not in _ORIGINS_WORD:
            self._how_it_ended(exchange, result, write_id=write_id, retry_safe=retry_safe, extra=(_REPLAYED,))
            return True
        if not result.complete:
            return False
        lines = self._lines(result, route, extra=(_REPLAYED,))
        exchange.writer.whole(result.status, lines, (result.body,), length=len(result.body))
        return True

    def without_body(
        self, exchange: Exchange, result: Result, document: Mapping[str, object], *, route: RouteSettings
    ) -> None:
        """An answer whose body was not kept, with a document of ours in its place. Raises: ClientGone."""
        assert result.status is not None, "only an answer has a body"
        rest = replace(result, fields=result.fields.without(_OF_THE_BODY))
        body = json.dumps(document).encode() + b"\n"
        lines = self._lines(rest, route, extra=(_JSON, _NO_STORE, _REPLAYED))
        exchange.writer.whole(result.status, lines, (body,), length=len(body))

    def _lines_of(self, ending: Ending, route: RouteSettings) -> bytes:
        """Those of an answer that came just now: its head is mostly one that came before."""
        if ending.head is None:
            return self._lines(ending.result, route)
        lines = self._written.find(ending.head, route)
        if lines is None:
            lines = self._lines(ending.result, route)
            self._written.keep(ending.head, route, lines)
        return lines

    def _lines(self, result: Result, route: RouteSettings, *, extra: tuple[Pair, ...] = ()) -> bytes:
        assert result.status is not None, "there is an answer"
        head = ResponseHead(result.status, result.fields)
        fields = response_fields(head, route=route, via_name=self._name, received_at=result.finished_at)
        if not self._cache_status:
            return render_fields((*fields, *extra))
        status = CacheStatus(fwd=ForwardReason.METHOD, fwd_status=result.status)
        return render_fields((*fields, *extra, (b"Cache-Status", format_cache_status(self._name, status))))

    def _how_it_ended(
        self,
        exchange: Exchange,
        result: Result,
        *,
        write_id: str,
        retry_safe: bool,
        extra: tuple[Pair, ...] = (),
    ) -> None:
        if result.state in (State.UNKNOWN, State.INDETERMINATE):
            problem = Problem(ProblemType.UNKNOWN_OUTCOME, (result.problem or _UNKNOWN).detail, result.status)
        else:
            problem = result.problem or _PROBLEMS.get(result.state, _UNKNOWN)
        self.problem(
            exchange,
            problem,
            write_id=write_id,
            state=result.state,
            retry_safe=retry_safe if problem.type is ProblemType.UNKNOWN_OUTCOME else None,
            extra=extra,
        )

    def problem(
        self,
        exchange: Exchange,
        problem: Problem,
        *,
        write_id: str | None = None,
        state: State | None = None,
        retry_safe: bool | None = None,
        expires_at: float | None = None,
        extra: tuple[Pair, ...] = (),
    ) -> None:
        """A problem document. Raises: ClientGone."""
        status, body = problem_document(
            problem, write_id=write_id, state=state, retry_safe=retry_safe, expires_at=expires_at
        )
        exchange.reason = f"{problem.type}: {problem.detail}"
        pairs = [_PROBLEM, _NO_STORE, *extra]
        if status in _COME_AGAIN and all(name != b"Retry-After" for name, _ in extra):
            pairs.append(retry_after(COME_AGAIN_S))
        exchange.writer.whole(status, render_fields(pairs), (body,), length=len(body))

    def refused(self, exchange: Exchange, error: ProxyError) -> None:
        """We did not take it in. Raises: ClientGone."""
        problem = problem_of(error)
        assert problem is not None, f"{error!r} is no refusal of a write"
        self.problem(exchange, problem)
        exchange.reason = str(error)

    def document(self, exchange: Exchange, status: int, document: Mapping[str, object], *extra: Pair) -> None:
        """A JSON document of ours. Raises: ClientGone."""
        body = json.dumps(document).encode() + b"\n"
        lines = render_fields((_JSON, _NO_STORE, *extra))
        exchange.writer.whole(status, lines, (body,), length=len(body))


def retry_after(seconds: float) -> Pair:
    """Whole seconds, at least one (RFC 9110 §10.2.3)."""
    return (b"Retry-After", b"%d" % max(1, math.ceil(seconds)))
