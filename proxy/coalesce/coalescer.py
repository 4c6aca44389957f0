"""The coalescer: from a request that may be shared to its answer.

    look up ── hit, or stale within grace ────────────────► answer (and one flight behind it)
       │
       └─ join a flight, or lead one ── wait for the outcome ─┬─ Stream ──► answer
             ▲                                                ├─ Released ─► a flight of its own, paced
             └──────────────── Regroup ◄──────────────────────┤
                                                              └─ Failed, TimedOut ─► stale, or an error

Look-up and joining are one synchronous step (`_next_step`); only waiting happens outside of it. A
`no-cache` request may not be answered by a flight that began before it came: it waits until that one's
head is there, and then joins or leads the next one. So there are at most one running and one pending
flight for a key, however many such requests come, and they are no lever for a herd.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, assert_never

from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry
from proxy.coalesce.answer import Answer, Outcome, PassThrough
from proxy.coalesce.flight import Flight, FlightPlan, State
from proxy.coalesce.flights import Flights, FlightStatistics
from proxy.coalesce.outcomes import Failed, Regroup, Released, Role, Stream, TimedOut
from proxy.coalesce.pacing import Pacer
from proxy.coalesce.seat import Seat
from proxy.config.settings import OnWaitTimeout, RouteSettings
from proxy.errors import FlightFailed, NotStored, ProxyError, RefusedError, WaitTimedOut
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest, OnInformational, Origin
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.cache_status import ForwardReason
from proxy.policy.conditional import has_validator
from proxy.policy.decide import Forward, OnlyIfCached, ServeStored, decide, may_serve_stale_on_error
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.ranges import parse_range
from proxy.policy.sharing import may_take

MAX_REGROUPS = 3
"""After this many times an exchange stops looking for company: an origin whose `Vary` changes with each
answer must not keep a client from ever being answered."""

TIMED_OUT_RELEASE_RATE = 100.0
"""Waiters a second that go to the origin after their deadline, where `release_rate` sets no other: a
time-out strikes all at once, and the origin is slow already."""


class BuildForward(Protocol):
    """Builds the forward request: validating `stored`, or `alone` with the client's own conditions."""

    def __call__(self, *, stored: Entry | None, alone: bool) -> ForwardRequest: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that may be answered from the cache or a flight.

    `with_authorization` requests share only what is stored for the key and allows it (RFC 9111 §3.5).
    """

    key: CacheKey
    request: RequestHead
    directives: RequestDirectives
    route: RouteSettings
    origin: Origin
    forward: BuildForward
    with_authorization: bool = False
    on_informational: OnInformational | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """What is stored for an ask, as of now."""

    variant: Variant
    entry: Entry | None
    reason: ForwardReason
    revalidate: bool

    @property
    def validates(self) -> Entry | None:
        """The entry that the forward request is to validate."""
        return self.entry if self.revalidate else None


@dataclass(frozen=True, slots=True)
class Joined:
    """A seat in a flight, and why the request goes to the origin."""

    seat: Seat
    reason: ForwardReason


@dataclass(frozen=True, slots=True)
class _Behind:
    """A flight that began too early for this request is still asking."""

    flight: Flight


@dataclass(slots=True, eq=False)
class Wait:
    """One exchange's wait: since when, until when, and how often it was sent back."""

    arrived_mono: float
    deadline_mono: float
    regroups: int = 0
    reelection: bool = False


class Coalescer:
    """Answers requests from the cache and from flights."""

    def __init__(self, *, cache: ResponseCache) -> None:
        self.cache = cache
        self._clock = cache.clock
        self._flights = Flights(cache=cache)
        self._pacers: dict[tuple[str, str, bool], Pacer] = {}

    def __repr__(self) -> str:
        return f"<Coalescer {self._flights!r}>"

    def statistics(self) -> FlightStatistics:
        """The flights' counters."""
        return self._flights.statistics()

    def close(self) -> None:
        """Stop every flight."""
        self._flights.cancel_all()

    def wait_for(self, ask: Ask) -> Wait:
        """The wait that begins now."""
        now_mono = self._clock.mono()
        return Wait(now_mono, now_mono + ask.route.coalesce.wait_timeout_s)

    def try_now(self, ask: Ask, wait: Wait) -> Answer | Joined | None:
        """A stored answer, or a seat; None, and nothing happened, if it takes more: go on with `answer`.

        Raises: NotStored (504), RefusedError (503), FlightFailed (503).
        """
        step = self._next_step(ask, wait)
        return step if isinstance(step, Answer | Joined) else None

    def settled_answer(self, ask: Ask, joined: Joined, wait: Wait) -> Answer | None:
        """The answer of a settled seat, if it is simply to be taken; else go on with `answer`."""
        seat, outcome = joined.seat, joined.seat.outcome
        if not isinstance(outcome, Stream) or outcome.failed or self._is_far(ask, seat):
            return None
        return self._streamed_answer(seat, outcome, joined.reason, wait)

    async def answer(
        self, ask: Ask, wait: Wait | None = None, *, joined: Joined | None = None
    ) -> Answer | PassThrough:
        """The answer, once its head is known. With `joined` it goes on from the seat that `try_now` gave.

        Raises: NotStored (504), RefusedError (503), WaitTimedOut (504), FlightFailed (503) and, to a
        leader, what the origin port raises.
        """
        wait = wait or self.wait_for(ask)
        step: Answer | PassThrough | Joined | _Behind
        while True:
            step, joined = joined or self._next_step(ask, wait), None
            match step:
                case Answer() | PassThrough():
                    return step
                case _Behind(flight):
                    answer = await self._wait_behind(ask, flight, wait)
                case Joined(seat, reason):
                    answer = await self._seated(ask, seat, reason, wait)
                case never:
                    assert_never(never)
            if answer is not None:
                return answer

    # look-up and joining: no await in here

    def _look(self, ask: Ask) -> Answer | _Look:
        variant = self.cache.variant_of(ask.key, ask.request)
        entry = self.cache.get(ask.key, variant)
        now_mono = self._clock.mono()
        miss = ForwardReason.VARY_MISS if variant else ForwardReason.URI_MISS
        if entry is not None and may_take(ask.request, entry.head, entry.terms, route=ask.route) is not None:
            entry, miss = None, ForwardReason.REQUEST
        decision = decide(
            ask.directives,
            None if entry is None else entry.terms,
            age_s=0.0 if entry is None else _age_s(entry, now_mono),
            honour_no_cache=ask.route.cache.honour_no_cache,
            miss=miss,
        )
        match decision:
            case ServeStored(revalidate_behind=behind):
                assert entry is not None, "decided to serve what is not stored"
                if behind:
                    self._revalidate_behind(ask, variant, entry)
                return self._stored_answer(entry)
            case OnlyIfCached():
                raise NotStored("only-if-cached was asked for, and nothing stored may answer it")
            case Forward(reason=reason, revalidate=revalidate):
                return _Look(
                    variant, entry, reason, revalidate and entry is not None and has_validator(entry.head)
                )
            case never:
                assert_never(never)

    def _next_step(self, ask: Ask, wait: Wait) -> Answer | PassThrough | Joined | _Behind:
        look = self._look(ask)
        if isinstance(look, Answer):
            return look
        step = self._join(ask, look, wait)
        if step is not None:
            return step
        if ask.request.method == "HEAD":
            return PassThrough(look.reason, Outcome.RELEASED if wait.regroups else Outcome.PASSED)
        leads = (
            ask.route.coalesce.enabled
            and not ask.with_authorization
            and wait.regroups <= MAX_REGROUPS
            and self.cache.keys.not_shareable(ask.key, look.variant) is None
            and self._range_is_near(ask, received_bytes=0)
        )
        return self._lead(ask, look, joinable=leads, reelection=wait.reelection)

    def _join(self, ask: Ask, look: _Look, wait: Wait) -> Answer | Joined | _Behind | None:
        """A waiter's seat, a flight to wait for first, or stale instead of either; None if it is to lead."""
        coalesce = ask.route.coalesce
        flight = self._flights.find(ask.key, look.variant) if coalesce.enabled else None
        if flight is not None and _demands_newer(ask) and flight.started_mono <= wait.arrived_mono:
            if flight.state is State.ASKING and wait.regroups < MAX_REGROUPS and not ask.with_authorization:
                return _Behind(flight)
            flight = None
        down = self.cache.keys.unreachable(ask.key)
        if down is not None:
            return self._stale_or_raise(
                ask, FlightFailed(f"the origin could not be reached a moment ago: {down}")
            )
        if flight is not None and self._may_join(ask, look, flight) and wait.regroups <= MAX_REGROUPS:
            if flight.seats > coalesce.max_waiters:
                return self._stale_or_raise(
                    ask, RefusedError(f"{coalesce.max_waiters} requests wait for this resource already")
                )
            deadline_mono = wait.deadline_mono
            return Joined(
                flight.take_seat(Role.WAITER, ask.request, deadline_mono=deadline_mono), look.reason
            )
        return None

    def _may_join(self, ask: Ask, look: _Look, flight: Flight) -> bool:
        known_to_allow = look.entry is not None and look.entry.terms.with_authorization
        if ask.with_authorization and flight.state is State.ASKING and not known_to_allow:
            return False
        return flight.accepts(ask.request) and self._range_is_near(
            ask, received_bytes=flight.body.received_bytes
        )

    def _range_is_near(self, ask: Ask, *, received_bytes: int) -> bool:
        """Whether a flight for the whole object will soon have what the request wants of it."""
        first = _first_octet(ask.request)
        if first is None:
            return True
        return 0 <= first <= received_bytes + ask.route.coalesce.range_ahead_bytes

    def _is_far(self, ask: Ask, seat: Seat) -> bool:
        """Whether what a waiter wants of the object is further ahead than it would wait for."""
        received_bytes = seat.flight.body.received_bytes
        return seat.role is Role.WAITER and not self._range_is_near(ask, received_bytes=received_bytes)

    def _lead(self, ask: Ask, look: _Look, *, joinable: bool, reelection: bool = False) -> Joined:
        stored = look.validates
        plan = FlightPlan(
            key=ask.key,
            variant=look.variant,
            request=ask.request,
            route=ask.route,
            origin=ask.origin,
            forward=ask.forward(stored=stored, alone=not joinable),
            unconditional=None if stored is None else _unconditional(ask),
            stored=stored,
            reelection=reelection,
            on_informational=ask.on_informational,
        )
        flight = self._flights.start(plan, joinable=joinable)
        return Joined(flight.take_seat(Role.LEADER if joinable else Role.ALONE, ask.request), look.reason)

    def _revalidate_behind(self, ask: Ask, variant: Variant, entry: Entry) -> None:
        """One flight behind a stale answer, however many clients were given it."""
        if (
            self._flights.find(ask.key, variant) is not None
            or self.cache.keys.unreachable(ask.key) is not None
        ):
            return
        stored = entry if has_validator(entry.head) else None
        ask = _as_get(ask)
        plan = FlightPlan(
            key=ask.key,
            variant=variant,
            request=ask.request,
            route=ask.route,
            origin=ask.origin,
            forward=ask.forward(stored=stored, alone=False),
            unconditional=None if stored is None else _unconditional(ask),
            stored=stored,
            background=True,
        )
        self._flights.start(plan, joinable=True)

    # waiting

    async def _wait_behind(self, ask: Ask, flight: Flight, wait: Wait) -> Answer | PassThrough | None:
        """Wait until that flight's head is there; None means to look up and join again."""
        try:
            async with asyncio.timeout(wait.deadline_mono - self._clock.mono()):
                await flight.wait_head()
        except TimeoutError:
            return await self._timed_out(ask, wait)
        return None

    async def _seated(
        self, ask: Ask, seat: Seat, reason: ForwardReason, wait: Wait
    ) -> Answer | PassThrough | None:
        """Wait for the seat's outcome; None means to look up and join again."""
        keep = False
        try:
            outcome = await seat.wait_outcome()
            match outcome:
                case Stream():
                    if self._is_far(ask, seat):
                        seat.leave()
                        return await self._alone(ask, wait)
                    stale = self._stale(ask) if outcome.failed else None
                    if stale is not None:
                        return stale
                    keep = True
                    return self._streamed_answer(seat, outcome, reason, wait)
                case Released():
                    seat.leave()  # before waiting again: those who are sent away hold no abandoned fill
                    await self._pacer(ask.route, timed_out=False).wait_turn()
                    return await self._alone(ask, wait)
                case Regroup(reelection=reelection):
                    wait.regroups += 1
                    wait.reelection = wait.reelection or reelection
                    return None
                case Failed(error=error):
                    return self._stale_or_raise(ask, error)
                case TimedOut():
                    seat.leave()
                    return await self._timed_out(ask, wait)
                case never:
                    assert_never(never)
        finally:
            if not keep:
                seat.leave()

    async def _alone(self, ask: Ask, wait: Wait) -> Answer | PassThrough | None:
        """A forward request of its own, nobody's company sought."""
        wait.regroups = MAX_REGROUPS + 1
        look = self._look(ask)
        if isinstance(look, Answer):
            return look
        if ask.request.method == "HEAD":
            return PassThrough(look.reason, Outcome.RELEASED)
        joined = self._lead(ask, look, joinable=False)
        return await self._seated(ask, joined.seat, joined.reason, wait)

    async def _timed_out(self, ask: Ask, wait: Wait) -> Answer | PassThrough | None:
        waited_s = self._clock.mono() - wait.arrived_mono
        stale = self._stale(ask)
        if stale is not None:
            return stale
        if ask.route.coalesce.on_wait_timeout is OnWaitTimeout.FETCH:
            await self._pacer(ask.route, timed_out=True).wait_turn()
            return await self._alone(ask, wait)
        raise WaitTimedOut(f"no answer from origin {ask.origin.name} within {waited_s:.1f} s of waiting")

    def _pacer(self, route: RouteSettings, *, timed_out: bool) -> Pacer:
        place = (route.host, route.path, timed_out)
        pacer = self._pacers.get(place)
        if pacer is None:
            per_s = route.coalesce.release_rate or (TIMED_OUT_RELEASE_RATE if timed_out else 0.0)
            pacer = self._pacers[place] = Pacer(per_s=per_s, clock=self._clock)
        return pacer

    # answers

    def _stale(self, ask: Ask) -> Answer | None:
        """What is stored, where the rules allow it stale because the origin fails (RFC 9111 §4.2.4).

        It may be fresh by now: a released waiter's own request may have stored it.
        """
        entry = self.cache.get(ask.key, self.cache.variant_of(ask.key, ask.request))
        if entry is None or may_take(ask.request, entry.head, entry.terms, route=ask.route) is not None:
            return None
        age_s = _age_s(entry, self._clock.mono())
        honour_no_cache = ask.route.cache.honour_no_cache
        if not may_serve_stale_on_error(entry.terms, age_s, ask.directives, honour_no_cache=honour_no_cache):
            return None
        return self._stored_answer(entry)

    def _stale_or_raise(self, ask: Ask, error: ProxyError) -> Answer:
        stale = self._stale(ask)
        if stale is None:
            raise error
        return stale

    def _stored_answer(self, entry: Entry) -> Answer:
        now_mono = self._clock.mono()
        ttl_s = entry.ttl_s(now_mono)
        return Answer(
            head=entry.head,
            body=entry.body,
            outcome=Outcome.HIT if ttl_s >= 0 else Outcome.STALE,
            memo=entry.memo,
            received_at=entry.received_at,
            age_s=entry.current_age_s(now_mono),
            ttl_s=ttl_s,
            entry=entry,
        )

    def _streamed_answer(self, seat: Seat, stream: Stream, reason: ForwardReason, wait: Wait) -> Answer:
        now_mono = self._clock.mono()
        shared = stream.terms is not None
        age_s = stream.initial_age_s + now_mono - stream.received_mono
        waiter = seat.role is Role.WAITER
        released = wait.regroups > MAX_REGROUPS
        return Answer(
            head=stream.head,
            body=seat.flight.body,
            outcome=_OUTCOMES[seat.role] if not released else Outcome.RELEASED,
            memo=stream.memo,
            received_at=stream.received_at,
            age_s=age_s if shared else None,
            ttl_s=stream.terms.lifetime_s - age_s if stream.terms is not None else None,
            forward=reason,
            forward_status=stream.forward_status,
            stored=stream.stored and not waiter,
            collapsed=True if waiter else (False if released else None),
            wait_s=now_mono - wait.arrived_mono if waiter or released else 0.0,
            origin_s=0.0 if waiter else stream.origin_s,
            role=seat.role,
            seat=seat,
        )


_OUTCOMES = {Role.LEADER: Outcome.MISS, Role.WAITER: Outcome.COLLAPSED, Role.ALONE: Outcome.PASSED}


def _as_get(ask: Ask) -> Ask:
    """The ask as a flight makes it: a HEAD may be answered from one, but brings no body to store."""
    if ask.request.method == "GET":
        return ask

    def forward(*, stored: Entry | None, alone: bool) -> ForwardRequest:
        return replace(ask.forward(stored=stored, alone=alone), method="GET")

    return replace(ask, request=replace(ask.request, method="GET"), forward=forward)


def _demands_newer(ask: Ask) -> bool:
    """Whether the client wants no answer that was asked for before it came."""
    directives = ask.directives
    return ask.route.cache.honour_no_cache and (directives.no_cache or directives.max_age == 0)


def _first_octet(request: RequestHead) -> int | None:
    """Where a single range begins; -1 if it counts from the end, None if the whole is wanted."""
    values = request.fields.get_all(b"range")
    specs = parse_range(values[0]) if len(values) == 1 else None
    if specs is None or len(specs) != 1:
        return None
    return -1 if specs[0].first is None else specs[0].first


def _age_s(entry: Entry, now_mono: float) -> float:
    """The entry's age for a decision: a soft purge makes it stale from the moment of the purge."""
    age_s = entry.current_age_s(now_mono)
    return max(age_s, entry.terms.lifetime_s) if entry.purged_softly else age_s


def _unconditional(ask: Ask) -> Callable[[], ForwardRequest]:
    return lambda: ask.forward(stored=None, alone=False)
