"""What became of a write: the resource that a 202 names.

    GET ID             its state; with `?wait=S` when it has ended, or after S seconds
    GET ID/response    the origin's answer, as it was given
    DELETE ID          take it back, unless it was sent

What is asked for is shown to the write's principal alone, where the route names one. Ids cannot be guessed,
and they tell their time: of one that is older than ends are kept, we say that it is gone (RFC 9110 §15.5.11).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from proxy.clock import Clock
from proxy.coalesce.answer import Outcome
from proxy.config.settings import Config
from proxy.errors import QueueUnavailable
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead
from proxy.routing import route_name
from proxy.server.exchange import Exchange
from proxy.server.writes.answers import WriteAnswers
from proxy.server.writes.home import WritesHome
from proxy.server.writes.made_write import principal_by
from proxy.server.writes.routes import WriteRoute
from proxy.server.writes.showing import status_document
from proxy.writes.front.write_ids import parse_write_id
from proxy.writes.port import WriteStatus
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.scheduler import Refusal
from proxy.writes.states import FINAL

_ALLOW: Final[Pair] = (b"Allow", b"DELETE, GET, HEAD")
_ALLOW_READING: Final[Pair] = (b"Allow", b"GET, HEAD")
_CANCEL_S: Final = 5.0
"""How long a DELETE waits until it is kept that the write was taken back."""


class WriteStatusResource:
    """Answers for writes under one configuration."""

    def __init__(
        self,
        config: Config,
        *,
        routes: Mapping[str, WriteRoute],
        home: WritesHome,
        clock: Clock,
    ) -> None:
        self._prefix = config.writes.path.encode().rstrip(b"/") + b"/"
        self._settings = config.writes
        self._routes = routes
        self._route_settings = {route_name(route): route for route in config.routes}
        self._home = home
        self._clock = clock
        self._answers = WriteAnswers(config.cache)

    def __repr__(self) -> str:
        return f"<WriteStatusResource {self._prefix!r}>"

    def covers(self, path: bytes) -> bool:
        """Whether this path is ours, and no route's."""
        return is_below(path, self._settings.path)

    async def answer(self, exchange: Exchange, request: RequestHead) -> None:
        """Answer a request for one of our resources. Raises: ClientGone, WritesMoved."""
        exchange.outcome = Outcome.ANSWERED
        try:
            await self._answer(exchange, request)
        except QueueUnavailable as error:
            exchange.outcome = Outcome.REFUSED
            self._answers.refused(exchange, error)

    async def _answer(self, exchange: Exchange, request: RequestHead) -> None:
        write_id, _, rest = request.path.removeprefix(self._prefix).decode("latin-1").partition("/")
        if rest not in ("", "response") or request.path.endswith(b"/"):
            self._not_found(
                exchange, f"there is {self._settings.path}/ID and {self._settings.path}/ID/response"
            )
            return
        await self._home.ready()
        with self._home.inside():
            await self._tell(exchange, request, write_id, rest)

    async def _tell(self, exchange: Exchange, request: RequestHead, write_id: str, rest: str) -> None:
        status = await self._home.store.status(write_id)
        if status is None:
            self._not_here(exchange, write_id)
        elif not self._may(request, status):
            told = "this write is another's"
            self._answers.problem(exchange, Problem(ProblemType.FORBIDDEN, told))
        elif request.method == "DELETE" and not rest:
            await self._cancel(exchange, status)
        elif request.method not in ("GET", "HEAD"):
            told = f"{request.method} does nothing here"
            allow = _ALLOW_READING if rest else _ALLOW
            self._answers.problem(exchange, Problem(ProblemType.METHOD_NOT_ALLOWED, told), extra=(allow,))
        elif rest:
            await self._response(exchange, status)
        else:
            await self._state(exchange, request, status)

    def _may(self, request: RequestHead, status: WriteStatus) -> bool:
        route = self._routes.get(status.route)
        return not status.principal or (
            route is not None and principal_by(route, request) == status.principal
        )

    def _not_here(self, exchange: Exchange, write_id: str) -> None:
        parsed = parse_write_id(write_id)
        if parsed is not None and parsed.made_at < self._clock.now() - self._home.retention_s:
            told = f"it ended more than {self._home.retention_s:g} s ago (writes.journal.retention_s)"
            self._answers.problem(exchange, Problem(ProblemType.GONE, told))
        else:
            self._not_found(exchange, "no write has this id, or its end was not to be kept")

    def _not_found(self, exchange: Exchange, told: str) -> None:
        self._answers.problem(exchange, Problem(ProblemType.NOT_FOUND, told))

    async def _state(self, exchange: Exchange, request: RequestHead, status: WriteStatus) -> None:
        wait_s = min(_wait_s(request), self._settings.longest_wait_s)
        if wait_s and status.state not in FINAL:
            await self._home.wait_ended(status.id, within_s=wait_s)
            status = await self._home.store.status(status.id) or status
        self._answers.document(exchange, 200, self._document(status))

    def _document(self, status: WriteStatus) -> dict[str, object]:
        document = status_document(status, self._home.writes)
        if status.state in FINAL and status.status is not None:
            document["response"] = f"{self._settings.path}/{status.id}/response"
        return document

    async def _response(self, exchange: Exchange, status: WriteStatus) -> None:
        route = self._route_settings.get(status.route)
        result = await self._home.store.result(status.id) if status.state in FINAL else None
        if result is None:
            self._not_found(exchange, f"it is {status.state}: there is no answer yet, or none was kept")
            return
        told = route is not None and self._answers.replayed(
            exchange, result, route=route, write_id=status.id, retry_safe=False
        )
        if not told:
            self._not_found(exchange, "its answer was not kept (max_answer_bytes), or its route is gone")

    async def _cancel(self, exchange: Exchange, status: WriteStatus) -> None:
        refusal: Refusal | None = Refusal.SENT
        if status.state not in FINAL:
            with self._home.writes.wait(status.id) as ended:
                refusal = self._home.writes.cancel(status.id)
                if refusal is None:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_CANCEL_S):
                            await ended
            status = await self._home.store.status(status.id) or status
        if refusal is None:
            self._answers.document(exchange, 200, self._document(status))
        else:
            told = f"it is {status.state}: only what was never sent can be taken back"
            problem = Problem(ProblemType.NOT_CANCELLABLE, told)
            self._answers.problem(exchange, problem, write_id=status.id, state=status.state)


def is_below(path: bytes, prefix: str) -> bool:
    """Whether a path is that of our resources, `writes.path`, or below it."""
    ours = prefix.encode().rstrip(b"/")
    return path == ours or path.startswith(ours + b"/")


def _wait_s(request: RequestHead) -> float:
    """Seconds to wait; 0 where nothing readable asks for it."""
    query = request.target.partition(b"?")[2].decode("latin-1")
    try:
        asked = float(dict(parse_qsl(query, max_num_fields=20)).get("wait", "0"))
    except ValueError:
        return 0.0
    return asked if math.isfinite(asked) and asked > 0 else 0.0
