"""Takes out of the cache what a write made untrue: what `policy.invalidation` and the cache groups name."""

from __future__ import annotations

from proxy.cache.cache import ResponseCache
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.invalidation import invalidated_targets, own_target
from proxy.policy.keys import adds_to_key, key_of_target
from proxy.policy.surrogate_keys import SAFE_METHODS, invalidated_groups
from proxy.routing import Route
from proxy.server.prepared import PreparedHeads


class Invalidating:
    """Invalidates under one configuration."""

    def __init__(self, *, cache: ResponseCache, heads: PreparedHeads) -> None:
        self._cache = cache
        self._heads = heads

    def answered(self, request: RequestHead, route: Route, response: ResponseHead) -> None:
        """An answer to the request came; does nothing for safe methods."""
        if request.method in SAFE_METHODS or not route.settings.cache.enabled:
            return
        for target in invalidated_targets(request, response, route=route.settings):
            found = self._heads.route_of(target)  # Location may lead to another route than the write's
            if found is not None:
                self._purge(target, found)
        groups = invalidated_groups(request, response)
        if groups:
            self._cache.purge_where(lambda _key, tags: not groups.isdisjoint(tags))

    def unknown(self, request: RequestHead, route: Route) -> None:
        """The request was sent, no answer came, and it may have been applied (DESIGN, D4)."""
        if request.method not in SAFE_METHODS and route.settings.cache.enabled:
            self._purge(own_target(request), route)

    def _purge(self, target: RequestHead, route: Route) -> None:
        key = key_of_target(route.name, target, route=route.settings)
        if adds_to_key(route.settings):  # then each key of the target begins with it
            self._cache.purge_where(lambda found, _tags: found.startswith(key))
        else:
            self._cache.purge(key)
