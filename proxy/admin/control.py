"""What an operator does by the admin listener: `POST /purge`, asks of it: `GET /explain`, and `writes`.

Errors are problem documents (RFC 9457) that name what was found and the fix. An order must come as
`application/json`, which no page of another site can make a browser send without asking us first.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.admin.access import Denied, check_access
from proxy.admin.administered import Administered
from proxy.admin.allowance import Allowance
from proxy.admin.answers import document_answer, ordered, problem
from proxy.admin.writes import WritesControl
from proxy.clock import Clock
from proxy.config.settings import AdminSettings
from proxy.errors import ClientError, ProxyError
from proxy.http.fields import Pair
from proxy.policy.purge_order import parse_order
from proxy.server.binding import Binding

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
"""Of an order; a thousand tags of usual length."""

MAX_FIELDS = 100
"""Of a request to explain."""

Answer = Callable[[web.Request], Awaitable[web.Response]]


class Control:
    """Purges, explains, and takes orders about writes, for whoever may."""

    def __init__(
        self,
        settings: AdminSettings,
        *,
        subject: Administered,
        binding: Callable[[], Binding],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._subject = subject
        self._binding = binding
        self._allowance = Allowance(per_s=settings.request_rate, clock=clock)

    def routes(self) -> list[web.RouteDef]:
        """What the listener adds."""
        return [
            web.post("/purge", self._guarded(self._purge)),
            web.get("/explain", self._guarded(self._explain)),
            *WritesControl(self._subject).routes(self._guarded),
        ]

    def _guarded(self, answer: Answer) -> Answer:
        async def guarded(request: web.Request) -> web.Response:
            try:
                self._check(request)
            except Denied as denied:
                headers = {"WWW-Authenticate": "Bearer"} if denied.status == 401 else {}
                logger.warning(
                    "admin_denied path=%s client=%s reason=%s", request.path, request.remote, denied
                )
                return problem(denied.status, str(denied), headers)
            wait_s = self._allowance.take()
            if wait_s:
                told = f"more than {self._settings.request_rate:g} a second (admin.request_rate); wait"
                return problem(429, told, {"Retry-After": str(math.ceil(wait_s))})
            try:
                return await answer(request)
            except web.HTTPRequestEntityTooLarge:
                return problem(413, f"the body is above {MAX_BODY_BYTES} octets; send fewer tags at a time")
            except ProxyError as error:
                headers = {"Retry-After": "1"} if error.retryable else {}
                return problem(error.status, str(error), headers)

        return guarded

    def _check(self, request: web.Request) -> None:
        binding = self._binding()
        check_access(
            token=self._settings.token,
            authorization=request.headers.get("Authorization", ""),
            host=request.headers.get("Host", ""),
            public=binding.public,
            is_file=binding.is_file,
        )

    async def _purge(self, request: web.Request) -> web.Response:
        order = parse_order(await ordered(request))
        began = time.perf_counter()
        entries = await self._subject.purge(order)
        took_s = time.perf_counter() - began
        logger.info(
            "purged kind=%s soft=%s entries=%d seconds=%.3f client=%s values=%s",
            order.kind,
            order.soft,
            entries,
            took_s,
            request.remote,
            [value[:100] for value in order.values[:3]],
        )
        document = {"kind": order.kind, "soft": order.soft, "entries": entries, "seconds": round(took_s, 6)}
        return document_answer(document)

    async def _explain(self, request: web.Request) -> web.Response:
        urls = request.query.getall("url", [])
        if len(urls) != 1:
            raise ClientError(f"url is given {len(urls)} times; ask as /explain?url=https://example.org/a")
        fields = tuple(_field(line) for line in request.query.getall("header", []))
        if len(fields) > MAX_FIELDS:
            raise ClientError(f"header is given {len(fields)} times; at most {MAX_FIELDS} are read")
        explained = await self._subject.explain(
            urls[0], method=request.query.get("method", "GET"), fields=fields
        )
        return document_answer(explained)


def _field(line: str) -> Pair:
    """Raises: ClientError."""
    name, colon, value = line.partition(":")
    if not colon or not name:
        raise ClientError(f"a header is {line[:80]!r}; write it as `Name: value`")
    try:
        return name.strip().encode("ascii"), value.strip(" \t").encode()
    except UnicodeEncodeError:
        raise ClientError(f"a header is {line[:80]!r}; its name holds other than ASCII") from None
