"""Who may get a response: the leader alone, those who wait, everybody who comes later. Default deny.

`judge` looks at a response once, when its head comes. `may_take` looks at each request that would get it,
when the queue drains and at every hit. `may_join` looks at a request before there is a response.

A response is for sharing only if nothing forbids it *and* something permits it: an explicit lifetime, or
a heuristic where neither Cookie nor Authorization is about. Stricter than RFC 9111 on purpose, unless the
route's profile is `strict-rfc` (`policy.profile`):

- `no-store` beside `must-understand` still forbids (§5.2.2.3 would let us ignore it);
- a response with Set-Cookie is not for sharing unless the route says so (§7.3 leaves it to the origin);
- a malformed Cache-Control forbids, since a `private` may hide in it;
- a body that ends with its connection is not for sharing, under either profile: its end cannot be told
  from a cut.

Source: RFC 9111 §3, §3.5, §4; DESIGN.md, D3 and D4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.config.settings import CookieRule, RouteSettings, SetCookieRule
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.bypass import is_bypassed
from proxy.policy.cache_control import RequestDirectives, ResponseDirectives
from proxy.policy.conditional import has_validator
from proxy.policy.freshness import LifetimeSource, initial_age_s
from proxy.policy.keys import vary_names
from proxy.policy.profile import Choices, choices_of
from proxy.policy.targeted import response_directives
from proxy.policy.terms import Terms, terms_from
from proxy.policy.upgrades import passed_upgrade

UNDERSTOOD_STATUSES = frozenset(
    {200, 203, 204, 300, 301, 302, 303, 307, 308, *range(400, 418), 421, 422, 426, 428, 429, 431, 451}
    | set(range(500, 506))
)
"""Final statuses whose caching requirements we meet; asked for by `must-understand` (RFC 9111 §5.2.2.3)."""

ABOUT_THE_LEADER = frozenset({400, 401, 403, 406, 413, 416, 431})
"""Answers that another client might not have got."""


class Reason(StrEnum):
    """Why a response is not for sharing, or not for this request."""

    STATUS = "status"
    METHOD = "method"
    NO_STORE = "no-store"
    PRIVATE = "private"
    MALFORMED = "malformed"
    """A Cache-Control that cannot be read."""
    SET_COOKIE = "set-cookie"
    VARY_STAR = "vary-star"
    """`Vary: *`, or a Vary that cannot be read."""
    EVENT_STREAM = "event-stream"
    UNKNOWN_LENGTH_CLOSE = "unknown-length-close"
    """The body ends with its connection."""
    AUTHORIZATION = "authorization"
    COOKIE_HEURISTIC = "cookie-heuristic"
    """Cookie, and nobody gave an explicit lifetime."""
    COOKIE_LIFETIME_ZERO = "cookie-lifetime-zero"
    """Cookie, and an answer that is only for those who wait, or must be validated."""
    NO_FRESHNESS = "no-freshness"
    """No lifetime at all."""
    LIFETIME_ZERO = "lifetime-zero"
    """An explicit lifetime of 0."""
    NO_CACHE = "no-cache"
    """To be validated before each use."""
    REQUEST_NO_STORE = "request-no-store"
    CONDITIONAL = "conditional"
    """An answer to the client's own Range or conditions."""
    PARTIAL = "partial"
    """A 206 that cannot be used as the slice that was asked for."""
    CACHE_DISABLED = "cache-disabled"
    BYPASS = "bypass"
    """By a rule of the route, its `cookies: bypass` included."""
    OWNER = "owner"
    """The worker that owns the key says so; it knows which of the other reasons it is."""


ABOUT_THE_REQUEST = frozenset(
    {
        Reason.AUTHORIZATION,
        Reason.BYPASS,
        Reason.CACHE_DISABLED,
        Reason.CONDITIONAL,
        Reason.COOKIE_HEURISTIC,
        Reason.COOKIE_LIFETIME_ZERO,
        Reason.METHOD,
        Reason.REQUEST_NO_STORE,
    }
)
"""Reasons that hold for one request and not for the next."""


@dataclass(frozen=True, slots=True)
class Shareable:
    """For everybody whom `may_take` lets have it; stored, if `store`."""

    terms: Terms
    store: bool = True


@dataclass(frozen=True, slots=True)
class WaitingOnly:
    """For those who waited when the head came, and nobody later.

    `store_terms` are set if it may be stored besides, to be validated before each use.
    """

    terms: Terms
    store_terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class NotForSharing:
    """For the leader alone; the others make their own requests, at once and in parallel.

    `marks`: the next requests for the key that the reason holds for (`holds_for`) need not wait to learn the
    same (hit-for-miss).
    `store_terms`: set if it may be stored all the same, to be validated before each use.
    """

    reason: Reason
    marks: bool
    store_terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class AboutLeader:
    """An answer to something about the leader itself; another leader may fare better."""

    status: int


@dataclass(frozen=True, slots=True)
class OriginFailed:
    """The origin is in trouble. Waiters are told the fact, not the answer; stale may stand in for it."""

    status: int


Verdict = Shareable | WaitingOnly | NotForSharing | AboutLeader | OriginFailed


def judge(
    request: RequestHead,
    response: ResponseHead,
    *,
    route: RouteSettings,
    now: float,
    close_delimited: bool = False,
    has_fallback: bool = False,
    own_conditions: bool = False,
) -> Verdict:
    """What becomes of the response that came at `now` to the leader's request.

    `request` is the leader's as it came; `response` may have lost its hop-by-hop fields, nothing else.
    `close_delimited` says that the body ends with its connection, `has_fallback` that a stored response
    may stand in for a failure: then the short lifetime that a route gives to failures does not replace it.
    `own_conditions` says that the origin was sent the client's own Range or conditions, which are not in
    the key: a fresh 416 or 412 is an answer to them, and stored it would be everybody's.
    """
    directives = response_directives(response.fields, cache=route.cache)
    reason = (
        _request_forbids(request, route)
        or (Reason.CONDITIONAL if own_conditions and not _is_whole(request, response) else None)
        or _response_forbids(response, directives, route, close_delimited)
    )
    error = _error_verdict(response.status)
    if reason is not None:  # under whatever terms
        return NotForSharing(reason, marks=_marks(request, response, reason)) if error is None else error
    terms = terms_from(response, directives, cache=route.cache, now=now)
    fresh = _fresh_on_arrival(response, terms, now) and not terms.always_revalidate
    reason = _credentials_forbid(request, terms, route)
    if error is not None and not (reason is None and fresh and terms.explicit):
        return error
    if isinstance(error, OriginFailed) and has_fallback and terms.source is LifetimeSource.NEGATIVE:
        return error
    if reason is not None:
        return NotForSharing(reason, marks=_marks(request, response, reason))
    if fresh:
        return Shareable(terms)
    store_terms = terms if _keeps(request, response, terms, route) else None
    if _for_waiting_only(request, response, directives, terms, route):
        return WaitingOnly(terms, store_terms)
    reason = _why_not_fresh(terms)
    return NotForSharing(reason, marks=_marks(request, response, reason), store_terms=store_terms)


def terms_to_store(verdict: Verdict) -> Terms | None:
    """The terms under which a response with this verdict is stored; None if it is not."""
    if isinstance(verdict, Shareable):
        return verdict.terms if verdict.store else None
    return verdict.store_terms if isinstance(verdict, WaitingOnly | NotForSharing) else None


def _is_whole(request: RequestHead, response: ResponseHead) -> bool:
    return response.status == 200 and b"range" not in request.fields


def _error_verdict(status: int) -> AboutLeader | OriginFailed | None:
    """What an error answer means to those who wait, unless it is explicitly fresh and for sharing.

    Asked before the reasons against sharing: error pages tend to say `no-store`, and releasing a herd in
    parallel on an origin that just failed would finish it.
    """
    if status in ABOUT_THE_LEADER:
        return AboutLeader(status)
    return OriginFailed(status) if status >= 500 else None


def _request_forbids(request: RequestHead, route: RouteSettings) -> Reason | None:
    if not route.cache.enabled:
        return Reason.CACHE_DISABLED
    if request.method != "GET":
        return Reason.METHOD
    if RequestDirectives.parse(request.fields).no_store:
        return Reason.REQUEST_NO_STORE
    return Reason.BYPASS if _passed_through(request, route) else None


def _response_forbids(
    response: ResponseHead, directives: ResponseDirectives, route: RouteSettings, close_delimited: bool
) -> Reason | None:
    """What in the response forbids sharing, whoever asked for it."""
    if not _status_allows(response.status, directives):
        return Reason.STATUS
    choices = choices_of(route.cache)
    if directives.no_store and not _overruled(response.status, directives, choices):
        return Reason.NO_STORE
    if directives.private:
        return Reason.PRIVATE
    if directives.malformed and choices.malformed_forbids:
        return Reason.MALFORMED
    if _set_cookie_forbids(response, route):
        return Reason.SET_COOKIE
    if vary_names(response) is None:
        return Reason.VARY_STAR
    if _is_event_stream(response):
        return Reason.EVENT_STREAM
    return Reason.UNKNOWN_LENGTH_CLOSE if close_delimited else None


def _status_allows(status: int, directives: ResponseDirectives) -> bool:
    if status < 200 or status in (206, 304):
        return False
    return not directives.must_understand or status in UNDERSTOOD_STATUSES


def _overruled(status: int, directives: ResponseDirectives, choices: Choices) -> bool:
    """Whether `must-understand` takes the place of `no-store` (RFC 9111 §5.2.2.3)."""
    understood = directives.must_understand and status in UNDERSTOOD_STATUSES
    return understood and not choices.no_store_outweighs_must_understand


def _set_cookie_forbids(response: ResponseHead, route: RouteSettings) -> bool:
    if b"set-cookie" not in response.fields or route.set_cookie is not SetCookieRule.PRIVATE:
        return False
    return choices_of(route.cache).set_cookie_forbids


def _is_event_stream(response: ResponseHead) -> bool:
    media_type = (response.fields.get(b"content-type") or b"").partition(b";")[0]
    return media_type.strip(b" \t").lower() == b"text/event-stream"


def _credentials_forbid(request: RequestHead, terms: Terms, route: RouteSettings) -> Reason | None:
    """What in the credentials of a request forbids that it shares a response under these terms."""
    if b"authorization" in request.fields and not terms.with_authorization:
        return Reason.AUTHORIZATION
    if terms.source is not LifetimeSource.HEURISTIC or not _has_cookie(request, route):
        return None
    return Reason.COOKIE_HEURISTIC if choices_of(route.cache).cookie_needs_explicit_lifetime else None


def _has_cookie(request: RequestHead, route: RouteSettings) -> bool:
    """Whether the answer may depend on the request's cookies; not if the origin never sees them."""
    return route.cookies is not CookieRule.STRIP and b"cookie" in request.fields


def _passed_through(request: RequestHead, route: RouteSettings) -> bool:
    if route.cookies is CookieRule.BYPASS and b"cookie" in request.fields:
        return True
    return is_bypassed(request, rules=route.bypass)


def _fresh_on_arrival(response: ResponseHead, terms: Terms, now: float) -> bool:
    """Whether those who wait may have it without validation.

    An answer within its grace counts: a tier behind us that serves stale while it revalidates sends such
    ones, and turning its herd loose on it would undo the coalescing of both tiers.
    """
    if terms.lifetime_s <= 0:
        return False
    return initial_age_s(response, requested_at=now, received_at=now) < terms.lifetime_s + terms.grace_s


def _keeps(request: RequestHead, response: ResponseHead, terms: Terms, route: RouteSettings) -> bool:
    """Whether a response that is not fresh is stored, to be validated before each use."""
    if not (terms.explicit or terms.always_revalidate) or not has_validator(response):
        return False
    return _lifetime_zero_forbids(request, terms, route) is None


def _for_waiting_only(
    request: RequestHead,
    response: ResponseHead,
    directives: ResponseDirectives,
    terms: Terms,
    route: RouteSettings,
) -> bool:
    """Stale when it came, and yet nothing that could make the answer anybody's own (D3).

    With an explicit lifetime above 0 it is for sharing, only too old: an origin whose clock runs behind by
    more than a short max-age, a playlist's second, say, would otherwise turn every herd loose on itself.
    With lifetime 0 the origin must have said more than that.
    """
    if not terms.explicit or terms.always_revalidate:
        return False
    if not choices_of(route.cache).shares_stale_on_arrival:
        return False
    if terms.lifetime_s > 0:
        return True
    if directives.forbids_stale:
        return False
    if not (directives.public or route.cache.share_lifetime_zero):
        return False
    if b"set-cookie" in response.fields:
        return False
    return b"authorization" not in request.fields and not _has_cookie(request, route)


def _why_not_fresh(terms: Terms) -> Reason:
    if terms.always_revalidate:
        return Reason.NO_CACHE
    return Reason.LIFETIME_ZERO if terms.explicit else Reason.NO_FRESHNESS


_ABOUT_THE_REQUEST = frozenset(
    {
        Reason.METHOD,
        Reason.REQUEST_NO_STORE,
        Reason.CONDITIONAL,
        Reason.BYPASS,
        Reason.CACHE_DISABLED,
        Reason.AUTHORIZATION,
    }
)


def _marks(request: RequestHead, response: ResponseHead, reason: Reason) -> bool:
    """Whether what was learned holds for the next requests for the key.

    Errors pass, and what is due to one request says nothing of others: either would be a lever with
    which one client undoes the coalescing of a key. So would a 206 or a 304: only a request that goes alone
    carries its client's own Range and conditions.
    """
    if response.status >= 400 or response.status in (206, 304) or b"authorization" in request.fields:
        return False
    return reason not in _ABOUT_THE_REQUEST


def holds_for(reason: Reason, request: RequestHead, *, route: RouteSettings) -> bool:
    """Whether an answer that was not for sharing for this reason tells the same of the request.

    A cookie beside a guessed lifetime is the asker's alone: those without Cookie share what they get, and if
    one client's cookie sent them to the origin each, it would be a lever with which to undo the coalescing.
    """
    return reason is not Reason.COOKIE_HEURISTIC or _has_cookie(request, route)


def may_take(
    request: RequestHead, response: ResponseHead, terms: Terms, *, route: RouteSettings
) -> Reason | None:
    """Whether this request may get a response that was judged shareable or was stored; None if it may.

    Freshness is not asked here, nor whether the request has a body: with one, do not even ask. A request
    with `no-store` may: RFC 9111 §5.2.1.5 forbids storing, not answering from what is stored. (It joins
    nothing, see `may_join`.)
    """
    if request.method not in ("GET", "HEAD"):
        return Reason.METHOD
    if not route.cache.enabled:
        return Reason.CACHE_DISABLED
    if _set_cookie_forbids(response, route):
        return Reason.SET_COOKIE
    if _passed_through(request, route):
        return Reason.BYPASS
    return _credentials_forbid(request, terms, route) or _lifetime_zero_forbids(request, terms, route)


def _lifetime_zero_forbids(request: RequestHead, terms: Terms, route: RouteSettings) -> Reason | None:
    if terms.lifetime_s > 0 and not terms.always_revalidate:
        return None
    if b"authorization" in request.fields:
        return Reason.AUTHORIZATION
    return Reason.COOKIE_LIFETIME_ZERO if _has_cookie(request, route) else None


class JoinRefusal(StrEnum):
    """Why a request neither leads nor joins a flight."""

    METHOD = "method"
    BODY = "body"
    CACHE_DISABLED = "cache-disabled"
    UPGRADE = "upgrade"
    BYPASS = "bypass"
    COOKIE = "cookie"
    """The route passes requests with Cookie through."""
    NO_STORE = "no-store"
    """The client wants nothing of it stored; an answer that is shared is in memory for others."""
    AUTHORIZATION = "authorization"
    """Unless what is known of the key allows it: ask `may_take` with what is stored."""


def may_join(request: RequestHead, *, route: RouteSettings, has_body: bool) -> JoinRefusal | None:
    """Whether a request may lead or join a flight; None if it may.

    AUTHORIZATION comes last: where it is the answer, nothing else is against it.
    """
    if request.method not in ("GET", "HEAD"):
        return JoinRefusal.METHOD
    if has_body:
        return JoinRefusal.BODY
    if not route.cache.enabled:
        return JoinRefusal.CACHE_DISABLED
    if passed_upgrade(request, route=route) is not None:
        return JoinRefusal.UPGRADE
    if route.cookies is CookieRule.BYPASS and b"cookie" in request.fields:
        return JoinRefusal.COOKIE
    if is_bypassed(request, rules=route.bypass):
        return JoinRefusal.BYPASS
    if RequestDirectives.parse(request.fields).no_store:
        return JoinRefusal.NO_STORE
    return JoinRefusal.AUTHORIZATION if b"authorization" in request.fields else None
