"""What a flight is to do: values that decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.coalesce.validating import NOTHING, Validating
from proxy.config.settings import RouteSettings
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest, OnInformational, Origin
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.partial import Slice


@dataclass(slots=True, eq=False)
class FlightPlan:
    """What a flight is to do; never changed. (Not declared frozen, for the reason that `Ask` gives.)

    `validating` is what `forward` asks about; `unconditional` is what is sent instead when a 304 matches
    nothing of it (RFC 9111 §4.3.3). `background` flights have no leader and need no seat. `target_key` is
    the key of the leader's own target, where `key` is that of several that are taken to be equivalent.
    `slice` is what `forward` asks for of the representation; then `key` is the slice's.
    """

    key: CacheKey
    variant: Variant
    request: RequestHead
    route: RouteSettings
    origin: Origin
    forward: ForwardRequest
    unconditional: Callable[[], ForwardRequest] | None = None
    validating: Validating = NOTHING
    background: bool = False
    reelection: bool = False
    on_informational: OnInformational | None = None
    target_key: CacheKey | None = None
    slice: Slice | None = None
