"""How long a response stays fresh, and how old it is when it comes (RFC 9111 §4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.config.settings import RouteCacheSettings
from proxy.http.dates import parse_http_date
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.policy.cache_control import ResponseDirectives, parse_delta_seconds

HEURISTICALLY_CACHEABLE = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
"""RFC 9110 §15.1, less 206: parts are not put together from a guess."""


class LifetimeSource(StrEnum):
    """Which rule gave the freshness lifetime."""

    ROUTE = "route"
    S_MAXAGE = "s-maxage"
    MAX_AGE = "max-age"
    EXPIRES = "expires"
    NEGATIVE = "negative"
    """The route's, for an error answer that names none itself."""
    HEURISTIC = "heuristic"
    NONE = "none"

    @property
    def explicit(self) -> bool:
        """Whether somebody said so: the origin, or whoever configured the route."""
        return self not in (LifetimeSource.HEURISTIC, LifetimeSource.NONE)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Seconds of freshness, counted from the response's generation at the origin, and who says so."""

    seconds: float
    source: LifetimeSource

    @property
    def explicit(self) -> bool:
        """See `LifetimeSource.explicit`."""
        return self.source.explicit


def freshness_lifetime(
    response: ResponseHead, directives: ResponseDirectives, *, cache: RouteCacheSettings, now: float
) -> Lifetime:
    """The freshness lifetime in a shared cache; 0 with source NONE where nobody gives one.

    The first that applies: the route's, s-maxage, max-age, Expires, the route's for errors, a heuristic
    from Last-Modified. `now` is when the response came. Whether it may be shared at all is not asked here.

    Source: RFC 9111 §4.2.1, §4.2.2.
    """
    if cache.lifetime_s is not None and response.status in cache.lifetime_statuses:
        return Lifetime(cache.lifetime_s, LifetimeSource.ROUTE)
    if directives.s_maxage is not None:
        return Lifetime(directives.s_maxage, LifetimeSource.S_MAXAGE)
    if directives.max_age is not None:
        return Lifetime(directives.max_age, LifetimeSource.MAX_AGE)
    if b"expires" in response.fields and not directives.targeted:
        return Lifetime(_until_expires(response.fields, now), LifetimeSource.EXPIRES)
    negative_s = negative_lifetime_s(response.status, cache=cache)
    if negative_s is not None:
        return Lifetime(negative_s, LifetimeSource.NEGATIVE)
    return _heuristic(response, directives, cache, now)


def negative_lifetime_s(status: int, *, cache: RouteCacheSettings) -> float | None:
    """What the route gives an error of this status, the status itself before its class; None if nothing."""
    given = cache.negative_lifetimes_s
    if not given or status < 400:
        return None
    exact = given.get(str(status))
    return given.get(f"{status // 100}xx") if exact is None else exact


def _until_expires(fields: Fields, now: float) -> float:
    expires_at = single_date(fields, b"expires", now=now)
    if expires_at is None:  # "0" and the like: in the past, RFC 9111 §5.3
        return 0.0
    return max(0.0, expires_at - _date(fields, now))


def _heuristic(
    response: ResponseHead, directives: ResponseDirectives, cache: RouteCacheSettings, now: float
) -> Lifetime:
    none = Lifetime(0.0, LifetimeSource.NONE)
    if not cache.heuristic or response.status == 206:
        return none
    if response.status not in HEURISTICALLY_CACHEABLE and not directives.public:
        return none
    modified_at = single_date(response.fields, b"last-modified", now=now)
    if modified_at is None:
        return none
    unchanged_s = min(_date(response.fields, now), now) - modified_at
    if unchanged_s <= 0:
        return none
    seconds = min(unchanged_s * cache.heuristic_fraction, cache.heuristic_max_s)
    return Lifetime(seconds, LifetimeSource.HEURISTIC) if seconds > 0 else none


def initial_age_s(response: ResponseHead, *, requested_at: float, received_at: float) -> float:
    """The age of a response when it came: corrected_initial_age, in seconds, never negative.

    `requested_at` and `received_at` are wall clock times, of the forward request and of the head.

    Source: RFC 9111 §4.2.3, §5.1.
    """
    generated_at = single_date(response.fields, b"date", now=received_at)
    apparent_age_s = max(0.0, received_at - generated_at) if generated_at is not None else 0.0
    response_delay_s = max(0.0, received_at - requested_at)
    return max(apparent_age_s, _age_value_s(response.fields) + response_delay_s)


def _age_value_s(fields: Fields) -> int:
    if b"age" not in fields:
        return 0
    members = fields.members(b"age")
    return (parse_delta_seconds(members[0]) or 0) if members else 0


def _date(fields: Fields, now: float) -> float:
    """When the origin generated the response; when it came, if the origin does not say (RFC 9110 §6.6.1)."""
    generated_at = single_date(fields, b"date", now=now)
    return now if generated_at is None else generated_at


def single_date(fields: Fields, name: bytes, *, now: float) -> float | None:
    """Unix seconds of a date field; None if it is absent, unreadable, or there twice and different."""
    values = fields.get_all(name)
    if len(values) == 1 or (values and len(set(values)) == 1):
        return parse_http_date(values[0], now=now)
    return None
