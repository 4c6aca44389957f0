"""The order of jobs: pure, without a loop."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.writes.delivery import Delivery
from proxy.writes.job import Job, Phase
from proxy.writes.lanes import Lanes
from proxy.writes.policy import WritePolicy
from tests.writes.making import make_write

POLICY = WritePolicy(origin="o")


def make_job(*keys: str, route: str = "*/", policy: WritePolicy = POLICY) -> Job:
    return Job(Delivery(make_write(*keys, route=route), position=0), policy)


def added(lanes: Lanes, *keys: str, route: str = "*/", policy: WritePolicy = POLICY) -> Job:
    job = make_job(*keys, route=route, policy=policy)
    assert lanes.add(job)
    return job


def taken(lanes: Lanes) -> list[Job]:
    found = []
    while (job := lanes.take()) is not None:
        found.append(job)
    return found


def test_one_job_of_a_key_runs_at_a_time() -> None:
    lanes = Lanes(max_running=9)
    first, second, other = added(lanes, "a"), added(lanes, "a"), added(lanes, "b")
    assert taken(lanes) == [first, other]
    lanes.leave(first)
    assert taken(lanes) == [second]


def test_a_write_is_here_once() -> None:
    lanes = Lanes(max_running=9)
    job = added(lanes, "a")
    assert not lanes.add(Job(job.delivery, POLICY))
    assert lanes.depth("a") == 1


def test_a_long_lane_has_one_turn_in_each_round() -> None:
    lanes = Lanes(max_running=1)
    long = [added(lanes, "a") for _ in range(3)]
    short = [added(lanes, key) for key in "bcd"]
    order = []
    while (job := lanes.take()) is not None:
        order.append(job)
        lanes.leave(job)
    assert order == [long[0], *short, long[1], long[2]]


def test_routes_take_turns() -> None:
    lanes = Lanes(max_running=1)
    many = [added(lanes, f"a{number}", route="many") for number in range(3)]
    few = added(lanes, "b", route="few")
    order = []
    while (job := lanes.take()) is not None:
        order.append(job)
        lanes.leave(job)
    assert order.index(few) == 1
    assert [job for job in order if job is not few] == many


@pytest.mark.parametrize(
    ("max_running", "of_route", "of_origin"),
    [(2, 9, 9), (9, 2, 9), (9, 9, 2)],
    ids=["all", "route", "origin"],
)
def test_each_limit_holds(max_running: int, of_route: int, of_origin: int) -> None:
    lanes = Lanes(max_running=max_running, origin_limits={"o": of_origin})
    policy = replace(POLICY, max_concurrency=of_route)
    jobs = [added(lanes, str(number), policy=policy) for number in range(4)]
    assert taken(lanes) == jobs[:2]
    lanes.leave(jobs[0])
    assert taken(lanes) == [jobs[2]]


def test_a_route_at_its_limit_stops_no_other_one() -> None:
    lanes = Lanes(max_running=9)
    narrow = replace(POLICY, max_concurrency=1)
    first, _ = added(lanes, "a", route="x", policy=narrow), added(lanes, "b", route="x", policy=narrow)
    other = added(lanes, "c", route="y")
    assert taken(lanes) == [first, other]


def test_one_that_rests_stays_at_the_head_and_frees_its_place() -> None:
    lanes = Lanes(max_running=1)
    stuck, behind, other = added(lanes, "a"), added(lanes, "a"), added(lanes, "b")
    assert taken(lanes) == [stuck]
    lanes.rest(stuck)
    assert taken(lanes) == [other]
    lanes.leave(other)
    lanes.ripen(stuck)
    assert taken(lanes) == [stuck]
    assert behind.phase is Phase.WAITING


def test_a_blocked_key_starts_nothing_until_it_is_unblocked() -> None:
    lanes = Lanes(max_running=9)
    ready = added(lanes, "a")
    lanes.block("a")
    later, both = added(lanes, "a"), added(lanes, "b", "a")
    assert taken(lanes) == []
    lanes.unblock("a")
    assert taken(lanes) == [ready]
    lanes.leave(ready)
    lanes.leave(later)
    assert taken(lanes) == [both]


def test_one_that_ends_is_not_started_and_not_overtaken() -> None:
    lanes = Lanes(max_running=9)
    first, second = added(lanes, "a"), added(lanes, "a")
    lanes.finish(first)
    assert taken(lanes) == []
    lanes.leave(first)
    assert taken(lanes) == [second]


def test_it_is_known_how_many_are_before() -> None:
    lanes = Lanes(max_running=9)
    jobs = [added(lanes, "a"), added(lanes, "b"), added(lanes, "b"), added(lanes, "a", "b")]
    assert [lanes.ahead(job) for job in jobs] == [0, 0, 1, 2]
    assert set(lanes.heads()) == {jobs[0], jobs[1]}
    assert lanes.lane("b") == (jobs[1], jobs[2], jobs[3])


KEYS = st.sets(st.sampled_from("abcd"), min_size=1, max_size=3)


class Beside:
    """Lanes beside plain queues, which tell who is at the head."""

    def __init__(self, max_running: int) -> None:
        self.lanes = Lanes(max_running=max_running)
        self.queues: dict[str, deque[Job]] = {}
        self.running: list[Job] = []

    def add(self, keys: set[str]) -> Job:
        job = added(self.lanes, *keys)
        for key in keys:
            self.queues.setdefault(key, deque()).append(job)
        return job

    def take(self) -> None:
        for job in taken(self.lanes):
            assert all(self.queues[key][0] is job for key in job.write.keys)
            self.running.append(job)

    def leave(self, job: Job) -> None:
        self.lanes.leave(job)
        for key in job.write.keys:
            self.queues[key].remove(job)

    def rest(self) -> None:
        job = self.running.pop()
        self.lanes.rest(job)
        self.lanes.ripen(job)


@given(
    st.lists(st.tuples(KEYS, st.sampled_from(["", "take", "rest", "leave", "withdraw"]))), st.integers(1, 4)
)
def test_lanes_are_queues_without_gaps_and_nothing_is_left_of_them(
    steps: list[tuple[set[str], str]], max_running: int
) -> None:
    both = Beside(max_running)
    for keys, then in steps:
        job = both.add(keys)
        if then in ("take", "rest"):
            both.take()
        if then == "rest":
            both.rest()
        elif then == "leave" and both.running:
            both.leave(both.running.pop(0))
        elif then == "withdraw":
            both.leave(job)
        assert both.lanes.running == len(both.running) <= max_running
    while len(both.lanes):
        both.take()
        assert both.running, "nobody may start, and nobody runs"
        both.leave(both.running.pop())
    assert (both.lanes.busy_keys, both.lanes.running) == (0, 0)
