"""What a request would get, in a word and a sentence: from the step that it would take."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from proxy.cache.entry import Entry
from proxy.coalesce.ask import Ask
from proxy.coalesce.next_step import (
    Join,
    Lead,
    Look,
    Pass,
    Recall,
    Refuse,
    Serve,
    StaleOr,
    Step,
    WaitBehind,
    range_is_near,
)
from proxy.errors import OriginError, ProxyError
from proxy.policy.conditional import has_validator
from proxy.policy.sharing import JoinRefusal, Reason, may_take


class Verdict(StrEnum):
    """What a request would get; the words are those of `Outcome`."""

    HIT = "hit"
    STALE = "stale"
    MISS = "miss"
    """It would ask the origin, for all that come after it."""
    COLLAPSED = "collapsed"
    """It would wait for a flight that runs."""
    WAITS = "waits"
    """It would wait for an older flight's head, and then look again."""
    PASSED = "passed"
    """It would ask the origin by itself."""
    REFUSED = "refused"
    FAILED = "failed"


PASSED_BECAUSE = {
    JoinRefusal.METHOD: "only GET and HEAD are answered from the cache",
    JoinRefusal.BODY: "a request with a body is answered by the origin alone",
    JoinRefusal.CACHE_DISABLED: "the route's cache.enabled is false",
    JoinRefusal.UPGRADE: "it asks for a protocol that the route passes through",
    JoinRefusal.BYPASS: "one of the route's bypass rules matches it",
    JoinRefusal.COOKIE: "it has a Cookie, and the route's cookies is bypass",
    JoinRefusal.NO_STORE: "it says no-store, so nothing of its answer may be kept for others",
    JoinRefusal.AUTHORIZATION: "it has an Authorization",
}
"""Why a request that neither leads nor joins is passed through."""


def _waiting(step: Recall | WaitBehind) -> str:
    if isinstance(step, Recall):
        return "memory has nothing, and the disk may: it is read first"
    return "it wants nothing older than itself, and a flight that began earlier is still asking"


def verdict_of(
    step: Step,
    ask: Ask,
    *,
    entry: Entry | None,
    stand_in: Entry | None,
    not_shareable: Reason | None,
    now_mono: float,
) -> tuple[Verdict, str, int | None]:
    """Verdict, reason, and the status of an error of our own.

    `entry` is what is stored, whether or not the request may have it, `stand_in` what would be served stale.
    """
    match step:
        case Serve(entry=served, behind=behind):
            return *_of_entry(served, behind, now_mono), None
        case Refuse(error=error):
            return *_of_error(error), error.status
        case StaleOr(error=error):
            if stand_in is None:
                return *_of_error(error), error.status
            verdict, because = _of_entry(stand_in, False, now_mono)
            return verdict, f"{error}; so {because}", None
        case Recall() | WaitBehind():
            return Verdict.WAITS, _waiting(step), None
        case Join(flight=flight):
            return (
                Verdict.COLLAPSED,
                f"{_missing(step.look, entry, ask)}, and a flight {flight.state} has it",
                None,
            )
        case Pass(reason=reason):
            return Verdict.PASSED, f"{reason}, and a HEAD brings nothing to store", None
        case Lead(look=look, joinable=joinable):
            missing = _missing(look, entry, ask)
            if joinable:
                return Verdict.MISS, missing, None
            return Verdict.PASSED, f"{missing}, and {_alone(ask, not_shareable)}", None
        case never:
            assert_never(never)


def _of_entry(entry: Entry, behind: bool, now_mono: float) -> tuple[Verdict, str]:
    ttl_s = entry.ttl_s(now_mono)
    age = f"stored {entry.current_age_s(now_mono):.0f} s old"
    if ttl_s >= 0:
        return Verdict.HIT, f"{age}, fresh for {ttl_s:.0f} s more ({entry.terms.source})"
    why = "purged softly" if entry.purged_softly else f"stale for {-ttl_s:.0f} s ({entry.terms.source})"
    what = f"within grace ({entry.terms.grace_s:g} s), one flight validates it" if behind else "allowed stale"
    return Verdict.STALE, f"{age}, {why}, {what}"


def _of_error(error: ProxyError) -> tuple[Verdict, str]:
    verdict = Verdict.FAILED if isinstance(error, OriginError) else Verdict.REFUSED
    return verdict, f"{error}, and nothing stored may stand in"


def _missing(look: Look, entry: Entry | None, ask: Ask) -> str:
    """Why what is stored does not answer it."""
    if entry is None:
        return "nothing is stored for this key" + (" and variant" if look.variant else "")
    if look.entry is None:
        refused = may_take(ask.request, entry.head, entry.terms, route=ask.route)
        return f"what is stored is not for this request ({refused})"
    validated = "validated" if has_validator(entry.head) else "fetched again, as it has no validator"
    if entry.terms.always_revalidate:
        return f"what is stored must be {validated} before each use (no-cache)"
    return f"what is stored is {_too_old(look, entry)}; it is {validated}"


def _too_old(look: Look, entry: Entry) -> str:
    if look.reason == "request":
        return "fresher than its lifetime asks, and not fresh enough for the request's Cache-Control"
    return "purged softly" if entry.purged_softly else f"stale, beyond what is allowed ({entry.terms.source})"


def _alone(ask: Ask, not_shareable: Reason | None) -> str:
    """Why a request that leads a flight has it to itself."""
    if not ask.route.coalesce.enabled:
        return "the route's coalesce.enabled is false"
    if ask.with_authorization:
        return "it has an Authorization, so nobody else waits for its answer"
    if not_shareable is not None:
        return f"the last answer was not for sharing ({not_shareable}), so nobody waits for this one"
    if not range_is_near(ask, received_bytes=0):
        return "its range begins further ahead than a fill would soon be"
    return "it was sent back too often"
