"""Under which terms a stored response may be used: decided once, when it comes.

An entry keeps its terms, so that a hit parses no header field.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from proxy.config.settings import RouteCacheSettings
from proxy.http.messages import ResponseHead
from proxy.policy.cache_control import ResponseDirectives
from proxy.policy.freshness import LifetimeSource, freshness_lifetime
from proxy.policy.profile import choices_of
from proxy.policy.targeted import response_directives


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a response is fresh, how far past that it may be served, and to whom.

    All three windows past freshness are 0 where the response forbids stale (RFC 9111 §4.2.4):
    `grace_s` while a revalidation runs behind it, `stale_if_error_s` when the origin fails, `max_stale_s`
    when the client itself asks for stale. `always_revalidate` is `no-cache`: never used unless validated.
    `with_authorization` says that requests with Authorization may share it (§3.5).
    """

    lifetime_s: float
    source: LifetimeSource
    grace_s: float = 0.0
    stale_if_error_s: float = 0.0
    max_stale_s: float = 0.0
    always_revalidate: bool = False
    with_authorization: bool = False

    @property
    def explicit(self) -> bool:
        """Whether the lifetime was given, not guessed."""
        return self.source.explicit


@lru_cache(maxsize=1024)
def shared_terms(terms: Terms) -> Terms:
    """Terms equal to these, to be kept: the same object for all who have such, mostly."""
    return terms


def terms_of(response: ResponseHead, *, cache: RouteCacheSettings, now: float) -> Terms:
    """The terms of a response that came at `now`; whether it may be shared is asked of `sharing.judge`."""
    return terms_from(response, response_directives(response.fields, cache=cache), cache=cache, now=now)


def terms_from(
    response: ResponseHead, directives: ResponseDirectives, *, cache: RouteCacheSettings, now: float
) -> Terms:
    """The same, for callers that have parsed the directives."""
    lifetime = freshness_lifetime(response, directives, cache=cache, now=now)
    cap_s = 0.0 if directives.forbids_stale else cache.max_stale_s
    # A departure: s-maxage forbids stale (§5.2.2.10), but origins that say `s-maxage=60,
    # stale-while-revalidate=600` in one breath (Next.js does by default) mean what they say.
    offered = choices_of(cache).offered_stale_outweighs_s_maxage
    forbids_offered = directives.forbids_stale_in_words if offered else directives.forbids_stale
    said_cap_s = 0.0 if forbids_offered else cache.max_stale_s
    # a short lifetime for errors is meant to be short: only the answer itself can prolong it
    of_error = lifetime.source is LifetimeSource.NEGATIVE
    grace_s, stale_if_error_s = (0.0, 0.0) if of_error else (cache.grace_s, cache.stale_if_error_s)
    return Terms(
        lifetime_s=lifetime.seconds,
        source=lifetime.source,
        grace_s=_window(directives.stale_while_revalidate, grace_s, said_cap_s, cap_s),
        stale_if_error_s=_window(directives.stale_if_error, stale_if_error_s, said_cap_s, cap_s),
        max_stale_s=cap_s,
        always_revalidate=directives.no_cache,
        with_authorization=directives.public or directives.must_revalidate or directives.s_maxage is not None,
    )


def _window(said: int | None, configured_s: float, said_cap_s: float, configured_cap_s: float) -> float:
    return min(configured_s, configured_cap_s) if said is None else min(said, said_cap_s)
