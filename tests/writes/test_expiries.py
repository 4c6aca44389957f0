"""When writes that wait expire, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from proxy.writes.delivery import Delivery
from proxy.writes.expiries import LONGEST_LOOK_S, MOMENT_S, Expiries
from proxy.writes.job import Job
from proxy.writes.policy import WritePolicy
from tests.simulation.virtual_time import VirtualClock, VirtualLoop
from tests.writes.making import make_write

POLICY = WritePolicy(origin="model")


class _World:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self.found: list[tuple[Job, float]] = []
        self.expiries = Expiries(self.clock, due=lambda job: self.found.append((job, self.clock.now())))
        self.begun = self.clock.now()

    def add(self, lives_s: float) -> Job:
        write = make_write("k", accepted_at=self.begun, not_after=self.clock.now() + lives_s)
        job = Job(Delivery(write, position=1, epoch=1), POLICY)
        self.do(lambda: self.expiries.add(job))
        return job

    def do(self, what: object) -> None:
        async def done() -> None:
            assert callable(what)
            what()

        self.loop.run_until_complete(done())

    def pass_time(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))


@pytest.fixture
def world() -> Iterator[_World]:
    made = _World()
    yield made
    made.expiries.close()
    made.loop.close()


def test_each_is_found_when_its_time_is_over_and_little_later(world: _World) -> None:
    jobs = [world.add(lives_s) for lives_s in (5.0, 1.0, 3.0, 1.01, 5.0)]
    world.pass_time(10.0)
    assert {job for job, _ in world.found} == set(jobs)
    for job, found_at in world.found:
        assert job.write.not_after <= found_at <= job.write.not_after + MOMENT_S + 0.01
    assert len(world.expiries) == 0


def test_what_was_taken_out_is_not_found(world: _World) -> None:
    first, second = world.add(1.0), world.add(1.0)
    world.do(lambda: world.expiries.discard(first))
    world.do(lambda: world.expiries.discard(first))
    world.pass_time(2.0)
    assert [job for job, _ in world.found] == [second]


def test_an_earlier_one_is_not_found_later_for_having_come_later(world: _World) -> None:
    late, soon = world.add(100.0), world.add(1.0)
    world.pass_time(2.0)
    assert [job for job, _ in world.found] == [soon]
    world.pass_time(100.0)
    assert [job for job, _ in world.found] == [soon, late]


def test_one_that_is_not_over_yet_when_it_is_found_is_looked_at_again(world: _World) -> None:
    job = world.add(LONGEST_LOOK_S * 2.5)
    world.pass_time(LONGEST_LOOK_S * 2.4)
    assert world.found == []
    world.pass_time(LONGEST_LOOK_S)
    assert [found for found, _ in world.found] == [job]


def test_moments_that_nothing_waits_for_leave_nothing(world: _World) -> None:
    for number in range(2000):
        job = world.add(1000.0 + number)
        world.do(lambda job=job: world.expiries.discard(job))
    assert len(world.expiries._moments) < 100
    last = world.add(1.0)
    world.pass_time(2.0)
    assert [job for job, _ in world.found] == [last]


def test_after_the_end_nothing_is_found(world: _World) -> None:
    world.add(1.0)
    world.do(world.expiries.close)
    world.pass_time(5.0)
    assert world.found == []
