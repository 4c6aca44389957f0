"""One run of a job: an attempt to apply its write, and what the cache has to know of it at once.

    lease? ──► STARTED kept ──► send, where the lease is asked again and fills are fenced ──► the head comes
    ──► it is concluded ──► the cache is told ──► the body is read, if the write is over

STARTED is kept before anything is sent: a crash from here on gives the write back as one in doubt. Of who
follows another one of its key it is kept in the commit that keeps that one's end (`mark`). The
lease is asked again in the step of the first octet, since the request may have waited for a place at the
origin.

An attempt that was lost sight of, by a cut connection or a gateway's 502, may be at the origin still. What
comes next of its key, its own repetition first of all, waits until that cannot be any more: else it could be
applied before it, and be overwritten. A key that waits so costs time, and a route can say that it is not
worth it (`settle_s`).

The cache is told when the head is there, not when the body is: from then on the new value is what a
fetch brings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from proxy.clock import Clock
from proxy.errors import PurgeNotDurable, QueueUnavailable, RefusedError
from proxy.http.messages import ResponseHead
from proxy.writes.forwarding import Attempt, Forwarder, Kept
from proxy.writes.job import Job, Mark
from proxy.writes.outcomes import (
    EFFECTS,
    Again,
    Conclusion,
    Doubt,
    Effect,
    Ended,
    Kind,
    Reading,
    conclude,
    doubt_left,
    given_up,
)
from proxy.writes.policy import WritePolicy
from proxy.writes.port import WriteQueue
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State, Step
from proxy.writes.waiting import Waiters
from proxy.writes.write import Mode, Write

logger = logging.getLogger(__name__)

LEASE_POLL_S: Final = 0.25
"""How soon a lease is asked for again; it comes back with the broker's next sign of life."""

QUEUE_POLL_S: Final = 1.0
"""How soon a queue that could not be written is tried again."""

MEAN_WEIGHT: Final = 0.1
"""Of the latest attempt in the mean time of all."""


class LeaseOver(RefusedError):
    """The right to work this shard ended while the request waited for its place; nothing was sent."""


class Effects(Protocol):
    """What keeps the cache true: `effects.CacheEffects`."""

    def fence(self, write: Write, policy: WritePolicy) -> None: ...

    def apply(
        self, effect: Effect, write: Write, policy: WritePolicy, head: ResponseHead | None
    ) -> tuple[str, ...]: ...

    async def durable(self) -> None: ...


@dataclass(slots=True)
class Answered:
    """What is known of the origin's answer: nothing, without one."""

    head: ResponseHead | None = None
    kept: Kept = field(default_factory=Kept)
    invalidated: tuple[str, ...] = ()


@dataclass(slots=True)
class Over:
    """The write is over; its lanes are not before `settle_s` have passed."""

    ended: Ended
    answered: Answered = field(default_factory=Answered)
    settle_s: float = 0.0


@dataclass(slots=True)
class NotYet:
    """It stays at the head of its lanes, and is to be run again after a pause."""

    pause_s: float


class Attempts:
    """Runs jobs. `chance` gives numbers in [0, 1)."""

    def __init__(
        self,
        *,
        queue: WriteQueue,
        forwarder: Forwarder,
        effects: Effects,
        waiters: Waiters,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._forwarder = forwarder
        self._effects = effects
        self._waiters = waiters
        self._clock = clock
        self._chance = chance
        self.begun = 0
        """Attempts that were begun."""
        self.unknown = 0
        """Those of which nobody knows what became."""
        self.mean_s = 0.0
        """How long attempts take, the latest counting most."""

    def doubt(self, job: Job) -> None:
        """An owner before us may have sent it: what it changes is not what the cache has."""
        self._effects.apply(Effect.INVALIDATE_AND_HOLD, job.write, job.policy, None)

    async def run(self, job: Job) -> Over | NotYet:
        """One attempt, if there may be one. What it returns of a job that is forgotten means nothing."""
        if job.forgotten or job.withdrawn:  # between being started and its task's first step
            return NotYet(0.0)
        refusal = self._refusal(job)
        if refusal is not None:
            names: tuple[str, ...] = ()
            if job.doubt is Doubt.UNKNOWN:
                names = await self._tell_cache(Effect.INVALIDATE_AND_HOLD, job, None)
            return Over(refusal, Answered(invalidated=names))
        if self._queue.lease_left_s(job.write.shard) <= 0:
            return NotYet(LEASE_POLL_S)
        attempt = job.attempts + 1
        try:
            marked = self._marked(job) or self._queue.started(job.delivery, attempt=attempt)
            if marked is not None:
                await marked
        except QueueUnavailable as error:
            logger.warning("write_not_marked write=%s error=%s", job.write.id, error)
            return NotYet(QUEUE_POLL_S)
        if job.forgotten or job.withdrawn:
            return NotYet(0.0)
        return await self._attempt(job, attempt)

    def mark(self, job: Job) -> None:
        """Begin to mark the attempt that is to follow at once; `run` waits for that then."""
        if job.mark is None and self._refusal(job) is None:
            job.mark = self._submit_mark(job, job.attempts + 1)

    def unmark(self, job: Job) -> None:
        """It did not follow: take that back."""
        if job.mark is not None:
            job.mark = None
            self._submit_mark(job, job.attempts)

    def _submit_mark(self, job: Job, attempt: int) -> asyncio.Future[None] | None:
        try:
            marked = self._queue.started(job.delivery, attempt=attempt)
        except QueueUnavailable:
            return None
        if marked is not None:
            marked.add_done_callback(_seen)
        return marked

    def _marked(self, job: Job) -> Mark | None:
        """The mark that was begun before, unless that failed."""
        mark, job.mark = job.mark, None
        failed = mark is not None and mark.done() and (mark.cancelled() or mark.exception() is not None)
        return None if failed else mark

    def _refusal(self, job: Job) -> Ended | None:
        """Why there is no attempt: the write is over without one."""
        if job.orphan:
            problem = Problem(ProblemType.ROUTE_GONE, f"no route is called {job.write.route!r} any more")
            return Ended(Step.LOSE if job.doubt is Doubt.UNKNOWN else Step.GIVE_UP, problem)
        if job.doubt is not Doubt.UNKNOWN or job.state is not State.QUEUED:
            return None
        retry = job.policy.retry_of(job.write.method)
        spent = job.attempts >= retry.max_attempts or self._clock.now() >= job.write.not_after
        if job.policy.may_repeat(job.write.method) and not spent:
            return None
        told = "an earlier owner may have sent it, and it may not be sent again"
        return given_up(Reading(Kind.UNKNOWN, told), doubt=Doubt.UNKNOWN)

    async def _attempt(self, job: Job, attempt: int) -> Over | NotYet:
        job.attempts = attempt
        job.step(Step.START)
        if job.first_mono is None:
            job.first_mono = self._clock.mono()
        self.begun += 1
        barred = False

        def last_word() -> None:
            nonlocal barred
            barred = job.forgotten or self._queue.lease_left_s(job.write.shard) <= 0
            if barred:
                raise LeaseOver(f"the lease of shard {job.write.shard} is over")
            job.sent_mono = self._clock.mono()
            self._effects.fence(job.write, job.policy)

        sent = await self._forwarder.send(job.write, job.policy, before_sending=last_word)
        if job.sent_mono is not None:
            weight = MEAN_WEIGHT if self.mean_s else 1.0
            self.mean_s += weight * (self._clock.mono() - job.sent_mono - self.mean_s)
        if barred:  # it is no attempt: the lease comes back, or the shard goes
            job.attempts -= 1
            job.step(Step.RETRY)
            return NotYet(LEASE_POLL_S)
        return await self._conclude(job, sent)

    async def _conclude(self, job: Job, sent: Attempt) -> Over | NotYet:
        pause_s = 0.0 if sent.reading.kind in _CERTAIN else self._pause_s(job, sent.reading)
        try:
            conclusion = conclude(
                sent.reading,
                doubt=job.doubt,
                repeatable=job.policy.may_repeat(job.write.method),
                another=sent.reading.kind not in _CERTAIN and self._another(job, pause_s),
                client_is_told=job.write.mode is Mode.SYNC,
            )
            self.unknown += sent.reading.kind is Kind.UNKNOWN
            names = await self._tell_cache(_effect(sent.reading, conclusion), job, sent.head)
        except BaseException:
            sent.close()
            raise
        if isinstance(conclusion, Again):
            sent.close()
            job.doubt = conclusion.doubt
            job.step(Step.RETRY)
            return NotYet(max(pause_s, self._settling_s(job, sent.reading)))
        job.doubt = doubt_left(job.doubt, sent.reading)
        answered = Answered(sent.head, await self._kept(job, sent), names)
        return Over(conclusion, answered, self._settling_s(job, sent.reading))

    def _pause_s(self, job: Job, reading: Reading) -> float:
        retry = job.policy.retry_of(job.write.method)
        return retry.pause_s(job.attempts, chance=self._chance(), at_least_s=reading.retry_after_s)

    def _settling_s(self, job: Job, reading: Reading) -> float:
        """Seconds in which this attempt may still be at the origin, although nothing is heard of it."""
        if reading.kind is not Kind.UNKNOWN or job.sent_mono is None:
            return 0.0
        return job.sent_mono + job.policy.grace_s() - self._clock.mono()

    def _another(self, job: Job, pause_s: float) -> bool:
        """Whether attempts and time are left for one more after the pause."""
        retry = job.policy.retry_of(job.write.method)
        assert job.first_mono is not None, f"{job!r} was not begun"
        return (
            job.attempts < retry.max_attempts
            and self._clock.mono() + pause_s <= job.first_mono + retry.budget_s
            and self._clock.now() + pause_s < job.write.not_after
        )

    async def _tell_cache(self, effect: Effect, job: Job, head: ResponseHead | None) -> tuple[str, ...]:
        names = self._effects.apply(effect, job.write, job.policy, head)
        if effect is not Effect.NONE:
            try:
                await self._effects.durable()
            except PurgeNotDurable as error:
                # The origin has applied it whether we like it or not: the write ends, and this is told.
                logger.error("write_invalidation_not_durable write=%s error=%s", job.write.id, error)
        return names

    async def _kept(self, job: Job, sent: Attempt) -> Kept:
        if sent.response is None:
            return Kept()
        reads = self._waiters.reads(job.write.id)
        return await self._forwarder.keep(sent, job.policy, leave_rest=reads)


_CERTAIN: Final = (Kind.APPLIED, Kind.ACCEPTED, Kind.REFUSED)
"""Kinds after which there is no other attempt."""


def _seen(mark: asyncio.Future[None]) -> None:
    """Whoever waits for it is told of a failure, and nobody may wait."""
    if not mark.cancelled():
        mark.exception()


def _effect(reading: Reading, conclusion: Conclusion) -> Effect:
    if isinstance(conclusion, Ended) and conclusion.step is Step.DOUBT:
        return Effect.INVALIDATE
    return EFFECTS[reading.kind]
