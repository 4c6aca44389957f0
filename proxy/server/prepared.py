"""What can be said of a request from its head alone: checked, routed, keyed, once for each distinct head.

Clients repeat themselves: a herd is one head a thousand times, a browser sends the same fields with each
request. All that is decided of a head is a pure function of its octets, of the listener and of whether
the peer is trusted, and it is most of the work of a hit. So it is remembered, under the raw fields as the
parser cut them.

A head enters the table on second sight (`server/head_table.py`); one that is refused is not remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp.http_parser import RawRequestMessage

from proxy.config.settings import LimitsSettings
from proxy.errors import LoopDetected, ProxyError, RouteNotFound
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.forwarding import ClientAddress, loops, seen_by_origin
from proxy.policy.keys import CacheKey, cache_key
from proxy.policy.request_checks import check_request
from proxy.policy.sharing import JoinRefusal, may_join
from proxy.routing import Route, Router
from proxy.server.head_table import HeadTable

TABLE_BYTES = 8 * 1024 * 1024
"""Of heads in each generation; some ten thousand distinct ones."""

_OVERHEAD_BYTES = 1500
"""Of a prepared head beyond its octets: objects and the index of its fields."""


@dataclass(slots=True, eq=False)
class Prepared:
    """A request head and what follows from it.

    `seen` is the request as the origin will see it, which selects variants. `refusal` says why a request
    with this head and no body neither leads nor joins a flight; `key` is None where it cannot be shared.
    """

    request: RequestHead
    route: Route
    seen: RequestHead
    directives: RequestDirectives
    refusal: JoinRefusal | None
    key: CacheKey | None
    bodyless: bool
    forwards: dict[tuple[str, str, bool, bool], ForwardRequest] = field(default_factory=dict)
    """Plain forward requests by method, client, whether it is trusted, whether they lead a flight; a few."""
    asked: str = ""
    """What the access log says was asked, once it has been said."""


@dataclass(frozen=True, slots=True)
class OwnResource:
    """A proper head for a resource of our own, which no route has."""

    request: RequestHead


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """A proper head that leads nowhere."""

    request: RequestHead
    error: ProxyError


class PreparedHeads:
    """Prepares heads, and remembers those that come again."""

    def __init__(
        self,
        router: Router,
        *,
        limits: LimitsSettings,
        via_name: str,
        is_own: Callable[[bytes], bool],
    ) -> None:
        """`is_own` tells of a path whether it is a resource of ours."""
        self._is_own = is_own
        self._router = router
        self._limits = limits
        self._via_name = via_name
        self._table: HeadTable[Any, Prepared] = HeadTable(max_bytes=TABLE_BYTES, size_bytes=_size_bytes)

    def __repr__(self) -> str:
        return f"<PreparedHeads {self._table!r}>"

    def prepare(
        self, message: RawRequestMessage, *, scheme: str, trusted: bool
    ) -> Prepared | OwnResource | Unanswerable:
        """What follows from the head. Raises: ClientError and its kin, of `check_request`."""
        place = (message.path, message.raw_headers, message.method, message.version, scheme, trusted)
        found = self._table.young.get(place) or self._table.find(place)
        if found is not None:
            return found
        prepared = self._prepared(message, scheme, trusted)
        if isinstance(prepared, Prepared) and self._table.came_before(place):
            self._table.keep(place, prepared)
        return prepared

    def route_of(self, request: RequestHead) -> Route | None:
        """The route of a request that we make up."""
        return self._router.match(request.authority, request.path)

    def _prepared(
        self, message: RawRequestMessage, scheme: str, trusted: bool
    ) -> Prepared | OwnResource | Unanswerable:
        request = check_request(
            message.method,
            message.path.encode("utf-8", "surrogateescape"),
            (message.version.major, message.version.minor),
            Fields(message.raw_headers),
            scheme=scheme,
            limits=self._limits,
        )
        if self._is_own(request.path):
            return OwnResource(request)
        return self.of_request(request, trusted=trusted)

    def of_request(self, request: RequestHead, *, trusted: bool) -> Prepared | Unanswerable:
        """What follows from a head that was checked; nothing is remembered."""
        found = self._router.match(request.authority, request.path)
        if found is None:
            told = f"no route for host {request.authority!r}, path {request.path!r}"
            return Unanswerable(request, RouteNotFound(told))
        if loops(request, self._via_name):
            told = "the request came by here too often: an origin address points back at us"
            return Unanswerable(request, LoopDetected(told))
        route = found.settings
        refusal = may_join(request, route=route, has_body=False)
        shareable = refusal is None or refusal is JoinRefusal.AUTHORIZATION
        seen = seen_by_origin(request, route=route, client=ClientAddress(None, request.scheme, trusted))
        return Prepared(
            request=request,
            route=found,
            seen=seen,
            directives=RequestDirectives.parse(request.fields),
            refusal=refusal,
            key=cache_key(found.name, seen, route=route) if shareable else None,
            bodyless=b"content-length" not in request.fields and b"transfer-encoding" not in request.fields,
        )


def _size_bytes(_place: Any, prepared: Prepared) -> int:
    request = prepared.request
    return 2 * (len(request.target) + request.fields.size_bytes()) + _OVERHEAD_BYTES
