"""Takes out of the cache what an answer tells to be untrue.

That is what a write changed, as `policy.invalidation` and the cache groups name it.
"""

from __future__ import annotations

from proxy.cache.cache import ResponseCache
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.invalidation import invalidated_targets, own_target
from proxy.policy.keys import key_of_target
from proxy.policy.purges import PurgeKind, Tagged, Targets
from proxy.policy.surrogate_keys import SAFE_METHODS, invalidated_groups
from proxy.routing import Route
from proxy.server.prepared import Prepared, PreparedHeads


class Invalidating:
    """Invalidates under one configuration."""

    def __init__(self, *, cache: ResponseCache, heads: PreparedHeads) -> None:
        self._cache = cache
        self._heads = heads

    def answered(self, prepared: Prepared, response: ResponseHead) -> None:
        """An answer to a request that was passed through came."""
        request, route = prepared.request, prepared.route
        if request.method in SAFE_METHODS or not route.settings.cache.enabled:
            return
        for target in invalidated_targets(request, response, route=route.settings):
            found = self._heads.route_of(target)  # Location may lead to another route than the write's
            if found is not None:
                self._purge(target, found)
        groups = invalidated_groups(request, response)
        if groups:
            self._cache.begin_purge(Tagged(groups), kind=PurgeKind.INVALIDATION)

    def unknown(self, prepared: Prepared) -> None:
        """The request was sent, no answer came, and it may have been applied (DESIGN, D4)."""
        request, route = prepared.request, prepared.route
        if request.method not in SAFE_METHODS and route.settings.cache.enabled:
            self._purge(own_target(request), route)

    def _purge(self, target: RequestHead, route: Route) -> None:
        key = key_of_target(route.name, target, route=route.settings)
        self._cache.begin_purge(Targets(frozenset({key})), kind=PurgeKind.INVALIDATION)
