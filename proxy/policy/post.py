"""Answers to POST that later GETs may have: those that say so in every respect (RFC 9110 §9.3.3)."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from proxy.config.settings import RouteSettings
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.bypass import is_bypassed
from proxy.policy.forwarding import names_another_target
from proxy.policy.invalidation import same_origin_target
from proxy.policy.rewriting import forward_target
from proxy.policy.sharing import Reason, Shareable, judge


class PostRefusal(StrEnum):
    """Why the answer to a POST is not one to a GET."""

    METHOD = "method"
    STATUS = "status"
    LOCATION = "content-location"
    """Its Content-Location is absent or names something else than the target."""
    NOT_EXPLICIT = "not-explicit"
    """No explicit lifetime, or one that is over."""
    CREDENTIALS = "credentials"
    """The request had Cookie or Authorization: what it sent in its body is its own."""
    BYPASS = "bypass"
    """By a rule of the route."""
    OTHER_TARGET = "other-target"
    """A GET would be forwarded otherwise: less a parameter, or a field that names another target."""
    FORBIDDEN = "forbidden"
    """As the answer to a GET it would not be shared either."""


def may_store_post(
    request: RequestHead, response: ResponseHead, *, route: RouteSettings, now: float
) -> PostRefusal | None:
    """Whether a successful answer to a POST may be stored as the one to a GET of its target; None if so.

    It must have an explicit lifetime that is not over, and a Content-Location that is the POST's own
    target: then it says itself that a GET would bring the same. Stricter than the RFC, which has no word
    on credentials: a body may be anybody's.

    Source: RFC 9110 §9.3.3, RFC 9111 §3.
    """
    if request.method != "POST":
        return PostRefusal.METHOD
    if response.status not in (200, 203):
        return PostRefusal.STATUS
    locations = response.fields.get_all(b"content-location")
    if len(locations) != 1 or same_origin_target(request, locations[0]) != request.target:
        return PostRefusal.LOCATION
    if b"cookie" in request.fields or b"authorization" in request.fields:
        return PostRefusal.CREDENTIALS
    if is_bypassed(request, rules=route.bypass):
        return PostRefusal.BYPASS
    as_get = replace(request, method="GET")
    forwarded_alike = forward_target(as_get, route=route) == forward_target(request, route=route)
    if names_another_target(request) or not forwarded_alike:
        return PostRefusal.OTHER_TARGET
    return _may_store_get(as_get, response, route=route, now=now)


def _may_store_get(
    as_get: RequestHead, response: ResponseHead, *, route: RouteSettings, now: float
) -> PostRefusal | None:
    verdict = judge(as_get, response, route=route, now=now)
    if isinstance(verdict, Shareable):
        return None if verdict.terms.explicit else PostRefusal.NOT_EXPLICIT
    reason = getattr(verdict, "reason", None)
    no_lifetime = reason in (Reason.NO_FRESHNESS, Reason.LIFETIME_ZERO, None)
    return PostRefusal.NOT_EXPLICIT if no_lifetime else PostRefusal.FORBIDDEN
