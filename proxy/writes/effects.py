"""What the cache does about a write: before it is sent, and when it is known what became of it.

    before the first octet   fills of what it changes are fenced: the origin may have read the old value for
                             them, and they may end after the write. What is stored is still served
    the answer came          what it changes is invalidated: its own target, what Location and
                             Content-Location name, what the route's templates named, the tags
    nobody knows             the same, and answers are not stored for as long as it may still take effect
    the origin failed        what it changes is made stale

So a client that has its write's answer never reads an older value here, and a herd on a key that is
written all the time costs one fetch for each commit at the most. Where that is too many, a route allows
reads that are older (`stale_reads_s`): then the invalidations of one target come at most once in this time,
each at most this long after its commit, and nothing is fenced before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from proxy.cache.cache import ResponseCache
from proxy.errors import ClientError
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.invalidation import invalidated_targets
from proxy.policy.key_parts import TargetKey
from proxy.policy.keys import CacheKey
from proxy.policy.purges import PurgeKind, Tagged, Targets, target_keys
from proxy.policy.surrogate_keys import invalidated_groups
from proxy.routing import Router
from proxy.writes.deferring import Deferring
from proxy.writes.outcomes import Effect
from proxy.writes.policy import WritePolicy
from proxy.writes.write import Write

Names = tuple[str, ...]

KNOWN_TARGETS: Final = 4096
"""Of which it is remembered what they are in the cache, if they are short: entities are written again and
again, and a key takes 30 µs to make. As many again are on their way to be forgotten."""
KNOWN_TARGET_OCTETS: Final = 512

_NAMING: Final = frozenset({b"location", b"content-location", b"cache-group-invalidation"})
_NO_FIELDS: Final = Fields()
_NO_LABELS: Final[frozenset[bytes]] = frozenset()
_Place = tuple[str, bytes, bytes]


@dataclass(frozen=True, slots=True)
class _Own:
    """What a target is in the cache: its keys, all that they cover (None without any), and its name."""

    keys: frozenset[TargetKey]
    coverage: Targets | None
    names: Names


class CacheEffects:
    """Keeps one cache true to the writes that pass. One event loop owns it."""

    def __init__(self, cache: ResponseCache, router: Router) -> None:
        self._cache = cache
        self._router = router
        self._routes = {route.name: route for route in router.routes}
        self._known: dict[_Place, _Own] = {}
        self._known_before: dict[_Place, _Own] = {}
        self._deferring = Deferring(self._purge)

    def __repr__(self) -> str:
        return f"<CacheEffects on {self._cache!r} {self._deferring!r}>"

    def use(self, router: Router) -> None:
        """Find keys by these routes from now on."""
        self._router = router
        self._routes = {route.name: route for route in router.routes}
        self._known, self._known_before = {}, {}

    def close(self) -> None:
        """Do now what was put off."""
        self._deferring.close()

    def fence(self, write: Write, policy: WritePolicy) -> None:
        """It is about to be sent: what is being filled now is not stored."""
        if policy.stale_reads_s > 0:
            return
        labels = frozenset(write.changed_tags) if write.changed_tags else _NO_LABELS
        targets: Targets | None = None

        def covers(key: CacheKey, found: frozenset[bytes]) -> bool:
            nonlocal targets
            if targets is None:  # mostly nothing is being filled, and nobody asks
                targets = Targets(self._keys(self._targets(write, None)))
            return targets.covers(key, found) or not labels.isdisjoint(found)

        self._cache.fences.raise_fence(covers)

    def apply(self, effect: Effect, write: Write, policy: WritePolicy, head: ResponseHead | None) -> Names:
        """Do in this step what follows from an attempt; the targets and tags that were invalidated."""
        if effect is Effect.NONE:
            return ()
        if _changes_itself_alone(write, head) and not policy.stale_reads_s:
            return self._apply_to_itself(effect, write, policy)
        targets = self._targets(write, head)
        keys = self._keys(targets)
        labels = frozenset(write.changed_tags)
        if effect is Effect.SOFTEN:
            self._purge(keys, labels, soft=True)
            return ()
        if head is not None and b"cache-group-invalidation" in head.fields:
            labels |= invalidated_groups(_request(write), head)
        hold_s = _hold_s(effect, policy)
        if effect is Effect.INVALIDATE and policy.stale_reads_s > 0:
            self._deferring.purge(keys, labels, within_s=policy.stale_reads_s, hold_s=hold_s)
        else:
            self._purge(keys, labels, hold_s=hold_s)
        return _names(targets, write)

    def _apply_to_itself(self, effect: Effect, write: Write, policy: WritePolicy) -> Names:
        """The usual case: nothing but the write's own target becomes untrue."""
        own = self._own(write.scheme, write.authority, write.target)
        if own.coverage is not None:
            soft = effect is Effect.SOFTEN
            hold_s = 0.0 if soft else _hold_s(effect, policy)
            self._cache.begin_purge(own.coverage, soft=soft, kind=PurgeKind.INVALIDATION, hold_s=hold_s)
        return () if effect is Effect.SOFTEN else own.names

    async def durable(self) -> None:
        """Wait until no restart brings back what was invalidated. Raises: PurgeNotDurable."""
        await self._cache.durable()

    def _targets(self, write: Write, head: ResponseHead | None) -> tuple[RequestHead, ...]:
        """The request's own first. Without an answer's head, what is known before there is one."""
        targets = [_get(write, write.target)]
        route = self._routes.get(write.route)
        if head is not None and route is not None:
            targets.extend(invalidated_targets(_request(write), head, route=route.settings))
        targets.extend(_get(write, target) for target in write.changed_targets)
        return tuple(dict.fromkeys(targets))

    def _keys(self, targets: tuple[RequestHead, ...]) -> frozenset[TargetKey]:
        if len(targets) == 1:
            return self._keys_of(targets[0])
        return frozenset().union(*map(self._keys_of, targets))

    def _keys_of(self, target: RequestHead) -> frozenset[TargetKey]:
        """By the route of each: Location may lead to another one than the write's."""
        return self._own(target.scheme, target.authority, target.target).keys

    def _own(self, scheme: str, authority: bytes, target: bytes) -> _Own:
        place = (scheme, authority, target)
        known = self._known.get(place)
        if known is not None:
            return known
        known = self._known_before.get(place)
        if known is None:
            keys = self._found_keys(
                RequestHead("GET", target, _NO_FIELDS, scheme=scheme, authority=authority)
            )
            known = _Own(keys, Targets(keys) if keys else None, (_name(target),))
        if len(target) <= KNOWN_TARGET_OCTETS:
            if len(self._known) >= KNOWN_TARGETS:
                self._known, self._known_before = {}, self._known
            self._known[place] = known
        return known

    def _found_keys(self, target: RequestHead) -> frozenset[TargetKey]:
        route = self._router.match(target.authority, target.path)
        if route is None or not route.settings.cache.enabled:
            return frozenset()
        try:
            return target_keys(route, target)
        except ClientError:  # the route makes no path of it, so nothing is stored for it
            return frozenset()

    def _purge(
        self,
        keys: frozenset[TargetKey],
        labels: frozenset[bytes],
        *,
        soft: bool = False,
        hold_s: float = 0.0,
    ) -> None:
        for coverage in (Targets(keys) if keys else None, Tagged(labels) if labels else None):
            if coverage is not None:
                self._cache.begin_purge(coverage, soft=soft, kind=PurgeKind.INVALIDATION, hold_s=hold_s)


def _changes_itself_alone(write: Write, head: ResponseHead | None) -> bool:
    if write.changed_targets or write.changed_tags:
        return False
    return head is None or _NAMING.isdisjoint(head.fields.names())


def _hold_s(effect: Effect, policy: WritePolicy) -> float:
    return policy.origin_lag_s if effect is Effect.INVALIDATE else policy.origin_timeout_s


def _request(write: Write) -> RequestHead:
    """The write as far as it names things; its fields are the origin's."""
    return RequestHead(write.method, write.target, _NO_FIELDS, scheme=write.scheme, authority=write.authority)


def _get(write: Write, target: bytes) -> RequestHead:
    return RequestHead("GET", target, _NO_FIELDS, scheme=write.scheme, authority=write.authority)


def _names(targets: Iterable[RequestHead], write: Write) -> Names:
    named = (*(target.target for target in targets), *write.changed_tags)
    return tuple(map(_name, named))


def _name(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")
