"""The model is red where the lanes are wrong: mutants, each caught in every search."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from proxy.tasks import spawn
from proxy.writes.attempting import Answered, Attempts, NotYet, Over
from proxy.writes.ending import Endings
from proxy.writes.job import Job
from proxy.writes.job import Phase as JobPhase
from proxy.writes.lanes import Lanes
from proxy.writes.outcomes import Ended
from proxy.writes.policy import WritePolicy
from proxy.writes.scheduler import Scheduler
from proxy.writes.states import State, Step
from tests.writes.fake_queue import FakeQueue
from tests.writes.model import LanesModel

LIMIT = 400
"""Histories within which a mutant must be caught; each is caught within a few dozen."""

SEARCHES = int(os.environ.get("LOCKGATE_MUTANT_SEARCHES", "1"))
"""For each mutant; raise it to see that none is caught by luck."""

Mutate = Callable[[pytest.MonkeyPatch], None]


def _last_in_first_out(patch: pytest.MonkeyPatch) -> None:
    right = Lanes.add

    def add(self: Lanes, job: Job) -> bool:
        added = right(self, job)
        for key in job.write.keys if added else ():
            lane = self._lanes[key]
            if len(lane) > 2:
                lane.insert(1, lane.pop())
        return added

    patch.setattr(Lanes, "add", add)


def _two_workers_in_a_lane(patch: pytest.MonkeyPatch) -> None:
    def is_head(self: Lanes, job: Job) -> bool:
        return all(job in self._lanes[key][:2] for key in job.write.keys)

    def add(self: Lanes, job: Job) -> bool:
        added = right(self, job)
        for lane in self._lanes.values():
            for one in lane[:2]:
                self._ready_if_it_may(one)
        return added

    right = Lanes.add
    patch.setattr(Lanes, "is_head", is_head)
    patch.setattr(Lanes, "add", add)


def _queued_again_for_a_retry(patch: pytest.MonkeyPatch) -> None:
    right = Scheduler._rest

    def rest(self: Scheduler, job: Job) -> None:
        if job.state is not State.RETRY_WAIT or len(self.lanes.lane(job.write.keys[0])) == 1:
            right(self, job)
            return
        self.lanes.leave(job)
        job.phase, job.not_before_mono = JobPhase.WAITING, 0.0
        self.lanes.add(job)

    patch.setattr(Scheduler, "_rest", rest)


def _acknowledged_before_it_is_sent(patch: pytest.MonkeyPatch) -> None:
    right = Attempts._attempt

    async def attempt(self: Attempts, job: Job, number: int) -> Over | NotYet:
        queue = self._queue
        assert isinstance(queue, FakeQueue)
        entry = queue.entry_of(job.write.id)
        if entry is not None and entry.result is None:
            waits = queue.done(job.delivery, *_made_up(job))
            if waits is not None:
                await waits
        return await right(self, job, number)

    async def keep(self: Endings, *_parts: object) -> None:
        pass

    patch.setattr(Attempts, "_attempt", attempt)
    patch.setattr(Endings, "_keep", keep)


def _made_up(job: Job) -> tuple[object, object]:
    endings = Endings.__new__(Endings)
    endings._clock = _Epoch()  # type: ignore[assignment]
    state, job.state = job.state, State.COMMITTED
    result = endings._result(job, Ended(Step.COMMIT), Answered())
    event = endings._event(job, Answered(), result)
    job.state = state
    return result, event


class _Epoch:
    def now(self) -> float:
        return 0.0


def _left_before_its_end_is_kept(patch: pytest.MonkeyPatch) -> None:
    right = Endings._keep

    async def keep(self: Endings, job: Job, *parts: object) -> None:
        spawn(right(self, job, *parts), name="kept behind")  # type: ignore[arg-type]

    patch.setattr(Endings, "_keep", keep)


def _the_cache_is_told_behind_the_end(patch: pytest.MonkeyPatch) -> None:
    right = Endings._kept
    effects: dict[Endings, list[Callable[[], None]]] = {}

    async def kept(self: Endings, *parts: object) -> bool:
        done = await right(self, *parts)  # type: ignore[arg-type]
        for late in effects.pop(self, ()):
            late()
        return done

    async def tell(self: Attempts, effect: object, job: Job, head: object) -> tuple[str, ...]:
        return ()

    patch.setattr(Endings, "_kept", kept)
    patch.setattr(Attempts, "_tell_cache", tell)


def _no_grace(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "_grace_mono", lambda *_: 0.0)


def _no_mark_before_it_is_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FakeQueue, "started", lambda *_, **__: None)


def _everything_may_be_repeated(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WritePolicy, "may_repeat", lambda *_: True)


def _what_was_sent_is_taken_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Job, "never_sent", property(lambda _: True))


def _a_lost_shard_goes_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "lost", lambda *_: None)


def _a_lane_is_left_behind(patch: pytest.MonkeyPatch) -> None:
    right = Lanes._leave_lane

    def leave_lane(self: Lanes, key: str, job: Job) -> Job | None:
        head = right(self, key, job)
        self._lanes.setdefault(key, [])
        return head

    patch.setattr(Lanes, "_leave_lane", leave_lane)


def _a_pause_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lanes, "unblock", lambda self, key: self._blocked.discard(key))


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutate",
    [
        _last_in_first_out,
        _two_workers_in_a_lane,
        _queued_again_for_a_retry,
        _acknowledged_before_it_is_sent,
        _left_before_its_end_is_kept,
        _the_cache_is_told_behind_the_end,
        _no_grace,
        _no_mark_before_it_is_sent,
        _everything_may_be_repeated,
        _what_was_sent_is_taken_back,
        _a_lost_shard_goes_on,
        _a_lane_is_left_behind,
        _a_pause_is_forgotten,
    ],
)
@pytest.mark.parametrize("number", range(1, 1 + SEARCHES))
def test_a_mutant_is_caught(mutate: Mutate, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    search = settings(
        max_examples=LIMIT,
        stateful_step_count=40,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    with pytest.raises(Exception):  # noqa: B017, PT011 -- which promise is broken first is chance
        run_state_machine_as_test(seed(number)(LanesModel), settings=search)
