"""A flight: one forward request in progress, and the seats of those who share its answer.

Theory of operation. A flight belongs to nobody. It runs in a task of its own, so that no client's
departure stops it while others wait; the exchange that opened it holds the leader's seat, those who
joined hold waiters' seats.

    ASKING ──head came──► OPEN ───────────┐     OPEN: who comes now may still join (shareable and fresh)
      │        └────────► CLOSED ─────────┤     CLOSED: it serves those who have seats and nobody else
      └─failed, abandoned──────────────► OVER

Each seat gets exactly one outcome (`outcomes.py`). The decision whether an answer is for a seat is made
*per seat when the head comes*, and for late joiners when they join: by `policy.sharing`, by the variant
that the seat's own request selects, and by the fences raised between the flight's start and the seat's
joining. Nothing is decided across an `await`: head, verdict, outcomes and table are one synchronous step,
and so are the last octet, storing the entry and leaving the table.

A flight is taken out of the table only if it is *still that flight*: it may have been replaced by a
younger one after a purge, or for a client that demanded a newer answer.

Rejected: electing the next waiter as leader when the leader's client leaves (the answer is already on its
way), and giving waiters the leader's socket bytes (a slow leader would slow all).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry, HeadMemo
from proxy.coalesce.body import SharedBody
from proxy.coalesce.deadlines import Deadlines
from proxy.coalesce.herald import Herald
from proxy.coalesce.keeping import Keeping
from proxy.coalesce.learning import Learnt, learn
from proxy.coalesce.outcomes import Ending, Failed, Outcome, Regroup, Released, Role, Stream
from proxy.coalesce.plan import FlightPlan
from proxy.coalesce.seat import Seat
from proxy.coalesce.told import is_for
from proxy.errors import (
    ClientError,
    FlightFailed,
    NotForAsker,
    NotShared,
    NotStored,
    OriginProtocolError,
    OriginUnreachable,
    ProxyError,
)
from proxy.http.messages import RequestHead, ResponseHead
from proxy.origin.port import ForwardRequest, Framing, OriginResponse
from proxy.peers.word import OwnersWord
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.conditional import freshen
from proxy.policy.decide import may_serve_stale_on_error
from proxy.policy.freshness import initial_age_s
from proxy.policy.hop_by_hop import end_to_end_head
from proxy.policy.key_parts import key_under, whole_key
from proxy.policy.keys import CacheKey, variant_of
from proxy.policy.no_vary_search import DEFAULT
from proxy.policy.partial import Seen, seen
from proxy.policy.sharing import (
    AboutLeader,
    NotForSharing,
    OriginFailed,
    Reason,
    Shareable,
    Verdict,
    WaitingOnly,
    holds_for,
    judge,
    may_take,
)
from proxy.policy.terms import Terms
from proxy.tasks import spawn

logger = logging.getLogger(__name__)


class State(StrEnum):
    """Of a flight; see the module's head."""

    ASKING = "asking"
    OPEN = "open"
    CLOSED = "closed"
    OVER = "over"


class FlightTable(Protocol):
    """Where flights are found; `Flights` is it."""

    def remove(self, flight: Flight) -> None:
        """Take it out if it is still that flight."""

    def move(self, flight: Flight) -> None:
        """Its key and variant are known now."""


class Flight:
    """One forward request in progress. Made by `Flights`."""

    __slots__ = (
        "_cache",
        "_clock",
        "_deadlines",
        "_entry_terms",
        "_head_waiters",
        "_herald",
        "_initial_age_s",
        "_keeping",
        "_memo",
        "_origin_s",
        "_received_at",
        "_received_mono",
        "_search",
        "_seats",
        "_stream",
        "_table",
        "_task",
        "_validated",
        "asked_mono",
        "body",
        "ending",
        "epoch",
        "head",
        "key",
        "plan",
        "started_mono",
        "state",
        "tags",
        "variant",
        "varies_on",
        "waiters_served",
        "word",
    )

    def __init__(self, plan: FlightPlan, *, cache: ResponseCache, table: FlightTable) -> None:
        self.plan = plan
        self.state = State.ASKING
        self.ending: Ending | None = None
        self.epoch = cache.fences.enter()
        self.started_mono = cache.clock.mono()
        self.asked_mono = self.started_mono
        self.head: ResponseHead | None = None
        self.word: OwnersWord | None = None  # set where the owner of the key answered, not the origin
        self.key = plan.key
        self.variant = plan.variant
        self.varies_on: tuple[bytes, ...] = ()
        self.tags: frozenset[bytes] = frozenset()
        self.body = SharedBody(window_bytes=plan.route.coalesce.window_bytes)
        self.waiters_served = 0
        self._cache = cache
        self._clock = cache.clock
        self._table = table
        self._seats: dict[Seat, None] = {}  # an ordered set: first come, first served
        self._herald = Herald()
        self._deadlines = Deadlines(cache.clock)
        self._stream: Stream | None = None  # what a shareable head offers to whoever may take it
        self._entry_terms: Terms | None = None  # set while the body is to be stored
        self._validated: Entry | None = None  # what a 304 was about
        self._received_mono = self._received_at = self._initial_age_s = self._origin_s = 0.0
        self._memo = HeadMemo()
        self._search = DEFAULT
        self._keeping: Keeping | None = None  # from the head on, while the body is to be stored
        self._head_waiters: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Flight {self.state} {self.ending} {self.key!r} {len(self._seats)} seats {self.body!r}>"

    def start(self) -> None:
        """Begin to ask."""
        self._task = spawn(self._run(), name="flight")
        self._task.add_done_callback(self._task_done)

    # seats

    @property
    def shareable(self) -> bool:
        """Whether the head came and allowed sharing."""
        return self._stream is not None

    @property
    def shareable_fetch(self) -> bool:
        """The same, of an answer of the origin; what the owner of the key gave, that one counts."""
        return self._stream is not None and self.word is None

    @property
    def waiters(self) -> int:
        """Exchanges that joined and have not left. Counts seats: for statistics, not for each request."""
        return sum(seat.role is Role.WAITER for seat in self._seats)

    @property
    def age_s(self) -> float:
        """The present age of what came; 0 before the head."""
        return self._initial_age_s + self._clock.mono() - self._received_mono if self.head else 0.0

    @property
    def offered_terms(self) -> Terms | None:
        """The terms under which those who come now may have what came; None while it is not known."""
        return self._stream.terms if self._stream is not None and self.state is State.OPEN else None

    @property
    def seats(self) -> int:
        """Exchanges that hold a seat now."""
        return len(self._seats)

    def take_seat(
        self,
        role: Role,
        request: RequestHead,
        *,
        target_key: CacheKey | None = None,
        deadline_mono: float | None = None,
    ) -> Seat:
        """A seat for this exchange. After the head it is settled at once: look at `accepts` first."""
        seat = Seat(
            self,
            role,
            request,
            epoch=self._cache.fences.epoch,
            joined_mono=self._clock.mono(),
            target_key=target_key,
        )
        self._seats[seat] = None
        if self.plan.route.cache.min_uses > 1:
            self._cache.admission.count(self.plan.key)
        if self.state is not State.ASKING:
            assert self._stream is not None, f"{self!r} is not open"
            seat.settle(self._stream)
            self.waiters_served += 1
        elif deadline_mono is not None:
            self._deadlines.add(deadline_mono, seat)
        return seat

    def accepts(self, request: RequestHead) -> bool:
        """Whether a request that comes now may join: in time, not fenced off, and the answer is for it."""
        if self.state is State.ASKING:
            return not self._cache.fences.crossed(self.epoch, self.key)
        if self.state is not State.OPEN or not self.body.keeping or self._stream is None:
            return False
        terms, head = self._stream.terms, self._stream.head
        assert terms is not None, f"{self!r} is open without terms"
        age_s = self.age_s
        return (
            age_s < terms.lifetime_s
            and not self._cache.fences.crossed(self.epoch, self.key, self.tags)
            and variant_of(self.varies_on, request) == self.variant
            and may_take(request, head, terms, route=self.plan.route) is None
        )

    def give_up(self, seat: Seat) -> None:
        """The exchange leaves. When nobody is left, the flight goes on only if that is worth it (D3)."""
        if self._seats.pop(seat, self) is self:
            return
        self._stop_if_nobody_takes_it()

    def _stop_if_nobody_takes_it(self) -> None:
        if not self._seats and not self._goes_on_alone():
            self.cancel()

    def tell(self, seat: Seat) -> None:
        self._herald.tell(seat)

    def cancel(self) -> None:
        """Stop asking; whoever still has a seat fails.

        Nobody may join from now on, although the task ends a moment later: a seat in a cancelled flight
        would be lost.
        """
        if self.state is not State.OVER:
            self.state = State.CLOSED
            self._table.remove(self)
        if self._task is not None:
            self._task.cancel()

    async def wait_head(self) -> None:
        """Wait until the head came or the flight ended without one."""
        if self.state is State.ASKING:
            future = asyncio.get_running_loop().create_future()
            self._head_waiters.append(future)
            await future

    async def wait_over(self) -> None:
        """Wait until it ended, with or without an answer."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def _goes_on_alone(self) -> bool:
        if self.state is State.OVER or self.body.ended:
            return True  # nothing left to stop
        if self.plan.background:
            return self.head is None or self._entry_terms is not None
        if self._entry_terms is None or self.body.expected_bytes is None:
            return False
        return (
            self.body.expected_bytes - self.body.received_bytes
            <= self.plan.route.coalesce.abandoned_fill_max_bytes
        )

    # the way of the forward request

    async def _run(self) -> None:
        try:
            response = await self._ask()
            try:
                self._on_head(response)
                await self._fill(response)
            finally:
                response.close()
        except (ProxyError, asyncio.CancelledError) as error:
            self._broke_off(error)
        except Exception as error:
            logger.exception("flight_broken key=%r", self.plan.key)
            self._broke_off(OriginProtocolError(f"internal error while asking the origin: {error!r}"))
        finally:
            self._over()

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if self.state is not State.OVER:  # cancelled before its first step: the coroutine never ran
            self._broke_off(asyncio.CancelledError())
            self._over()

    async def _ask(self) -> OriginResponse:
        plan = self.plan
        response = await plan.origin.send(plan.forward, on_informational=plan.on_informational)
        validating = plan.validating
        if response.head.status != 304 or not validating.entries or plan.unconditional is None:
            return response
        self._validated = validating.selected_by(response.head, route=plan.route)
        if self._validated is not None:
            return response
        response.close()
        self.asked_mono = self._clock.mono()
        return await plan.origin.send(plan.unconditional(), on_informational=plan.on_informational)

    def _on_head(self, response: OriginResponse) -> None:
        """One synchronous step: believe the head, judge it, give every seat its outcome."""
        now, self._received_mono = self._clock.now(), self._clock.mono()
        self._received_at = now
        raw = response.head
        head = end_to_end_head(raw)
        leader_head = head
        stored = self._validated
        if stored is not None:
            validation, head = head, freshen(stored.head, head)
            leader_head = _with_cookies_of(validation, head)
            self.body = stored.body
        else:
            self.body.expected_bytes = response.length
            self.body.ends_with_connection = response.framing is Framing.CLOSE
        taken = seen(self.plan.slice, head, body_bytes=self.body.length)
        if taken.head is not head:
            head = leader_head = taken.head
        self.head = head
        self._origin_s = self._received_mono - self.asked_mono
        self._initial_age_s = initial_age_s(raw, requested_at=now - self._origin_s, received_at=now)
        if response.word is not None:
            self._heed(response.word, raw, now)
        verdict = _of_no_slice(taken) or judge(
            self.plan.request,
            taken.judged,
            route=self.plan.route,
            now=now,
            close_delimited=self.body.ends_with_connection,
            has_fallback=head.status >= 500 and self._has_fallback(),
            own_conditions=self._has_clients_conditions(taken.judged.status),
        )
        self._learn(learn(self.plan, head, verdict, cache=self._cache))
        self._settle_all(verdict, head, leader_head, raw.status)
        for future in self._head_waiters:
            if not future.done():
                future.set_result(None)
        self._head_waiters.clear()
        self._deadlines.clear()

    def _heed(self, word: OwnersWord, raw: ResponseHead, now: float) -> None:
        """The owner of the key has answered: times are those of its own forward request.

        The time that we waited for it is in the age that it tells; counted here, it would be counted twice.
        """
        self.word = word
        age_s = word.age_at_s(self._received_mono)
        self._initial_age_s = (
            initial_age_s(raw, requested_at=now, received_at=now) if age_s is None else age_s
        )
        self.started_mono = min(self.started_mono, word.began_mono)
        self.asked_mono = word.began_mono
        if word.from_store:
            self._origin_s = 0.0

    def _has_clients_conditions(self, status: int) -> bool:
        """Whether the origin was sent a Range or conditions that are neither a validation's nor a slice's.

        Of a whole answer to a request without Range it makes no difference, and is not looked for.
        """
        plan = self.plan
        if status == 200 and b"range" not in plan.request.fields:
            return False
        return plan.slice is None and not plan.validating.entries and _is_conditional(plan.forward)

    def _has_fallback(self) -> bool:
        """Whether what is stored may be served in the place of a failure."""
        entry = self._cache.get(self.plan.key, self.plan.variant)
        if entry is None:
            return False
        return may_serve_stale_on_error(
            entry.terms, entry.decisive_age_s(self._received_mono), RequestDirectives()
        )

    def _learn(self, learnt: Learnt) -> None:
        """Where the answer belongs, and whether its body is to be stored."""
        self.key, self.variant, self.varies_on = learnt.key, learnt.variant, learnt.varies_on
        self.tags, self._search, self._entry_terms = learnt.tags, learnt.search, learnt.terms
        if self._looks_fresh_only():
            self._entry_terms = None
        if self._entry_terms is None or self.body.ended:  # after a 304 it is the stored one
            return
        self._keeping = Keeping(self._cache, self.body)
        if not self._keeping.begin():
            self._entry_terms = None

    def _looks_fresh_only(self) -> bool:
        """Whether the owner gave what was purged softly: stored here, it would be fresh again by its age."""
        terms, word = self._entry_terms, self.word
        if terms is None or word is None or not word.is_stale:
            return False
        return terms.lifetime_s > self._initial_age_s

    def _is_for_target(self, seat: Seat) -> bool:
        """Whether the target of this seat is equivalent to the leader's, by what the answer says."""
        if self.key == self.plan.key:
            return True  # or it had not found the flight
        target_key = seat.target_key or self.plan.key
        if self.plan.slice is not None and self.key == whole_key(self.key):
            target_key = whole_key(target_key)  # the answer turned out to be no slice
        return key_under(target_key, self._search) == self.key

    def _settle_all(
        self, verdict: Verdict, head: ResponseHead, leader_head: ResponseHead, status: int
    ) -> None:
        terms = verdict.terms if isinstance(verdict, (Shareable, WaitingOnly)) else None
        stream = Stream(
            head=head,
            terms=terms,
            stored=self._entry_terms is not None and not self._fenced(),
            forward_status=status,
            initial_age_s=self._initial_age_s,
            received_mono=self._received_mono,
            received_at=self._received_at,
            origin_s=self._origin_s,
            memo=self._memo,
            failed=isinstance(verdict, OriginFailed),
            word=self.word,
        )
        self.ending = _ending_of(verdict)
        self.state = State.CLOSED
        if terms is not None:
            self._stream = stream
            if isinstance(verdict, Shareable) and self._entry_terms is not None:
                self.state = State.OPEN
        if self.state is State.OPEN:
            self._table.move(self)
        else:
            self._table.remove(self)
        leader_stream = stream
        if leader_head is not head:
            leader_stream = replace(stream, head=leader_head, memo=HeadMemo())
        decided: dict[tuple[int, int], Outcome] = {}  # a herd is one head many times: decide once for each
        for seat in self._seats:
            if seat.settled:
                continue  # its deadline passed and it has not left yet
            if seat.role is not Role.WAITER:
                seat.settle(leader_stream)
                continue
            alike = (id(seat.request), seat.epoch)
            outcome = decided.get(alike)
            if outcome is None:
                outcome = decided[alike] = self._waiter_outcome(seat, verdict, stream)
            self.waiters_served += outcome is stream
            seat.settle(outcome)
        if self._entry_terms is None and not self.body.ended:  # after a 304 it is the stored one
            self._stop_keeping_body()

    def _waiter_outcome(self, seat: Seat, verdict: Verdict, stream: Stream) -> Outcome:
        """Whether the answer is for this seat; default deny (D4)."""
        match verdict:
            case Shareable(terms=terms) | WaitingOnly(terms=terms):
                if self._cache.fences.crossed(self.epoch, self.key, self.tags, until=seat.epoch):
                    return Regroup()
                if not self._is_for_target(seat):
                    return Regroup()
                if variant_of(self.varies_on, seat.request) != self.variant:
                    return Regroup()
                reason = may_take(seat.request, stream.head, terms, route=self.plan.route)
                if reason is not None:
                    return Released(reason)
                if self.word is not None and not is_for(
                    seat.request, self.word, terms, age_s=self._initial_age_s, route=self.plan.route
                ):
                    return Regroup()
                return stream
            case NotForSharing(reason=reason):
                holds = holds_for(reason, seat.request, route=self.plan.route)
                return Released(reason) if holds else Regroup()
            case OriginFailed(status=status):
                return Failed(
                    FlightFailed(
                        f"origin {self.plan.origin.name} answered {status} to the request waited for"
                    )
                )
            case AboutLeader():
                return Released(Reason.STATUS) if self.plan.reelection else Regroup(reelection=True)

    async def _fill(self, response: OriginResponse) -> None:
        body = self.body
        if body.ended:  # a 304: the stored body is the body
            await self._commit()
            return
        if self._entry_terms is None:
            self._discard_validated()
        self._stop_if_nobody_takes_it()  # a background flight may find an event stream
        while piece := await response.read():
            body.append(piece)
            keeping = self._keeping if body.keeping else None
            if keeping and not (keeping.keeps(piece) and (not body.lags or await keeping.wait_room())):
                self._stop_keeping()
            if not body.keeping:
                self._stop_if_nobody_takes_it()
                await body.wait_room()
        body.finish()
        await self._commit()

    def _stop_keeping(self) -> None:
        """The body will not be stored: those who have seats get it at their pace, nobody else may join."""
        self._entry_terms = None
        self.state = State.CLOSED
        self._stop_keeping_body()
        if self._keeping is not None:
            self._keeping.give_up()
        self._table.remove(self)

    def _stop_keeping_body(self) -> None:
        for seat in self._seats:
            seat.take_place()
        self.body.stop_keeping()

    def _fenced(self) -> bool:
        return self._cache.fences.crossed(self.epoch, self.key, self.tags)

    async def _commit(self) -> None:
        """Store what came; one step with its last octet, unless it was spooled.

        The flight takes new waiters until what was spooled can be found in its place.
        """
        assert self.head is not None, f"{self!r} has a body and no head"
        if self._entry_terms is None:
            self._discard_validated()
            return
        entry = Entry(
            key=self.key,
            varies_on=self.varies_on,
            variant=self.variant,
            head=self.head,
            body=self.body,
            terms=self._entry_terms,
            initial_age_s=self._initial_age_s,
            requested_mono=self.asked_mono,
            received_mono=self._received_mono,
            received_at=self._received_at,
            memo=self._memo,
            tags=self.tags,
        )
        if self._keeping is None:
            self._freshen_validated(entry)
            self._store(entry)
        elif not await self._keeping.commit(
            entry, began=self.epoch, max_variants=self.plan.route.cache.max_variants
        ):
            self._discard_validated()

    def _freshen_validated(self, entry: Entry) -> None:
        """A 304 about an entry of another variant, of the same representation, freshens that one, too.

        It stays in its place in the order of entries: what was asked for on behalf of its own variant since
        then is newer than what a 304 to another tells. One that was replaced is left alone.
        """
        validated = self._validated
        if validated is None or validated.variant == self.variant or validated.varies_on != self.varies_on:
            return
        if validated.key == self.key and self._cache.get(self.key, validated.variant) is validated:
            self._store(replace(entry, variant=validated.variant, requested_mono=validated.requested_mono))

    def _store(self, entry: Entry) -> None:
        self._cache.store(entry, began=self.epoch, max_variants=self.plan.route.cache.max_variants)

    def _discard_validated(self) -> None:
        """What was to be validated may not be stored any more, by the origin's last word."""
        refuted, head = self._validated or self.plan.validating.own_entry, self.head
        if refuted is not None and head is not None and head.status < 400 and _anonymous(self.plan.request):
            self._cache.discard(refuted)

    def _broke_off(self, error: BaseException) -> None:
        """The forward request failed, in the middle of the body or before the head; or nobody was left."""
        cause = error if isinstance(error, ProxyError) else FlightFailed("the forward request was abandoned")
        if self.state is not State.ASKING and self.head is not None:
            if not self.body.ended:
                self.body.fail(cause)
                self.ending = Ending.BODY_CUT if isinstance(error, ProxyError) else Ending.ABANDONED
                if self.ending is Ending.BODY_CUT:
                    logger.warning("fill_cut key=%r seats=%d reason=%s", self.key, len(self._seats), cause)
        else:
            given_up = isinstance(error, NotStored) or not isinstance(error, ProxyError)
            self.ending = Ending.ABANDONED if given_up else Ending.UNREACHABLE
        if isinstance(error, NotShared):
            self._not_shared(error)
        if isinstance(error, OriginUnreachable):
            for_s = self.plan.route.coalesce.unreachable_for_s
            self._cache.keys.mark_unreachable(self.plan.key, str(error), for_s=for_s)
        told = Failed(FlightFailed(f"the request waited for failed: {cause}"))
        for seat in self._seats:
            if not seat.settled:
                own_fault = isinstance(error, ClientError) and seat.role is Role.WAITER
                if own_fault:
                    seat.settle(Regroup(reelection=True))
                else:
                    seat.settle(Failed(cause) if seat.role is not Role.WAITER else told)

    def _not_shared(self, error: NotShared) -> None:
        """The owner of the key shares it with nobody, or not with the leader: then the others try again."""
        self.ending = Ending.NOT_FOR_SHARING
        for_all = not isinstance(error, NotForAsker)
        if for_all:
            for_s = self.plan.route.coalesce.not_shareable_for_s
            self._cache.keys.mark_not_shareable(self.plan.key, self.plan.variant, Reason.OWNER, for_s=for_s)
        for seat in self._seats:
            if not seat.settled:
                regroups = seat.role is Role.WAITER and not for_all
                seat.settle(Regroup() if regroups else Released(Reason.OWNER))

    def _over(self) -> None:
        self.state = State.OVER
        for future in self._head_waiters:
            if not future.done():
                future.set_result(None)
        self._deadlines.clear()
        if self._keeping is not None:
            self._keeping.end()
        self._cache.fences.leave(self.epoch)
        self._table.remove(self)


_ENDINGS: dict[type[object], Ending] = {
    Shareable: Ending.SHARED,
    WaitingOnly: Ending.WAITING_ONLY,
    NotForSharing: Ending.NOT_FOR_SHARING,
    AboutLeader: Ending.ABOUT_LEADER,
    OriginFailed: Ending.ORIGIN_FAILED,
}


def _anonymous(request: RequestHead) -> bool:
    """Whether the answer tells of everybody's: one to a user may be private where the rest is not."""
    return b"cookie" not in request.fields and b"authorization" not in request.fields


def _with_cookies_of(validation: ResponseHead, head: ResponseHead) -> ResponseHead:
    """The freshened head for the one who asked: a Set-Cookie of the 304 replaces what is stored, for him."""
    cookies = tuple(pair for pair in validation.fields if pair[0].lower() == b"set-cookie")
    if not cookies:
        return head
    return replace(head, fields=head.fields.without({b"set-cookie"}).with_added(*cookies))


_CONDITIONS = frozenset(
    {b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"}
)


def _is_conditional(forward: ForwardRequest) -> bool:
    return any(name.lower() in _CONDITIONS for name, _ in forward.fields)


def _of_no_slice(taken: Seen) -> Verdict | None:
    """The verdict on an answer to our own Range that is not what the others asked for."""
    if taken.changed:  # whole, and only for who began with what it was before: another may begin anew
        return AboutLeader(taken.head.status)
    return None if taken.refusal is None else NotForSharing(Reason.PARTIAL, marks=False)


def _ending_of(verdict: Verdict) -> Ending:
    return _ENDINGS[type(verdict)]
