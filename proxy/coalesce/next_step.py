"""What becomes of a request next, given what is stored and which flights run; decided, not done.

    on disk? ── Recall (then look again)
    look up ── Serve (fresh, or stale within grace)
       │  └─── Refuse (only-if-cached)
       └ a flight? ── WaitBehind (it began too early for this request)
            ├──────── Join
            ├──────── StaleOr (the origin is down, too many wait)
            └ none ── Lead, or Pass (a HEAD brings no body to share)

Nothing here starts, joins, counts or forgets anything: the coalescer does what is decided, in the same step,
and `explain` tells it. Both ask these functions, so that what is told is what is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, assert_never

from proxy.cache.entry import Entry
from proxy.coalesce.answer import Outcome
from proxy.coalesce.ask import Ask, Wait
from proxy.coalesce.flight import Flight, State
from proxy.coalesce.flights import Flights
from proxy.errors import FlightFailed, NotStored, ProxyError, RefusedError
from proxy.http.messages import RequestHead
from proxy.policy.cache_status import ForwardReason
from proxy.policy.decide import Decision, Forward, OnlyIfCached, ServeStored, decide, may_serve_stale_on_error
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.ranges import RangeSpec, parse_range
from proxy.policy.sharing import Reason, holds_for, may_take

MAX_REGROUPS = 3
"""After this many times an exchange stops looking for company: an origin whose `Vary` changes with each
answer must not keep a client from ever being answered."""


class Stored(Protocol):
    """What is asked of the cache: `ResponseCache`, or its `Glance`."""

    def variant_of(self, key: CacheKey, request: RequestHead) -> Variant: ...
    def get(self, key: CacheKey, variant: Variant) -> Entry | None: ...
    def may_recall(self, key: CacheKey, request: RequestHead) -> bool: ...
    def not_shareable(self, key: CacheKey, variant: Variant) -> Reason | None: ...
    def unreachable(self, key: CacheKey) -> str | None: ...


@dataclass(slots=True)
class Look:
    """The request goes to the origin, with or behind others: what is known of it."""

    variant: Variant
    entry: Entry | None
    reason: ForwardReason
    revalidate: bool


@dataclass(frozen=True, slots=True)
class Serve:
    """Answer with this entry; `behind`: it is stale, and to be validated behind the answer."""

    variant: Variant
    entry: Entry
    behind: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with this error."""

    error: ProxyError


@dataclass(frozen=True, slots=True)
class StaleOr:
    """Answer with what is stored, where the rules allow it stale for this reason; else with the error."""

    error: ProxyError


@dataclass(frozen=True, slots=True)
class Recall:
    """The disk may have it: read it, and look again."""


@dataclass(frozen=True, slots=True)
class WaitBehind:
    """A flight that began too early for this request is still asking: look again when its head is there."""

    flight: Flight


@dataclass(slots=True)
class Join:
    """Take a waiter's seat in this flight."""

    flight: Flight
    look: Look


@dataclass(frozen=True, slots=True)
class Pass:
    """Pass the request through."""

    reason: ForwardReason
    outcome: Outcome


@dataclass(slots=True)
class Lead:
    """Start a flight; others may join it, if `joinable`."""

    look: Look
    joinable: bool


Step = Recall | Serve | Refuse | StaleOr | WaitBehind | Join | Pass | Lead


def next_step(ask: Ask, wait: Wait, *, stored: Stored, flights: Flights, now_mono: float) -> Step:
    """The step of a request that has waited so far."""
    if not wait.recalled and stored.may_recall(ask.key, ask.request):
        return Recall()
    look = look_up(ask, stored=stored, now_mono=now_mono)
    if not isinstance(look, Look):
        return look
    step = _company(ask, look, wait, stored, flights)
    if step is not None:
        return step
    if ask.request.method == "HEAD":
        return Pass(look.reason, Outcome.RELEASED if wait.regroups else Outcome.PASSED)
    joinable = (
        ask.route.coalesce.enabled
        and not ask.with_authorization
        and wait.regroups <= MAX_REGROUPS
        and not _marked(ask, look.variant, stored)
        and range_is_near(ask, received_bytes=0)
    )
    return Lead(look, joinable)


def _marked(ask: Ask, variant: Variant, stored: Stored) -> bool:
    """Whether an answer was not for sharing a moment ago, for a reason that holds for this request, too."""
    reason = stored.not_shareable(ask.key, variant)
    return reason is not None and holds_for(reason, ask.request, route=ask.route)


def look_up(ask: Ask, *, stored: Stored, now_mono: float) -> Serve | Refuse | Look:
    """What is stored for the request, and whether that answers it."""
    variant = stored.variant_of(ask.key, ask.request)
    entry = stored.get(ask.key, variant)
    miss = ForwardReason.VARY_MISS if variant else ForwardReason.URI_MISS
    if entry is not None and may_take(ask.request, entry.head, entry.terms, route=ask.route) is not None:
        entry, miss = None, ForwardReason.REQUEST
    decision: Decision = decide(
        ask.directives,
        None if entry is None else entry.terms,
        age_s=0.0 if entry is None else entry.decisive_age_s(now_mono),
        honour_no_cache=ask.route.cache.honour_no_cache,
        miss=miss,
    )
    match decision:
        case ServeStored(revalidate_behind=behind):
            assert entry is not None, "decided to serve what is not stored"
            return Serve(variant, entry, behind)
        case OnlyIfCached():
            return Refuse(NotStored("only-if-cached was asked for, and nothing stored may answer it"))
        case Forward(reason=reason, revalidate=revalidate):
            return Look(variant, entry, reason, revalidate)
        case never:
            assert_never(never)


def _company(
    ask: Ask, look: Look, wait: Wait, stored: Stored, flights: Flights
) -> Join | WaitBehind | StaleOr | None:
    """A flight to join or to wait for, or stale instead of either; None if there is nothing to wait for."""
    coalesce = ask.route.coalesce
    flight = flights.find(ask.key, look.variant) if coalesce.enabled else None
    if flight is not None and demands_newer(ask) and flight.started_mono <= wait.arrived_mono:
        if flight.state is State.ASKING and wait.regroups < MAX_REGROUPS and not ask.with_authorization:
            return WaitBehind(flight)
        flight = None
    down = stored.unreachable(ask.key)
    if down is not None:
        return StaleOr(FlightFailed(f"the origin could not be reached a moment ago: {down}"))
    if flight is not None and _may_join(ask, look, flight) and wait.regroups <= MAX_REGROUPS:
        if flight.seats > coalesce.max_waiters:
            told = f"{coalesce.max_waiters} requests wait for this resource already"
            return StaleOr(RefusedError(told))
        return Join(flight, look)
    return None


def _may_join(ask: Ask, look: Look, flight: Flight) -> bool:
    known_to_allow = look.entry is not None and look.entry.terms.with_authorization
    if ask.with_authorization and flight.state is State.ASKING and not known_to_allow:
        return False
    if _is_too_old(ask, flight):
        return False
    return flight.accepts(ask.request) and range_is_near(ask, received_bytes=flight.body.received_bytes)


def _is_too_old(ask: Ask, flight: Flight) -> bool:
    """Whether the client wants no answer of the age that the flight's has by now (RFC 9111 §5.2.1)."""
    terms = flight.offered_terms
    if terms is None or demands_newer(ask):  # that is a matter of when the flight began
        return False
    decision = decide(
        ask.directives, terms, age_s=flight.age_s, honour_no_cache=ask.route.cache.honour_no_cache
    )
    return not isinstance(decision, ServeStored)


def stale_entry(ask: Ask, *, stored: Stored, now_mono: float) -> Entry | None:
    """What is stored, where the rules allow it stale because the origin fails (RFC 9111 §4.2.4).

    It may be fresh by now: a released waiter's own request may have stored it.
    """
    entry = stored.get(ask.key, stored.variant_of(ask.key, ask.request))
    if entry is None or may_take(ask.request, entry.head, entry.terms, route=ask.route) is not None:
        return None
    age_s = entry.decisive_age_s(now_mono)
    honour_no_cache = ask.route.cache.honour_no_cache
    if not may_serve_stale_on_error(entry.terms, age_s, ask.directives, honour_no_cache=honour_no_cache):
        return None
    return entry


def needs_the_whole(request: RequestHead) -> bool:
    """Whether it asks for several ranges: those are cut out of what is stored, not out of a running fill."""
    specs = _ranges(request)
    return specs is not None and len(specs) > 1


def range_is_near(ask: Ask, *, received_bytes: int) -> bool:
    """Whether a flight for the whole object will soon have what the request wants of it."""
    first = _first_octet(ask.request)
    if first is None:
        return True
    return 0 <= first <= received_bytes + ask.route.coalesce.range_ahead_bytes


def demands_newer(ask: Ask) -> bool:
    """Whether the client wants no answer that was asked for before it came."""
    directives = ask.directives
    return ask.route.cache.honour_no_cache and (directives.no_cache or directives.max_age == 0)


def _first_octet(request: RequestHead) -> int | None:
    """Where a single range begins; -1 if it counts from the end, None if the whole is wanted."""
    specs = _ranges(request)
    if specs is None or len(specs) != 1:
        return None
    return -1 if specs[0].first is None else specs[0].first


def _ranges(request: RequestHead) -> tuple[RangeSpec, ...] | None:
    values = request.fields.get_all(b"range")
    return parse_range(values[0]) if len(values) == 1 else None
