"""Purges what an operator or a client orders: from words and URLs to what they cover, by the routes."""

from __future__ import annotations

from typing import assert_never

from proxy.cache.cache import ResponseCache
from proxy.cache.purging import MAX_PENDING, PurgeReceipt
from proxy.errors import RefusedError, RouteNotFound
from proxy.http.messages import RequestHead
from proxy.policy.purge_order import PurgeOrder, compiled, labels
from proxy.policy.purges import (
    Coverage,
    Everything,
    Matching,
    PurgeKind,
    Tagged,
    Targets,
    prefixed,
    target_keys,
)
from proxy.policy.target_uri import request_of_url
from proxy.routing import Router


class Purger:
    """Purges under one configuration."""

    def __init__(self, *, cache: ResponseCache, router: Router) -> None:
        self._cache = cache
        self._router = router

    def purge(self, order: PurgeOrder) -> PurgeReceipt:
        """Purge: it holds from here on.

        Raises: ClientError, RouteNotFound (404), and RefusedError (503) while many are being swept.
        """
        coverage = coverage_of_order(order, self._router)
        if self._cache.purge_statistics().pending >= MAX_PENDING:
            raise RefusedError(f"{MAX_PENDING} purges are being swept; try again")
        return self._cache.begin_purge(coverage, soft=order.soft)

    def purge_target(self, request: RequestHead, *, soft: bool) -> PurgeReceipt:
        """Purge every response of the request's target. Raises: ClientError, RouteNotFound (404)."""
        return self._cache.begin_purge(_targets(request, self._router), soft=soft)

    async def settled(self, receipt: PurgeReceipt) -> int:
        """Wait until all is found and no restart can bring it back; how many entries it was.

        What is in memory and on disk counts once; of several workers that is the sum.

        Raises: PurgeNotDurable.
        """
        entries = await receipt.swept()
        await self._cache.durable()
        return entries if receipt.elsewhere is None else entries + await receipt.elsewhere


def coverage_of_order(order: PurgeOrder, router: Router) -> Coverage:
    """What is ordered to be purged, by the routes. Raises: ClientError, RouteNotFound (404)."""
    match order.kind:
        case PurgeKind.URL:
            return _targets(request_of_url(order.values[0]), router)
        case PurgeKind.TAG:
            return Tagged(labels(order))
        case PurgeKind.PREFIX:
            return prefixed(request_of_url(order.values[0]), routes=router.routes)
        case PurgeKind.PATTERN:
            return Matching(compiled(order.values[0]))
        case PurgeKind.EVERYTHING:
            return Everything()
        case PurgeKind.INVALIDATION:
            raise AssertionError("an invalidation is not ordered")
        case never:
            assert_never(never)


def _targets(request: RequestHead, router: Router) -> Targets:
    route = router.match(request.authority, request.path)
    if route is None:
        raise RouteNotFound(
            f"no route takes host {request.authority.decode()}, path {request.path.decode()}: "
            "nothing of it can be stored; `lockgate check` shows the routes"
        )
    return Targets(target_keys(route, request))
