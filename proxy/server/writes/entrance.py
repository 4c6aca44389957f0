"""Where writes come in to a worker among several: taken in here while it has the writes, else passed on.

Of all workers one has the writes, and while an upgrade hands them over another one gets them. So it is asked
with each request whether they are here. A request that was begun here and must move goes on there, with the
body that was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from proxy.coalesce.answer import Outcome
from proxy.errors import ProxyError, WritesMoved
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest
from proxy.server.exchange import Exchange
from proxy.server.prepared import Prepared
from proxy.server.request_body import ClientBody
from proxy.server.writes.front import WriteFront
from proxy.server.writes.home import WritesHome
from proxy.server.writes.kept_body import KeptBody
from proxy.server.writes.routes import WriteRoute, route_taking
from proxy.server.writes.status import WriteStatusResource, is_below


class PassesOn(Protocol):
    """What an entrance does with what is not for here: `PassingOn`."""

    async def pass_on(
        self,
        exchange: Exchange,
        request: RequestHead,
        body: KeptBody | None,
        *,
        outcome: Outcome,
        retry_safe: bool,
    ) -> None: ...

    def refuse(self, exchange: Exchange, error: ProxyError) -> None: ...


class WritesEntrance:
    """For writes, as `WriteFront`, which is there where they are, or may come."""

    def __init__(
        self,
        routes: Mapping[str, WriteRoute],
        *,
        passing_on: PassesOn,
        keeps: bool,
        home: WritesHome | None,
        front: WriteFront | None,
    ) -> None:
        """`keeps` tells whether an Idempotency-Key is known again."""
        self._routes = routes
        self._passing_on = passing_on
        self._keeps = keeps
        self._home = home
        self._front = front

    def __repr__(self) -> str:
        return f"<WritesEntrance {self._home!r} {sorted(self._routes)}>"

    def only_here(self) -> WritesEntrance:
        """The same for who came here for the writes: it raises WritesMoved where this one passes on."""
        return WritesEntrance(
            self._routes,
            passing_on=_Nowhere(self._passing_on),
            keeps=self._keeps,
            home=self._home,
            front=self._front,
        )

    def here(self) -> WriteFront | None:
        """Where writes are taken in, while that is this process."""
        return self._front if is_here(self._home) else None

    def takes(self, prepared: Prepared) -> WriteRoute | None:
        """The route, if this request is a write that it queues. Raises: EntityMissing."""
        return route_taking(prepared, self._routes)

    def refuse(self, exchange: Exchange, error: ProxyError) -> None:
        """Answer that it was not taken in, for one of REFUSALS. Raises: ClientGone."""
        self._passing_on.refuse(exchange, error)

    async def answer(
        self,
        exchange: Exchange,
        prepared: Prepared,
        route: WriteRoute,
        *,
        body: ClientBody | None,
        forward: ForwardRequest,
    ) -> None:
        """Have it taken in and answered, wherever. `forward` is what the origin is to get, but for the body.

        Raises: ClientGone, ClientError (the body's framing, or its slowness), OriginError in the middle of an
        answer.
        """
        kept = None if body is None else KeptBody(body)
        front = self.here()
        if front is not None:
            try:
                await front.answer(exchange, prepared, route, body=body, forward=forward)
                return
            except WritesMoved as moved:
                kept = None if body is None else KeptBody(None, moved.octets)
        request = prepared.request
        has_key = self._keeps and b"idempotency-key" in request.fields
        await self._passing_on.pass_on(
            exchange,
            request,
            kept,
            outcome=Outcome.WRITTEN,
            retry_safe=has_key or route.policy.may_repeat(request.method),
        )


class StatusEntrance:
    """For what became of a write, as `WriteStatusResource`."""

    def __init__(
        self,
        path: str,
        *,
        passing_on: PassesOn,
        home: WritesHome | None,
        resource: WriteStatusResource | None,
    ) -> None:
        self._path = path
        self._passing_on = passing_on
        self._home = home
        self._resource = resource

    def __repr__(self) -> str:
        return f"<StatusEntrance {self._path} {self._home!r}>"

    def only_here(self) -> StatusEntrance:
        """As that of `WritesEntrance`."""
        return StatusEntrance(
            self._path, passing_on=_Nowhere(self._passing_on), home=self._home, resource=self._resource
        )

    def covers(self, path: bytes) -> bool:
        """Whether this path is ours, and no route's."""
        return is_below(path, self._path)

    async def answer(self, exchange: Exchange, request: RequestHead) -> None:
        """Answer a request for one of our resources, wherever. Raises: ClientGone, OriginError."""
        if self._resource is not None and is_here(self._home):
            try:
                await self._resource.answer(exchange, request)
                return
            except WritesMoved:
                pass
        # To read a state, or to take a write back, does no harm a second time.
        await self._passing_on.pass_on(exchange, request, None, outcome=Outcome.ANSWERED, retry_safe=True)


class _Nowhere:
    """Of whoever relayed it, who has the request yet, and brings it to the next one."""

    def __init__(self, passing_on: PassesOn) -> None:
        self.refuse = passing_on.refuse

    async def pass_on(self, *_args: object, **_named: object) -> None:
        raise WritesMoved("another process gets the writes")


def is_here(home: WritesHome | None) -> bool:
    """Whether this process has the writes."""
    return home is not None and home.is_here
