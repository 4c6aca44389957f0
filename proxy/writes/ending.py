"""The last steps of a write, in the order that the promises rest on.

    the cache knows (`attempting.py`) ──► a lane that is to halt is halted ──► state, result and event are
    kept as one ──► the lanes are left ──► those who wait are told

The next write of the key is sent only when this one's end is kept: else a crash could repeat this one after
that one. Nobody is told before the lanes are left, nor the lanes left before the cache knows: who has his
answer and reads, or writes again, meets what he was told.

An end that cannot be kept is tried again for as long as it takes, with the lanes held. Those who wait are
told after a while all the same: what they wait for is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from proxy.clock import Clock
from proxy.errors import QueueUnavailable
from proxy.http.fields import Fields
from proxy.writes.attempting import Answered
from proxy.writes.events import CommitEvent
from proxy.writes.job import Job, Phase
from proxy.writes.lanes import Lanes
from proxy.writes.outcomes import Doubt, Ended
from proxy.writes.policy import AfterDead
from proxy.writes.port import Store, WriteQueue
from proxy.writes.problem import Problem
from proxy.writes.states import DEAD_LETTERS, NEVER_SENT, State, after
from proxy.writes.waiting import Ending, Waiters
from proxy.writes.write import Mode, Result

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
PATIENCE_S: Final = 10.0
"""How long those who wait are kept waiting by an end that cannot be kept."""


def _nothing(_: Job) -> None:
    """Nothing is to be done meanwhile."""


class Endings:
    """Ends writes. Whoever had it end one starts what may start now."""

    def __init__(
        self,
        *,
        queue: WriteQueue,
        store: Store,
        waiters: Waiters,
        clock: Clock,
        lanes: Lanes,
    ) -> None:
        self._queue = queue
        self._store = store
        self._waiters = waiters
        self._clock = clock
        self._lanes = lanes
        self.while_kept: Callable[[Job], None] = _nothing
        """Called when the end of a job is about to be kept, if that takes any time."""
        self.ended: Counter[State] = Counter()
        """Writes by the state that they ended in."""

    async def end(self, job: Job, ended: Ended, answered: Answered) -> None:
        """Take all steps. Of a job whose shard is lost, nothing is kept or told: its next owner ends it."""
        job.step(ended.step)
        result = self._result(job, job.state, ended, answered)
        ending = Ending(result, answered.kept.rest, answered.head)
        buried = ended.problem if job.state in DEAD_LETTERS and job.write.mode is Mode.ASYNC else None
        if buried is not None and job.policy.after_dead is AfterDead.HALT:
            await self._halt_lanes(job, buried)
        ending = await self._keep(job, buried, ending, self._event(job, answered, result))
        if job.phase is not Phase.GONE:
            self._lanes.leave(job)
        if job.forgotten:  # the next owner's end counts, and is told
            if ending.rest is not None:
                ending.rest.close()
            return
        self.ended[job.state] += 1
        self._waiters.tell(job.write.id, ending)

    def tell_before(self, job: Job, ended: Ended, answered: Answered) -> None:
        """Tell those who wait how it will end, when that is certain and cannot be kept yet."""
        result = self._result(job, after(job.state, ended.step), ended, answered)
        self._waiters.tell(job.write.id, Ending(result, answered.kept.rest))

    async def _halt_lanes(self, job: Job, problem: Problem) -> None:
        for key in job.write.keys:
            self._lanes.block(key)
            try:
                await self._store.pause(key, problem)
            except QueueUnavailable as error:
                logger.error("lane_halted_until_restart key=%s error=%s", key, error)

    async def _keep(self, job: Job, buried: Problem | None, ending: Ending, event: CommitEvent) -> Ending:
        """Try until it is kept; what is left to tell."""
        pause_s, told_mono = FIRST_PAUSE_S, self._clock.mono() + PATIENCE_S
        while not await self._kept(job, buried, ending.result, event):
            if job.forgotten:
                break
            if self._clock.mono() >= told_mono:
                self._waiters.tell(job.write.id, ending)
                ending = Ending(ending.result)  # the rest is in their hands, or closed
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return ending

    async def _kept(self, job: Job, buried: Problem | None, result: Result, event: CommitEvent) -> bool:
        try:
            if buried is None:
                keeping = self._queue.done(job.delivery, result, event)
            else:
                keeping = self._queue.bury(job.delivery, buried, result, event)
            if keeping is not None:
                self.while_kept(job)
                await keeping
        except QueueUnavailable as error:
            logger.warning("write_end_not_kept write=%s error=%s", job.write.id, error)
            return False
        return True

    def _result(self, job: Job, state: State, ended: Ended, answered: Answered) -> Result:
        head, kept = answered.head, answered.kept
        return Result(
            state=state,
            attempts=job.attempts,
            taken=job.doubt is not Doubt.NONE or state not in _UNTAKEN_STATES,
            finished_at=self._clock.now(),
            status=None if head is None else head.status,
            fields=_NO_FIELDS if head is None else head.fields,
            body=kept.octets,
            complete=kept.whole,
            problem=ended.problem,
        )

    def _event(self, job: Job, answered: Answered, result: Result) -> CommitEvent:
        write, head = job.write, answered.head
        return CommitEvent(
            write_id=write.id,
            route=write.route,
            keys=write.keys,
            shard=write.shard,
            method=write.method,
            target=write.target,
            state=job.state,
            at=result.finished_at,
            ingress=write.ingress,
            status=result.status,
            accepted=job.state is State.COMMITTED and result.status == 202,
            etag=None if head is None else head.fields.get(b"etag"),
            invalidated=answered.invalidated,
        )


_NO_FIELDS: Final = Fields()
_UNTAKEN_STATES: Final = NEVER_SENT | {State.DEAD}
"""Without doubt these tell that nothing was done: no octet left, or each answer says that it was not."""
