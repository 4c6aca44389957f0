"""Works the lanes: starts what may start, lets rest what must wait, and hands shards over.

Theory of operation. A backend delivers; each delivery is a job in its lanes (`lanes.py`). While a job runs
it is a task, and no longer: a key at rest, a job in a queue, a job that waits for its next attempt are
objects in tables. A run is one attempt (`attempting.py`); then the job ends (`ending.py`) or rests.

A job that rests has a timer. One that waits for its turn has none of its own: when it must not be started any
more is seen to by `expiries.py`.

Grace. What an owner before us may have sent can still be at the origin. So a delivery that comes again, and
after an unclean end every delivery of a route whose writes leave no mark, is not started before the longest
time that an attempt takes is over. Those behind it in its lanes wait with it; all others start at once.

Settling. A write that is given up as unknown may be at the origin still. Who waits is told, but it rests at
the head of its lanes until that is over, and only then is its end kept: a crash meanwhile finds it in doubt.

Handing over. Losing a shard in good order: nothing of it starts any more, what runs is awaited, the rest
is forgotten here, since its next owner gets it. Losing it at once: all of it is forgotten in one step, and
a task that runs for it finds that out after its next wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from proxy.clock import Clock
from proxy.writes.attempting import Answered, Attempts, Over
from proxy.writes.delivery import Delivery
from proxy.writes.ending import Endings
from proxy.writes.expiries import LONGEST_LOOK_S, Expiries
from proxy.writes.job import AT_WORK, Job, Phase
from proxy.writes.lanes import Lanes
from proxy.writes.outcomes import Doubt, Ended, Kind, Reading, given_up
from proxy.writes.policy import WritePolicy
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import FINAL, Step

logger = logging.getLogger(__name__)

_NO_ROUTE: Final = WritePolicy(origin="")


class Refusal(StrEnum):
    """Why an operator's or a client's word about a write has no effect."""

    NOT_HERE = "not here"
    RUNNING = "running"
    SENT = "sent"


@dataclass(slots=True)
class _Shard:
    epoch: int
    gained_mono: float
    clean: bool
    closing: bool = False


class Scheduler:
    """`proxy.writes.port.Owner`. One event loop owns it.

    `policies` gives a route's policy by its name, None if there is no such route. `extra_grace_s` is what a
    lease, and the slack of clocks, add to the grace.
    """

    def __init__(
        self,
        *,
        lanes: Lanes,
        attempts: Attempts,
        endings: Endings,
        policies: Callable[[str], WritePolicy | None],
        clock: Clock,
        extra_grace_s: float = 0.0,
    ) -> None:
        self.lanes = lanes
        self._attempts = attempts
        self._policies = policies
        self._clock = clock
        self._extra_grace_s = extra_grace_s
        self._endings = endings
        endings.while_kept = self._mark_behind
        self._shards: dict[int, _Shard] = {}
        self._settling: dict[Job, Over] = {}
        self._tasks: dict[Job, asyncio.Task[None]] = {}
        self._settled = asyncio.Event()
        self._stopped = False
        self._expiries = Expiries(clock, due=self._due)

    def __repr__(self) -> str:
        stopped = " stopped" if self._stopped else ""
        return f"<Scheduler {self.lanes!r} shards={len(self._shards)}{stopped}>"

    # what the backend tells

    def gained(self, shard: int, *, epoch: int, clean: bool) -> None:
        if shard in self._shards:
            self.lost(shard)
        self._shards[shard] = _Shard(epoch, self._clock.mono(), clean)

    def deliver(self, delivery: Delivery) -> None:
        shard = self._shards.get(delivery.write.shard)
        if shard is None or shard.epoch != delivery.epoch:
            logger.info("write_delivered_too_late write=%s", delivery.write.id)
            return
        policy = self._policies(delivery.write.route)
        orphan = policy is None
        policy = policy or _NO_ROUTE
        job = Job(delivery, policy, orphan=orphan, not_before_mono=self._grace_mono(delivery, shard, policy))
        if not self.lanes.add(job):
            logger.warning("write_delivered_twice write=%s", delivery.write.id)
            return
        if delivery.redelivered:
            self._attempts.doubt(job)
        self._pump()
        if job.phase in (Phase.WAITING, Phase.READY):
            job.write.pack()
            self._arm(job)

    def _grace_mono(self, delivery: Delivery, shard: _Shard, policy: WritePolicy) -> float:
        if not (delivery.redelivered or (policy.unrecorded and not shard.clean)):
            return 0.0
        grace_s = policy.grace_s()
        return shard.gained_mono + grace_s + self._extra_grace_s if grace_s else 0.0

    def withdraw(self, delivery: Delivery) -> None:
        job = self.lanes.get(delivery.write.id)
        if job is None:
            return
        job.withdrawn = True
        if job.phase not in AT_WORK:  # else its task finds out: it waits for its mark to be kept
            self._drop(job)
            self._pump()

    async def losing(self, shard: int, *, deadline_s: float) -> None:
        if shard not in self._shards:
            return
        self._shards[shard].closing = True
        await self.until(lambda: not any(self._running_of(shard)), deadline_s)
        self._take_marks_back(job for job in self.lanes if job.write.shard == shard)
        self.lost(shard)

    def lost(self, shard: int) -> None:
        self._shards.pop(shard, None)
        for job in [job for job in self.lanes if job.write.shard == shard]:
            job.forgotten = True
            self._drop(job)
        self._pump()

    # at work

    def _pump(self) -> None:
        """Start all that may start."""
        while not self._stopped and (job := self.lanes.take()) is not None:
            self._launch(job)

    def _launch(self, job: Job) -> None:
        self._disarm(job)
        if self._shards[job.write.shard].closing:
            self.lanes.rest(job)
        elif job.not_before_mono > self._clock.mono():
            self._rest(job)
        elif self._is_expired(job):
            self._end(job, _expired())
        else:
            self._spawn(self._run(job), job)

    async def _run(self, job: Job) -> None:
        run = await self._attempts.run(job)
        if isinstance(run, Over):
            if run.settle_s > 0 and not job.forgotten:
                self._settle(job, run)
            else:
                await self._endings.end(job, run.ended, run.answered)
        elif job.withdrawn and not job.forgotten:
            self._drop(job)
        elif not job.forgotten:
            job.not_before_mono = self._clock.mono() + run.pause_s
            self._rest(job)

    def _mark_behind(self, job: Job) -> None:
        """Its end is being kept: have the start of the next one kept with it, and a hot key waits once."""
        if self._stopped or job.forgotten or self._shards[job.write.shard].closing:
            return
        behind = self.lanes.behind(job)
        if behind is None:
            return
        if behind.not_before_mono <= self._clock.mono() and not self._is_expired(behind):
            self._attempts.mark(behind)

    def _take_marks_back(self, jobs: Iterable[Job]) -> None:
        """What was marked does not start now: nobody is to take it for sent."""
        for job in jobs:
            if job.phase not in AT_WORK:
                self._attempts.unmark(job)

    def _settle(self, job: Job, over: Over) -> None:
        """Its end is known, and told; it is kept, and the lanes are left, when nothing can come after it."""
        self._endings.tell_before(job, over.ended, over.answered)
        job.step(Step.RETRY)
        kept = replace(over.answered.kept, rest=None)  # it is in the hands of who was told, or closed
        self._settling[job] = Over(over.ended, replace(over.answered, kept=kept))
        job.not_before_mono = self._clock.mono() + over.settle_s
        self._rest(job)

    def _rest(self, job: Job) -> None:
        self.lanes.rest(job)
        self._arm(job)

    def _drop(self, job: Job) -> None:
        """Forget it: its end is not ours to keep."""
        self._disarm(job)
        self._settling.pop(job, None)
        self.lanes.leave(job)

    def _end(self, job: Job, ended: Ended, answered: Answered | None = None) -> None:
        """End a job that does not run, or has just been taken, wherever in its lanes it is."""
        self._disarm(job)
        self.lanes.finish(job)
        self._spawn(self._endings.end(job, ended, answered or Answered()), job)

    # tasks

    def _spawn(self, work: Coroutine[None, None, None], job: Job) -> None:
        # Its owner is this table: it ends by itself what fails, and so needs nothing that `spawn` adds.
        self._tasks[job] = asyncio.get_running_loop().create_task(self._guarded(work, job))

    async def _guarded(self, work: Coroutine[None, None, None], job: Job) -> None:
        """No defect of ours may hold a lane for ever: what it hits ends as one of which nobody knows."""
        try:
            await work
        except Exception:
            logger.exception("write_failed write=%s", job.write.id)
            await self._end_broken(job)
        finally:
            del self._tasks[job]
            self._settled.set()
            self._pump()  # now, not a turn of the loop later: a hot key waits for this

    async def _end_broken(self, job: Job) -> None:
        if job.state not in FINAL:
            reading = Reading(Kind.UNKNOWN, "an internal error; see the log")
            await self._endings.end(job, given_up(reading, doubt=Doubt.UNKNOWN), Answered())
        elif job.phase is not Phase.GONE:
            self._drop(job)

    def _running_of(self, shard: int) -> Iterator[Job]:
        return (job for job in self.lanes if job.write.shard == shard and job.phase in AT_WORK)

    async def until(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        """Wait until it holds after some task's end; False if the time is over before."""
        try:
            async with asyncio.timeout(deadline_s):
                while not condition():
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return False
        return True

    # timers

    def _is_expired(self, job: Job) -> bool:
        return job.never_sent and self._clock.now() >= job.write.not_after

    def _arm(self, job: Job) -> None:
        """Look at it again when its rest is over, or its time."""
        if job.phase is Phase.RESTING:
            delay_s = job.not_before_mono - self._clock.mono()
            if job.never_sent:
                delay_s = min(delay_s, job.write.not_after - self._clock.now(), LONGEST_LOOK_S)
            job.alarm = asyncio.get_running_loop().call_later(max(0.0, delay_s), self._due, job)
        elif job.never_sent and job.phase in (Phase.WAITING, Phase.READY):
            self._expiries.add(job)

    def _disarm(self, job: Job) -> None:
        if job.alarm is not None:
            job.alarm.cancel()
            job.alarm = None
        else:
            self._expiries.discard(job)

    def _due(self, job: Job) -> None:
        job.alarm = None
        if self._is_expired(job):
            self._end(job, _expired())
        elif job.phase is Phase.RESTING and job.not_before_mono <= self._clock.mono():
            self._rested(job)
        else:
            self._arm(job)
        self._pump()

    def _rested(self, job: Job) -> None:
        over = self._settling.pop(job, None)
        if over is not None:
            self._end(job, over.ended, over.answered)
        else:
            self.lanes.ripen(job)
            self._arm(job)

    # an operator's and a client's words

    def block(self, key: str) -> None:
        """Start nothing of this key from now on."""
        self.lanes.block(key)
        self._take_marks_back(self.lanes.lane(key))

    def unblock(self, key: str) -> None:
        """Go on with this key."""
        self.lanes.unblock(key)
        self._pump()

    def cancel(self, write_id: str) -> Refusal | None:
        """Take a write back that was never sent; None if that is done."""
        job = self.lanes.get(write_id)
        if job is None:
            return Refusal.NOT_HERE
        if job.phase in AT_WORK:
            return Refusal.RUNNING
        if not job.never_sent:
            return Refusal.SENT
        self._end(job, Ended(Step.CANCEL, Problem(ProblemType.CANCELLED, "it was taken back")))
        self._pump()
        return None

    def skip(self, key: str) -> Refusal | None:
        """Give up the write at the head of this key, as a dead letter; None if that is done."""
        lane = self.lanes.lane(key)
        if not lane:
            return Refusal.NOT_HERE
        job = lane[0]
        if job.phase in AT_WORK:
            return Refusal.RUNNING
        step = Step.LOSE if job.doubt is Doubt.UNKNOWN else Step.GIVE_UP
        ended = Ended(step, Problem(ProblemType.SKIPPED, "an operator skipped it"))
        if job.phase is Phase.RESTING and step is Step.LOSE:  # what it left at the origin goes first
            self._settling.setdefault(job, Over(ended))
        else:
            self._end(job, ended)
            self._pump()
        return None

    # the end

    async def drain(self, *, deadline_s: float) -> bool:
        """Start nothing more and wait for what runs; False if some of it runs still at the deadline."""
        self._stopped = True
        drained = await self.until(lambda: not self._tasks, deadline_s)
        self._take_marks_back(self.lanes)
        return drained

    @property
    def haunted(self) -> bool:
        """Whether an attempt that left no mark was lost sight of, and may be at the origin still."""
        now_mono = self._clock.mono()
        return any(
            job.doubt is Doubt.UNKNOWN and not job.write.durable and job.not_before_mono > now_mono
            for job in self.lanes
        )

    def close(self) -> None:
        """Forget all jobs, and stop what runs."""
        self._stopped = True
        for task in tuple(self._tasks.values()):
            task.cancel()
        for shard in tuple(self._shards):
            self.lost(shard)
        self._expiries.close()


def _expired() -> Ended:
    return Ended(Step.EXPIRE, Problem(ProblemType.EXPIRED, "its time was over before it was sent"))
