"""A request that may be answered from the cache or a flight, and its wait."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from proxy.config.settings import RouteSettings
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest, OnInformational, Origin
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.keys import CacheKey


class BuildForward(Protocol):
    """Builds the forward request with these conditions; `alone` without any, with the client's own."""

    def __call__(self, *, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest: ...


class Places(Protocol):
    """Knows the key that equivalent targets share: the cache, or its glance."""

    def placed(self, key: CacheKey) -> CacheKey: ...


@dataclass(slots=True, eq=False)
class Ask:
    """A request that may be answered from the cache or a flight; never changed.

    Not declared frozen, as it and the steps of `next_step` are made for each request: freezing costs 0.2 us
    a field.

    `key` is that of the request's own target until the coalescer has placed it among equivalent targets;
    `target_key` keeps it then. `with_authorization` requests share only what is stored for the key and
    allows it (RFC 9111 §3.5).
    """

    key: CacheKey
    request: RequestHead
    directives: RequestDirectives
    route: RouteSettings
    origin: Origin
    forward: BuildForward
    with_authorization: bool = False
    on_informational: OnInformational | None = None
    target_key: CacheKey | None = None

    def placed(self, stored: Places) -> Ask:
        """The ask under the key that it shares with equivalent targets, as of now."""
        target_key = self.target_key or self.key
        key = stored.placed(target_key)
        return self if key == self.key else replace(self, key=key, target_key=target_key)


@dataclass(slots=True, eq=False)
class Wait:
    """One exchange's wait: since when, until when, and how often it was sent back."""

    arrived_mono: float
    deadline_mono: float
    regroups: int = 0
    reelection: bool = False
    recalled: bool = False
