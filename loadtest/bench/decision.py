"""What it takes to decide on a hit in the ordinary path: no sockets, no parsing, no writing.

Measured is what lies between a request whose head is prepared (checked, routed, keyed: once for each head,
`server/prepared.py`) and an answer that is written: the key that equivalent targets share, the variant, the
look-up in memory with its use noted, the purges, whether this request may take it, how old and how fresh it
is, the client's directives, its conditions and its Range.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

from loadtest.bench.objects_origin import body_for, head_of
from loadtest.bench.report import Section, table
from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry
from proxy.clock import SystemClock
from proxy.coalesce.ask import Ask, Wait
from proxy.coalesce.body import SharedBody
from proxy.coalesce.flights import Flights
from proxy.coalesce.next_step import Serve, next_step
from proxy.config.settings import CacheSettings, RouteSettings
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest, OnInformational, OriginResponse
from proxy.origin.response_head import read_response_head
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.conditional import entity_tag, not_modified
from proxy.policy.keys import cache_key, variant_of, vary_names
from proxy.policy.multipart_ranges import ranges
from proxy.policy.terms import terms_of

TARGET = b"/articles/2025/000001/page.html"
BODY_BYTES = 1024
_ROUNDS = 15
_CALLS = 4000
_AIM_US = 10.0

_BROWSER: tuple[Pair, ...] = (
    (b"Host", b"www.example.org"),
    (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"Accept-Language", b"en-US,en;q=0.5"),
    (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
    (b"Connection", b"keep-alive"),
)
_ROUTE = RouteSettings(origin="app")
_OTHERS = 10_000
"""Objects stored beside it: tables that fit into the processor's cache would flatter."""


class _NoOrigin:
    """Nobody asks it: everything here is a hit."""

    name = "app"

    async def send(
        self, forward: ForwardRequest, *, on_informational: OnInformational | None = None
    ) -> OriginResponse:
        raise AssertionError(f"{forward!r} is for the origin, and a hit was measured")


def _forward(*, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
    raise AssertionError("a hit forwards nothing")


def _request(target: bytes, fields: tuple[Pair, ...]) -> RequestHead:
    return RequestHead("GET", target, Fields((*_BROWSER, *fields)), authority=b"www.example.org")


class Decisions:
    """A cache with one object among many, and requests for it."""

    def __init__(self, *, vary: bytes = b"") -> None:
        self._clock = SystemClock()
        self._cache = ResponseCache(CacheSettings(), clock=self._clock)
        self._flights = Flights(cache=self._cache)
        self._vary = vary
        for number in range(_OTHERS):
            self._store(b"/articles/2024/%06d/page.html" % number)
        self.etag = self._store(TARGET)

    def _store(self, target: bytes) -> bytes:
        head = read_response_head(head_of(target, BODY_BYTES))
        if self._vary:
            head = replace(head, fields=head.fields.with_added((b"Vary", self._vary)))
        request = _request(target, ())
        names = vary_names(head) or ()
        now_mono, now = self._clock.mono(), self._clock.now()
        entry = Entry(
            key=cache_key("app", request, route=_ROUTE),
            varies_on=names,
            variant=variant_of(names, request),
            head=head,
            body=SharedBody.complete([body_for(target, BODY_BYTES)]),
            terms=terms_of(head, cache=_ROUTE.cache, now=now),
            initial_age_s=0.0,
            requested_mono=now_mono,
            received_mono=now_mono,
            received_at=now,
        )
        self._cache.store(entry, began=self._cache.fences.epoch, max_variants=8)
        return entity_tag(head.fields) or b""

    def decider(self, *fields: Pair) -> Callable[[], bool]:
        """Decides on a request with these fields once; whether it is answered 304."""
        request = _request(TARGET, fields)
        ask = Ask(
            key=cache_key("app", request, route=_ROUTE),
            request=request,
            directives=RequestDirectives.parse(request.fields),
            route=_ROUTE,
            origin=_NoOrigin(),
            forward=_forward,
        )
        cache, flights, clock = self._cache, self._flights, self._clock
        wait = Wait(arrived_mono=0.0, deadline_mono=0.0)

        def decide() -> bool:
            now_mono = clock.mono()
            step = next_step(ask.placed(cache), wait, stored=cache, flights=flights, now_mono=now_mono)
            assert isinstance(step, Serve), f"{step!r} is no hit"
            entry = step.entry
            entry.ttl_s(now_mono)
            entry.current_age_s(now_mono)
            if not_modified(request, entry.head, now=clock.now()):
                return True
            if b"range" in request.fields:
                ranges(request, entry.head, length=entry.body.received_bytes)
            return False

        return decide


def measure() -> Section:
    """Each kind of request in rounds, the kinds in turn."""
    plain, varying = Decisions(), Decisions(vary=b"Accept-Encoding")
    kinds = {
        "plain": plain.decider(),
        "with a cookie": plain.decider((b"Cookie", b"session=0123456789abcdef; theme=dark")),
        "of one variant by Accept-Encoding": varying.decider(),
        "a range": plain.decider((b"Range", b"bytes=0-99")),
        "validated by its entity tag: 304": plain.decider((b"If-None-Match", plain.etag)),
    }
    assert [kind for kind, decide in kinds.items() if decide()] == ["validated by its entity tag: 304"]
    times_us: dict[str, list[float]] = {kind: [] for kind in kinds}
    gc.collect()
    gc.disable()
    for _ in range(_ROUNDS):
        for kind, decide in kinds.items():
            times_us[kind].append(_one_us(decide))
    gc.enable()
    rows = [(kind, f"{min(times):.1f}", f"{median(times):.1f}") for kind, times in times_us.items()]
    text = (
        f"From a prepared head to an answer that is written, {_OTHERS:,} objects stored: key, variant, "
        "look-up, purges, may this request take it, age, freshness, directives, conditions, Range. "
        f"{_ROUNDS} rounds of {_CALLS:,} each. The aim is {_AIM_US:.0f} µs for a plain hit.\n\n"
        f"{table(('a hit', 'best, µs', 'median, µs'), rows)}"
    )
    return Section("decision", "Deciding on a hit", text)


def _one_us(decide: Callable[[], bool]) -> float:
    began = time.perf_counter()
    for _ in range(_CALLS):
        decide()
    return (time.perf_counter() - began) / _CALLS * 1e6
