"""What the head of a flight's answer tells of its key: which variants and targets it has, marks, tags.

Later requests are placed by what is learnt here, so an answer that says nothing of what the shared ones
are like (an error page, an answer for one client) teaches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.cache.cache import ResponseCache
from proxy.coalesce.plan import FlightPlan
from proxy.http.messages import ResponseHead
from proxy.policy.key_parts import key_under, whole_key
from proxy.policy.keys import CacheKey, Variant, variant_of, vary_names
from proxy.policy.no_vary_search import DEFAULT, SearchVariance, search_variance
from proxy.policy.partial import representation_of, slice_label
from proxy.policy.purges import LABEL_FIELDS, NO_LABELS, labels_of
from proxy.policy.sharing import AboutLeader, NotForSharing, OriginFailed, Shareable, Verdict, WaitingOnly
from proxy.policy.surrogate_keys import uri_origin
from proxy.policy.terms import Terms


@dataclass(slots=True)
class Learnt:
    """Where an answer belongs, and under which terms its body is to be stored; None if it is not."""

    key: CacheKey
    variant: Variant
    varies_on: tuple[bytes, ...] = ()
    search: SearchVariance = DEFAULT
    tags: frozenset[bytes] = frozenset()
    terms: Terms | None = None


def learn(plan: FlightPlan, head: ResponseHead, verdict: Verdict, *, cache: ResponseCache) -> Learnt:
    """What this head tells; the cache remembers of it what concerns later requests."""
    key, variant, search = _key_asked(plan.key, plan, head, verdict), plan.variant, DEFAULT
    varies_on: tuple[bytes, ...] = ()
    names = vary_names(head)
    if names is not None and _tells_of_the_key(verdict):
        search = search_variance(head.fields)
        key = _learn_search(plan, head, verdict, search, cache=cache)
        varies_on, variant = names, variant_of(names, plan.request)
        cache.keys.learn_varies_on(key, names)
        if plan.slice is not None:
            cache.keys.learn_varies_on(whole_key(key), names)
    return Learnt(
        key=key,
        variant=variant,
        varies_on=varies_on,
        search=search,
        tags=_labels(key, plan, head),
        terms=_admitted(plan, _learn_mark(plan, key, variant, verdict, cache=cache), cache=cache),
    )


def _key_asked(key: CacheKey, plan: FlightPlan, head: ResponseHead, verdict: Verdict) -> CacheKey:
    """The key, or that of the whole if a slice was asked for and the answer is none that can be used."""
    if plan.slice is None or (head.status == 206 and not isinstance(verdict, NotForSharing)):
        return key
    return key if isinstance(verdict, (AboutLeader, OriginFailed)) else whole_key(key)


def _labels(key: CacheKey, plan: FlightPlan, head: ResponseHead) -> frozenset[bytes]:
    labels = NO_LABELS
    if not LABEL_FIELDS.isdisjoint(head.fields.names()):
        labels = labels_of(head.fields, origin=uri_origin(plan.request))
    representation = representation_of(head) if head.status == 206 else None
    return labels if representation is None else labels | {slice_label(whole_key(key), representation)}


def _tells_of_the_key(verdict: Verdict) -> bool:
    """Whether the answer says what the key varies on.

    An error page, or an answer for one client, says nothing of what the shared answers vary on: if it
    counted, what is stored could not be found any more, just when the origin fails.
    """
    if isinstance(verdict, (AboutLeader, OriginFailed)):
        return False
    return not isinstance(verdict, NotForSharing) or verdict.store_terms is not None


def _learn_search(
    plan: FlightPlan, head: ResponseHead, verdict: Verdict, search: SearchVariance, *, cache: ResponseCache
) -> CacheKey:
    """Which targets the answer is for, by its own word; errors say nothing of what others vary on."""
    target_key = _key_asked(plan.target_key or plan.key, plan, head, verdict)
    if head.status < 400:
        cache.keys.learn_search(target_key, search)
    return key_under(target_key, search)


def _learn_mark(
    plan: FlightPlan, key: CacheKey, variant: Variant, verdict: Verdict, *, cache: ResponseCache
) -> Terms | None:
    """Whether anybody should wait for this key; the terms under which the verdict lets it be stored."""
    match verdict:
        case Shareable(terms=terms, store=store):
            cache.keys.clear_mark(key, variant)
            return terms if store else None
        case WaitingOnly(store_terms=store_terms):
            return store_terms
        case NotForSharing(reason=reason, marks=marks, store_terms=store_terms):
            if marks:
                for_s = plan.route.coalesce.not_shareable_for_s
                cache.keys.mark_not_shareable(key, variant, reason, for_s=for_s)
            return store_terms if plan.slice is None else None  # it has the key of the whole
        case _:
            return None


def _admitted(plan: FlightPlan, terms: Terms | None, *, cache: ResponseCache) -> Terms | None:
    """The terms, if the key was asked for often enough; what is freshened is stored already."""
    if plan.validating.entries or cache.admission.admits(plan.key, min_uses=plan.route.cache.min_uses):
        return terms
    return None
