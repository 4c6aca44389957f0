"""Explains what a request would get now, and why: route, key, variant, entry, marks, flight, decision.

It asks the same functions as the way of a request does (`PreparedHeads.of_request`, `Coalescer.foresee`), and
leaves no trace: looking is no use that keeps an entry, and starts or joins nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.cache.entry import Entry
from proxy.cache.glance import Glance
from proxy.clock import Clock
from proxy.coalesce.ask import Ask
from proxy.coalesce.coalescer import Coalescer
from proxy.coalesce.flight import Flight
from proxy.coalesce.next_step import Serve
from proxy.coalesce.slicing import Slicing
from proxy.config.settings import LimitsSettings
from proxy.errors import ClientError, NotStored
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest, Origin
from proxy.policy.key_changes import key_changes
from proxy.policy.key_parts import parts_of_key
from proxy.policy.keys import CacheKey
from proxy.policy.request_checks import check_request
from proxy.policy.sharing import JoinRefusal, holds_for, may_join, may_take
from proxy.policy.target_uri import request_of_url
from proxy.server.prepared import Prepared, PreparedHeads, Unanswerable
from proxy.verdicts import PASSED_BECAUSE, Verdict, verdict_of

Facts = dict[str, object]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict, its reason, and the facts that it stands on, as JSON values; None where there are none.

    `status` is that of the answer, where it is an error of our own; `owner` tells which worker is asked for
    the key where this one has nothing.
    """

    verdict: Verdict
    because: str
    request: Facts
    status: int | None = None
    route: Facts | None = None
    key: Facts | None = None
    variant: Facts | None = None
    stored: Facts | None = None
    marks: Facts | None = None
    flight: Facts | None = None
    owner: Facts | None = None

    def document(self) -> Facts:
        """As a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


class Explainer:
    """Explains under one configuration. `schemes` are those of the listeners."""

    def __init__(
        self,
        *,
        heads: PreparedHeads,
        coalescer: Coalescer,
        slicing: Slicing,
        origins: Mapping[str, Origin],
        limits: LimitsSettings,
        schemes: frozenset[str],
        clock: Clock,
        owner_of: Callable[[CacheKey], int] | None = None,
    ) -> None:
        self._heads = heads
        self._coalescer = coalescer
        self._slicing = slicing
        self._origins = origins
        self._limits = limits
        self._schemes = schemes
        self._owner_of = owner_of
        self._clock = clock

    def explain(self, url: str, *, method: str = "GET", fields: tuple[Pair, ...] = ()) -> Explanation:
        """What a client would get that asks for this now. Raises: ClientError if the URL is none."""
        asked = request_of_url(url, method=method)
        scheme = asked.scheme
        if scheme not in self._schemes:
            (scheme,) = self._schemes  # TLS ends before us
        told: Facts = {
            "method": method,
            "url": f"{scheme}://{asked.authority.decode()}{asked.target.decode()}",
        }
        try:
            request = self._checked(asked, scheme, fields)
        except ClientError as error:
            return Explanation(Verdict.REFUSED, str(error), told, error.status)
        prepared = self._heads.of_request(request, trusted=False)
        if isinstance(prepared, Unanswerable):
            return Explanation(Verdict.REFUSED, str(prepared.error), told, prepared.error.status)
        route: Facts = {"name": prepared.route.name, "origin": prepared.route.settings.origin}
        key = prepared.key
        refusal = may_join(request, route=prepared.route.settings, has_body=_has_body(request))
        if request.method == "PURGE" or key is None or refusal not in (None, JoinRefusal.AUTHORIZATION):
            return _passed(told, route, request, refusal)
        return self._of_shared(told, route, prepared, key)

    def _checked(self, asked: RequestHead, scheme: str, fields: tuple[Pair, ...]) -> RequestHead:
        host = () if any(name.lower() == b"host" for name, _ in fields) else ((b"Host", asked.authority),)
        return check_request(
            asked.method, asked.target, (1, 1), Fields((*host, *fields)), scheme=scheme, limits=self._limits
        )

    def _of_shared(self, told: Facts, route: Facts, prepared: Prepared, key: CacheKey) -> Explanation:
        whole_ask = self._ask(prepared, key)
        ask = self._slicing.foreseen(whole_ask)
        step, stand_in = self._coalescer.foresee(ask)
        glance, now_mono = self._coalescer.cache.glance(), self._clock.mono()
        ask = ask.placed(glance)
        key = ask.key
        variant = glance.variant_of(key, ask.request)
        entry = glance.get(key, variant)
        flight = self._coalescer.running(ask)
        not_shareable = glance.not_shareable(key, variant)
        if not_shareable is not None and not holds_for(not_shareable, ask.request, route=ask.route):
            not_shareable = None
        verdict, because, status = verdict_of(
            step, ask, entry=entry, stand_in=stand_in, not_shareable=not_shareable, now_mono=now_mono
        )
        if entry is not None and isinstance(step, Serve) and self._lacks_slices(whole_ask, ask, entry):
            verdict, because = Verdict.MISS, f"of what it wants only some slices are stored; {because}"
            if ask.directives.only_if_cached:
                verdict, status = Verdict.REFUSED, NotStored.status
        return Explanation(
            verdict,
            because,
            told,
            status,
            route=route,
            key=_key_facts(prepared, key),
            variant=_variant_facts(glance, key, variant, entry),
            stored=None if entry is None else _stored_facts(entry, ask, now_mono),
            marks={"not_shareable": not_shareable, "unreachable": glance.unreachable(key)},
            flight=None if flight is None else _flight_facts(flight, ask, now_mono),
            owner=None if self._owner_of is None else {"slot": self._owner_of(key)},
        )

    def _lacks_slices(self, whole_ask: Ask, ask: Ask, first: Entry) -> bool:
        return ask.slice is not None and self._slicing.lacks(whole_ask, first, ask.slice.number)

    def _ask(self, prepared: Prepared, key: CacheKey) -> Ask:
        route = prepared.route.settings

        def forward(*, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
            raise AssertionError("an explanation asks no origin")

        return Ask(
            key=key,
            request=prepared.seen,
            directives=prepared.directives,
            route=route,
            origin=self._origins[route.origin],
            forward=forward,
            with_authorization=prepared.refusal is JoinRefusal.AUTHORIZATION,
        )


def _has_body(request: RequestHead) -> bool:
    length = request.fields.get(b"content-length")
    return b"transfer-encoding" in request.fields or (length is not None and int(length) > 0)


def _passed(told: Facts, route: Facts, request: RequestHead, refusal: JoinRefusal | None) -> Explanation:
    if request.method == "PURGE":
        because = "PURGE is answered here, as the route's purge says, and by no origin"
        return Explanation(Verdict.REFUSED, because, told, route=route)
    because = PASSED_BECAUSE[refusal] if refusal is not None else "it can be shared with nobody"
    return Explanation(Verdict.PASSED, because, told, route=route)


# facts


def _key_facts(prepared: Prepared, key: CacheKey) -> Facts:
    parts = parts_of_key(key)
    changes = key_changes(prepared.request, prepared.seen, parts, route=prepared.route.settings)
    return {
        "url": _text(parts.url),
        "route": _text(parts.route),
        "fields": {_text(name): _text_or_none(value) for name, value in parts.fields},
        "cookies": {_text(name): [_text(value) for value in values] for name, values in parts.cookies},
        "cookie_lines": [_text(line) for line in parts.cookie_lines],
        "changed": list(changes),
        "slice": None if parts.slice is None else {"number": parts.slice[0], "slice_bytes": parts.slice[1]},
    }


def _variant_facts(
    glance: Glance, key: CacheKey, variant: tuple[bytes | None, ...], entry: Entry | None
) -> Facts:
    names = glance.varies_on(key)
    others = [other for other in glance.variants(key) if other is not entry]
    return {
        "varies_on": {_text(name): _text_or_none(value) for name, value in zip(names, variant, strict=True)},
        "other_variants": len(others),
    }


def _stored_facts(entry: Entry, ask: Ask, now_mono: float) -> Facts:
    terms = entry.terms
    return {
        "status": entry.head.status,
        "age_s": round(entry.current_age_s(now_mono), 3),
        "lifetime_s": terms.lifetime_s,
        "lifetime_from": terms.source,
        "ttl_s": round(entry.ttl_s(now_mono), 3),
        "grace_s": terms.grace_s,
        "stale_if_error_s": terms.stale_if_error_s,
        "max_stale_s": terms.max_stale_s,
        "always_revalidate": terms.always_revalidate,
        "purged_softly": entry.purged_softly,
        "body_bytes": entry.body.received_bytes,
        "labels": sorted(_text(label) for label in entry.tags),
        "refused": may_take(ask.request, entry.head, terms, route=ask.route),
    }


def _flight_facts(flight: Flight, ask: Ask, now_mono: float) -> Facts:
    return {
        "state": flight.state,
        "seats": flight.seats,
        "running_s": round(now_mono - flight.started_mono, 3),
        "behind_a_stored_answer": flight.plan.background,
        "received_bytes": flight.body.received_bytes,
        "accepts": flight.accepts(ask.request),
    }


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _text_or_none(octets: bytes | None) -> str | None:
    return None if octets is None else _text(octets)
