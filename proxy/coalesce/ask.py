"""A request that may be answered from the cache or a flight, and its wait."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from proxy.config.settings import RouteSettings
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest, OnInformational, Origin
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.key_parts import slice_key
from proxy.policy.keys import CacheKey
from proxy.policy.partial import Slice


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
    allows it (RFC 9111 §3.5). With a `slice` it asks for that alone: see `of_slice`. `whole` is what another
    worker asks for after it has found that slices will not do.
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
    slice: Slice | None = None
    whole: bool = False

    def placed(self, stored: Places) -> Ask:
        """The ask under the key that it shares with equivalent targets, as of now."""
        target_key = self.target_key or self.key
        key = stored.placed(target_key)
        return self if key == self.key else replace(self, key=key, target_key=target_key)

    def of_slice(self, part: Slice, *, directives: RequestDirectives | None = None) -> Ask:
        """The ask for a slice: under a key of its own, with a Range of ours in the place of the client's.

        `directives` take the place of the client's for what continues an answer that has begun.
        """
        forward = self.forward

        def forward_slice(*, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
            return forward(conditions=(*part.conditions(), *conditions), alone=False)

        return replace(
            self.without_range(),
            key=slice_key(self.target_key or self.key, part.number, part.slice_bytes),
            target_key=None,
            directives=self.directives if directives is None else directives,
            forward=forward_slice,
            slice=part,
        )

    def without_range(self) -> Ask:
        """The same for the whole."""
        fields = self.request.fields
        if b"range" not in fields and b"if-range" not in fields:
            return self
        request = replace(self.request, fields=fields.without((b"range", b"if-range")))
        return replace(self, request=request)


@dataclass(slots=True, eq=False)
class Wait:
    """One exchange's wait: since when, until when, and how often it was sent back."""

    arrived_mono: float
    deadline_mono: float
    regroups: int = 0
    reelection: bool = False
    recalled: bool = False
