"""How a request is answered, given what is stored for it (RFC 9111 §4, §5.2.1; RFC 5861)."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.policy.cache_control import RequestDirectives
from proxy.policy.cache_status import ForwardReason
from proxy.policy.terms import Terms


@dataclass(frozen=True, slots=True)
class ServeStored:
    """Answer from what is stored, and start a revalidation behind it if `revalidate_behind`."""

    revalidate_behind: bool = False


@dataclass(frozen=True, slots=True)
class Forward:
    """Ask the origin, with the stored validators if `revalidate`."""

    reason: ForwardReason
    revalidate: bool = False


@dataclass(frozen=True, slots=True)
class OnlyIfCached:
    """The client wants no forward request and nothing stored will do: 504 (RFC 9111 §5.2.1.7)."""


Decision = ServeStored | Forward | OnlyIfCached


def decide(
    directives: RequestDirectives,
    terms: Terms | None,
    *,
    age_s: float = 0.0,
    honour_no_cache: bool = True,
    miss: ForwardReason = ForwardReason.URI_MISS,
) -> Decision:
    """Choose how to answer a request.

    `terms` and `age_s`, its current age, are those of the stored response that matches the request and
    that `sharing.may_take` lets it have; None if there is none, and then `miss` says why. With
    `honour_no_cache` off a client's no-cache, max-age and min-fresh force nothing: all three are the same
    lever on the origin.
    """
    decision = _decide(directives, terms, age_s, honour_no_cache, miss)
    if directives.only_if_cached and isinstance(decision, Forward):
        return OnlyIfCached()
    return decision


def _decide(
    directives: RequestDirectives,
    terms: Terms | None,
    age_s: float,
    honour_no_cache: bool,
    miss: ForwardReason,
) -> Decision:
    if terms is None:
        return Forward(miss)
    refused = honour_no_cache and _refuses(directives, terms, age_s)
    if is_fresh(terms, age_s):
        return Forward(ForwardReason.REQUEST, revalidate=True) if refused else ServeStored()
    if refused or (honour_no_cache and _refuses_stale(directives)):
        return Forward(ForwardReason.STALE, revalidate=True)
    return _decide_stale(directives, terms, age_s - terms.lifetime_s)


def _decide_stale(directives: RequestDirectives, terms: Terms, staleness_s: float) -> Decision:
    if terms.always_revalidate:
        return Forward(ForwardReason.STALE, revalidate=True)
    if staleness_s < terms.grace_s:
        return ServeStored(revalidate_behind=True)
    if directives.max_stale is not None and staleness_s < min(directives.max_stale, terms.max_stale_s):
        return ServeStored()
    return Forward(ForwardReason.STALE, revalidate=True)


def is_fresh(terms: Terms, age_s: float) -> bool:
    """Whether it may be used without validation at this age (RFC 9111 §4.2)."""
    return age_s < terms.lifetime_s and not terms.always_revalidate


def _refuses(directives: RequestDirectives, terms: Terms, age_s: float) -> bool:
    """Whether the client does not want a response of this age without validation."""
    if directives.no_cache:
        return True
    if directives.max_age is not None and age_s > directives.max_age:
        return True
    return directives.min_fresh is not None and terms.lifetime_s - age_s < directives.min_fresh


def _refuses_stale(directives: RequestDirectives) -> bool:
    """With max-age but no max-stale the client wants nothing stale, however young (RFC 9111 §5.2.1.1)."""
    return directives.max_age is not None and directives.max_stale is None


def may_serve_stale_on_error(
    terms: Terms, age_s: float, directives: RequestDirectives, *, honour_no_cache: bool = True
) -> bool:
    """Whether what is stored stands in for an answer that the origin failed to give.

    `max-age` and `min-fresh` of the request are not asked: stale-if-error holds "regardless of other
    freshness information" (RFC 5861 §4). `no-cache` is, as it asks for validation, not for freshness.
    A client's own stale-if-error narrows the window and never widens it.
    """
    if terms.always_revalidate or (honour_no_cache and directives.no_cache):
        return False
    window_s = terms.stale_if_error_s
    if directives.stale_if_error is not None:
        window_s = min(window_s, directives.stale_if_error)
    staleness_s = age_s - terms.lifetime_s
    return staleness_s < window_s or staleness_s < 0
