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
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry
from proxy.coalesce.answer import Answer, Outcome, PassThrough
from proxy.coalesce.ask import Ask, Wait
from proxy.coalesce.flight import Flight
from proxy.coalesce.flights import Flights, FlightStatistics
from proxy.coalesce.next_step import (
    MAX_REGROUPS,
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
    look_up,
    next_step,
    range_is_near,
    stale_entry,
)
from proxy.coalesce.outcomes import Failed, Regroup, Released, Role, Stream, TimedOut
from proxy.coalesce.pacing import Pacer
from proxy.coalesce.plan import FlightPlan
from proxy.coalesce.refreshing import Refreshing
from proxy.coalesce.seat import Seat
from proxy.coalesce.told import tell
from proxy.coalesce.validating import NOTHING, Validating, validating_others, validating_own
from proxy.config.settings import OnWaitTimeout, RouteSettings
from proxy.errors import ProxyError, WaitTimedOut
from proxy.http.fields import Pair
from proxy.origin.port import ForwardRequest
from proxy.policy.cache_status import ForwardReason
from proxy.policy.keys import Variant
from proxy.policy.sharing import Reason

TIMED_OUT_RELEASE_RATE = 100.0
"""Waiters a second that go to the origin after their deadline, where `release_rate` sets no other: a
time-out strikes all at once, and the origin is slow already."""


class Unsliced(ProxyError):
    """Told to `Slicing`: what came to a request for a slice is not for this one, so go on for the whole.

    `again`: not yet, as it may have been about another's request only. `useless`: no request will get more.
    """

    def __init__(self, *, again: bool = False, useless: bool = False) -> None:
        super().__init__("what came is no slice for this request")
        self.again = again
        self.useless = useless


@dataclass(slots=True, eq=False)
class Joined:
    """A seat in a flight, and why the request goes to the origin."""

    seat: Seat
    reason: ForwardReason


class Coalescer:
    """Answers requests from the cache and from flights."""

    def __init__(
        self,
        *,
        cache: ResponseCache,
        max_refreshes: int = 0,
        random_share: Callable[[], float] = random.random,
    ) -> None:
        self.cache = cache
        self._clock = cache.clock
        self._flights = Flights(cache=cache)
        self._refreshing = Refreshing(clock=cache.clock, limit=max_refreshes, random_share=random_share)
        self._pacers: dict[tuple[str, str, bool], Pacer] = {}

    def __repr__(self) -> str:
        return f"<Coalescer {self._flights!r}>"

    def statistics(self) -> FlightStatistics:
        """The flights' counters."""
        return self._flights.statistics()

    def foresee(self, ask: Ask) -> tuple[Step, Entry | None]:
        """What this request would get now, and what would stand in for a failure; nothing happens."""
        glance, now_mono = self.cache.glance(), self._clock.mono()
        ask = ask.placed(glance)
        step = next_step(ask, self.wait_for(ask), stored=glance, flights=self._flights, now_mono=now_mono)
        return step, stale_entry(ask, stored=glance, now_mono=now_mono)

    def running(self, ask: Ask) -> Flight | None:
        """The flight that is found at the place of this request."""
        glance = self.cache.glance()
        key = ask.placed(glance).key
        return self._flights.find(key, glance.variant_of(key, ask.request))

    @property
    def refreshed(self) -> int:
        """Flights that were started to refresh an entry before it expired."""
        return self._refreshing.refreshed

    def close(self) -> None:
        """Stop every flight."""
        self._flights.cancel_all()

    def wait_for(self, ask: Ask) -> Wait:
        """The wait that begins now."""
        now_mono = self._clock.mono()
        return Wait(now_mono, now_mono + ask.route.coalesce.wait_timeout_s)

    def stored_now(self, ask: Ask) -> Answer | None:
        """The stored answer, if it is simply to be taken; nothing happens."""
        ask = ask.placed(self.cache)
        look = look_up(ask, stored=self.cache, now_mono=self._clock.mono())
        return self._stored_answer(look.entry) if isinstance(look, Serve) and not look.behind else None

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
        step: Answer | PassThrough | Joined | WaitBehind | Recall
        while True:
            step, joined = joined or self._next_step(ask, wait), None
            match step:
                case Answer() | PassThrough():
                    return step
                case Recall():
                    await self._recall(ask, wait)
                    continue
                case WaitBehind(flight):
                    answer = await self._wait_behind(ask, flight, wait)
                case Joined(seat, reason):
                    answer = await self._seated(ask, seat, reason, wait)
                case never:
                    assert_never(never)
            if answer is not None:
                return answer

    # look-up and joining: no await in here

    def _next_step(self, ask: Ask, wait: Wait) -> Answer | PassThrough | Joined | WaitBehind | Recall:
        """Decide, and do what is decided."""
        now_mono = self._clock.mono()
        ask = ask.placed(self.cache)
        step = next_step(ask, wait, stored=self.cache, flights=self._flights, now_mono=now_mono)
        match step:
            case Serve():
                return self._served(ask, step)
            case Refuse(error=error):
                raise error
            case StaleOr(error=error):
                return self._stale_or_raise(ask, error)
            case WaitBehind() | Recall():
                return step
            case Join(flight=flight, look=look):
                seat = flight.take_seat(
                    Role.WAITER, ask.request, target_key=ask.target_key, deadline_mono=wait.deadline_mono
                )
                return Joined(seat, look.reason)
            case Pass(reason=reason, outcome=outcome):
                return PassThrough(reason, outcome)
            case Lead(look=look, joinable=joinable):
                return self._lead(ask, look, joinable=joinable, reelection=wait.reelection)
            case never:
                assert_never(never)

    def _served(self, ask: Ask, step: Serve) -> Answer:
        if step.behind:
            self._revalidate_behind(ask, step.variant, step.entry)
        elif ask.route.cache.refresh_ahead:
            self._refresh_ahead(ask, step.variant, step.entry)
        return self._stored_answer(step.entry)

    def _is_far(self, ask: Ask, seat: Seat) -> bool:
        """Whether what a waiter wants of the object is further ahead than it would wait for."""
        received_bytes = seat.flight.body.received_bytes
        return seat.role is Role.WAITER and not range_is_near(ask, received_bytes=received_bytes)

    def _lead(self, ask: Ask, look: Look, *, joinable: bool, reelection: bool = False) -> Joined:
        validating = self._validating(ask, look, joinable=joinable)
        plan = FlightPlan(
            key=ask.key,
            target_key=ask.target_key,
            variant=look.variant,
            request=ask.request,
            route=ask.route,
            origin=ask.origin,
            forward=ask.forward(conditions=validating.conditions, alone=not joinable),
            unconditional=_unconditional(ask),
            validating=validating,
            reelection=reelection,
            on_informational=ask.on_informational,
            slice=ask.slice,
        )
        flight = self._flights.start(plan, joinable=joinable)
        role = Role.LEADER if joinable else Role.ALONE
        return Joined(flight.take_seat(role, ask.request, target_key=ask.target_key), look.reason)

    def _validating(self, ask: Ask, look: Look, *, joinable: bool) -> Validating:
        """What the forward request asks about; who goes alone has conditions of its own."""
        if look.revalidate:
            return validating_own(look.entry)
        if look.reason is not ForwardReason.VARY_MISS or not joinable:
            return NOTHING
        return validating_others(ask.request, self.cache.variants(ask.key), route=ask.route)

    def _revalidate_behind(self, ask: Ask, variant: Variant, entry: Entry) -> Flight | None:
        """One flight behind a stored answer, however many clients were given it; None if none was started."""
        if (
            self._flights.find(ask.key, variant) is not None
            or self.cache.keys.unreachable(ask.key) is not None
        ):
            return None
        validating = validating_own(entry)
        ask = _as_get(ask)
        plan = FlightPlan(
            key=ask.key,
            target_key=ask.target_key,
            variant=variant,
            request=ask.request,
            route=ask.route,
            origin=ask.origin,
            forward=ask.forward(conditions=validating.conditions, alone=False),
            unconditional=_unconditional(ask),
            validating=validating,
            background=True,
            slice=ask.slice,
        )
        return self._flights.start(plan, joinable=True)

    async def bring(self, ask: Ask) -> None:
        """Store here what the owner of the key has stored; `ask.forward` asks for that and no more."""
        ask = _as_get(ask.placed(self.cache))
        variant = self.cache.variant_of(ask.key, ask.request)
        if self._flights.find(ask.key, variant) is not None:
            return
        plan = FlightPlan(
            key=ask.key,
            target_key=ask.target_key,
            variant=variant,
            request=ask.request,
            route=ask.route,
            origin=ask.origin,
            forward=ask.forward(conditions=(), alone=False),
            background=True,
        )
        await self._flights.start(plan, joinable=False).wait_over()

    def _refresh_ahead(self, ask: Ask, variant: Variant, entry: Entry) -> None:
        """A hit on what will expire soon: if it is popular, validate it before a herd finds it stale."""
        if not ask.with_authorization and self._refreshing.is_due(entry, ask.route.cache):
            flight = self._revalidate_behind(ask, variant, entry)
            if flight is not None:
                self._refreshing.started(entry, flight)

    # waiting

    async def _recall(self, ask: Ask, wait: Wait) -> None:
        """Once for each exchange: what the disk did not have, or had damaged, the origin has."""
        wait.recalled = True
        await self.cache.recall(ask.placed(self.cache).key, ask.request)

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
                    return await self._released(ask, seat.role, outcome, wait)
                case Regroup(reelection=True) if ask.slice is not None:
                    raise Unsliced(again=True)
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

    async def _released(
        self, ask: Ask, role: Role, outcome: Released, wait: Wait
    ) -> Answer | PassThrough | None:
        if ask.slice is not None and (outcome.reason is Reason.PARTIAL or role is not Role.WAITER):
            raise Unsliced(useless=True)
        await self._pacer(ask.route, timed_out=False).wait_turn()
        return await self._alone(ask, wait)

    async def _alone(self, ask: Ask, wait: Wait) -> Answer | PassThrough | None:
        """A forward request of its own, nobody's company sought."""
        wait.regroups = MAX_REGROUPS + 1
        if ask.slice is not None:
            raise Unsliced
        ask = ask.placed(self.cache)
        look = look_up(ask, stored=self.cache, now_mono=self._clock.mono())
        if isinstance(look, Serve):
            return self._served(ask, look)
        if isinstance(look, Refuse):
            raise look.error
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
        entry = stale_entry(ask.placed(self.cache), stored=self.cache, now_mono=self._clock.mono())
        return None if entry is None else self._stored_answer(entry)

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
            memo=self.cache.memo_of(entry),
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
        answer = Answer(
            head=stream.head,
            body=seat.flight.body,
            outcome=_OUTCOMES[seat.role] if not released else Outcome.RELEASED,
            memo=stream.memo,
            received_at=stream.received_at,
            age_s=age_s if shared else None,
            ttl_s=_ttl_s(stream, age_s),
            forward=reason,
            forward_status=stream.forward_status,
            stored=stream.stored and not waiter,
            collapsed=True if waiter else (False if released else None),
            wait_s=now_mono - wait.arrived_mono if waiter or released else 0.0,
            origin_s=0.0 if waiter else stream.origin_s,
            role=seat.role,
            seat=seat,
        )
        return answer if stream.word is None else tell(answer, stream.word)


_OUTCOMES = {Role.LEADER: Outcome.MISS, Role.WAITER: Outcome.COLLAPSED, Role.ALONE: Outcome.PASSED}


def _as_get(ask: Ask) -> Ask:
    """The ask as a flight makes it: a HEAD may be answered from one, but brings no body to store."""
    if ask.request.method == "GET":
        return ask

    def forward(*, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
        return replace(ask.forward(conditions=conditions, alone=alone), method="GET")

    return replace(ask, request=replace(ask.request, method="GET"), forward=forward)


def _unconditional(ask: Ask) -> Callable[[], ForwardRequest]:
    return lambda: ask.forward(conditions=(), alone=False)


def _ttl_s(stream: Stream, age_s: float) -> float | None:
    """Seconds of freshness left; negative also of what was young, and stale at the owner all the same."""
    if stream.terms is None:
        return None
    ttl_s = stream.terms.lifetime_s - age_s
    return min(-1e-9, ttl_s) if stream.word is not None and stream.word.is_stale else ttl_s
