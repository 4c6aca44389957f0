"""The routes whose writes are queued, as the configuration has them turned into rules and policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.config.settings import RouteSettings
from proxy.config.write_settings import (
    EntitySettings,
    PrincipalSettings,
    RetrySettings,
    RouteWritesSettings,
    Unmatched,
)
from proxy.errors import EntityMissing
from proxy.http.messages import RequestHead
from proxy.routing import route_name
from proxy.server.prepared import Prepared
from proxy.writes.front.entities import EntityRule, EntityRules, compile_rule
from proxy.writes.front.principal import PrincipalRule
from proxy.writes.policy import Retry, WritePolicy


@dataclass(frozen=True, slots=True)
class WriteRoute:
    """One route: what its settings say, and what follows from them."""

    name: str
    settings: RouteWritesSettings
    methods: frozenset[str]
    entities: EntityRules
    principal: PrincipalRule | None
    policy: WritePolicy

    def covers(self, request: RequestHead) -> bool:
        """Whether an entity has its path. Raises: EntityMissing if not, and the route refuses such writes."""
        if self.entities.covers(request.path):
            return True
        if self.settings.unmatched is Unmatched.REFUSE:
            raise EntityMissing(f"no entity of this route has the path {request.path[:200]!r}")
        return False


def write_routes(routes: Iterable[RouteSettings]) -> dict[str, WriteRoute]:
    """Those of the routes that queue writes, by the routes' names."""
    found = (_write_route(route, route.writes) for route in routes if route.writes is not None)
    return {route.name: route for route in found}


def route_taking(prepared: Prepared, routes: Mapping[str, WriteRoute]) -> WriteRoute | None:
    """The one of these routes that queues this request, if one does.

    Raises: EntityMissing where the route refuses writes whose path no entity has.
    """
    route = routes.get(prepared.route.name)
    if route is None or prepared.request.method not in route.methods:
        return None
    return route if route.covers(prepared.request) else None


def _write_route(route: RouteSettings, settings: RouteWritesSettings) -> WriteRoute:
    return WriteRoute(
        name=route_name(route),
        settings=settings,
        methods=frozenset(settings.methods),
        entities=EntityRules(tuple(map(_rule, settings.entities))),
        principal=None if settings.principal is None else _principal(settings.principal),
        policy=_policy(route.origin, settings),
    )


def _rule(settings: EntitySettings) -> EntityRule:
    return compile_rule(
        settings.path, keys=settings.keys, invalidates=settings.invalidates, tags=settings.tags
    )


def _principal(settings: PrincipalSettings) -> PrincipalRule:
    return PrincipalRule(header=settings.header, cookie=settings.cookie, claim=settings.claim)


def _policy(origin: str, settings: RouteWritesSettings) -> WritePolicy:
    return WritePolicy(
        origin=origin,
        retry=_retry(settings.retry),
        retry_methods={method: _retry(retry) for method, retry in settings.retry_methods.items()},
        repeat_methods=frozenset(settings.repeat_methods),
        origin_idempotent=settings.origin_idempotent,
        send_key=settings.send_key,
        after_dead=settings.after_dead,
        max_concurrency=settings.max_concurrency,
        max_lane=settings.max_lane,
        max_sync_lane=settings.max_sync_lane,
        max_queued=settings.max_queued,
        origin_timeout_s=settings.origin_timeout_s,
        settle_s=settings.settle_s,
        origin_lag_s=settings.origin_lag_s,
        stale_reads_s=settings.stale_reads_s,
        max_answer_bytes=settings.max_answer_bytes,
    )


def _retry(settings: RetrySettings) -> Retry:
    return Retry(
        max_attempts=settings.max_attempts,
        first_s=settings.first_s,
        factor=settings.factor,
        longest_s=settings.longest_s,
        budget_s=settings.budget_s,
    )
