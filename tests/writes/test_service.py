"""The writes of one proxy, from taking in to telling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from proxy.errors import LaneFull, QueueFull, QueueUnavailable
from proxy.writes.policy import AfterDead
from proxy.writes.port import DeadLetter
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.write import Mode
from tests.writes.model_origin import Act
from tests.writes.world import POLICY, World

SKIPPED = Problem(ProblemType.SKIPPED, "by hand")


def make_world(**parts: object) -> World:
    return World(policies={"*/": replace(POLICY, **parts)})  # type: ignore[arg-type]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.check_all()
    made.close()


def test_a_client_is_told_the_origins_answer(world: World) -> None:
    world.origin.acts.append(Act(201, body=b"made"))
    put = world.put("a", mode=Mode.SYNC)
    world.pass_time(1.0)
    assert put.ending is not None
    assert (put.ending.result.status, put.ending.result.body) == (201, b"made")


def test_a_lane_holds_as_many_as_it_may() -> None:
    world = make_world(max_lane=3)
    world.call(world.writes._scheduler.block, "a")
    puts = [world.put("a") for _ in range(4)]
    assert isinstance(puts[3].refused, LaneFull)
    assert world.put("b").refused is None
    assert world.writes.statistics().refused == 1
    world.check_all()
    world.close()


def test_fewer_clients_may_wait_for_a_lane_than_it_holds() -> None:
    world = make_world(max_lane=9, max_sync_lane=2)
    world.call(world.writes._scheduler.block, "a")
    for mode in (Mode.SYNC, Mode.ASYNC, Mode.SYNC):
        assert world.put("a", mode=mode).refused is None
    assert isinstance(world.put("a", mode=Mode.SYNC).refused, LaneFull)
    assert world.put("a", mode=Mode.ASYNC).refused is None
    world.check_all()
    world.close()


def test_a_route_holds_as_many_as_it_may() -> None:
    world = make_world(max_queued=2)
    for key in "ab":
        world.call(world.writes._scheduler.block, key)
        world.put(key)
    refused = world.put("c").refused
    assert isinstance(refused, QueueFull)
    assert not isinstance(refused, LaneFull)
    world.check_all()
    world.close()


def test_a_queue_that_cannot_be_written_takes_nothing(world: World) -> None:
    world.queue.broken = True
    assert isinstance(world.put("a").refused, QueueUnavailable)
    world.queue.heal()


def test_what_waits_is_seen(world: World) -> None:
    world.origin.usual = Act(delay_s=5.0)
    running, waiting = world.put("a"), world.put("a")
    world.pass_time(2.0)
    assert world.writes.state(running.write.id) is State.STARTED
    assert world.writes.state(waiting.write.id) is State.QUEUED
    assert (world.writes.ahead(waiting.write.id), world.writes.ahead("nobody")) == (1, None)
    assert world.writes.depth("a") == 2
    seen = world.writes.statistics()
    assert (seen.queued, seen.running, seen.resting, seen.busy_keys, seen.deepest_lane) == (2, 1, 0, 1, 2)
    assert seen.oldest_age_s == pytest.approx(2.0, abs=0.01)
    world.pass_time(60.0)
    assert world.writes.statistics().ended == {State.COMMITTED: 2}


def test_a_key_is_paused_over_restarts(world: World) -> None:
    world.run(world.writes.pause("a", SKIPPED))
    put = world.put("a")
    world.crash()
    world.pass_time(30.0)
    assert not world.origin.served
    assert world.run(world.writes.resume("a"))
    assert not world.run(world.writes.resume("a"))
    world.pass_time(1.0)
    assert world.result(put).state is State.COMMITTED


def test_a_dead_letter_halts_its_lane_where_later_writes_build_on_it() -> None:
    world = make_world(after_dead=AfterDead.HALT)
    world.origin.acts.append(Act(401, applies=False))
    dead, behind, other = world.put("a"), world.put("a"), world.put("b")
    world.pass_time(30.0)
    assert world.result(dead).state is State.DEAD
    assert world.store.paused_keys.keys() == {"a"}
    assert world.origin.applied == [other.write.id]
    world.run(world.writes.resume("a"))
    world.pass_time(1.0)
    assert world.result(behind).state is State.COMMITTED
    world.check_all()
    world.close()


def test_a_dead_letter_goes_by_where_the_latest_write_counts(world: World) -> None:
    world.origin.acts.append(Act(401, applies=False))
    dead, behind = world.put("a"), world.put("a")
    world.pass_time(1.0)
    assert (world.result(dead).state, world.result(behind).state) == (State.DEAD, State.COMMITTED)


def test_an_operator_skips_what_is_stuck(world: World) -> None:
    world.origin.acts.append(Act(503, applies=False, retry_after=b"50"))
    stuck, behind = world.put("a"), world.put("a")
    world.pass_time(1.0)
    assert world.call(world.writes.skip, "a") is None
    world.pass_time(1.0)
    assert (world.result(stuck).state, world.result(behind).state) == (State.DEAD, State.COMMITTED)
    assert world.call(world.writes.skip, "a") == "not here"


def test_a_dead_letter_is_sent_again_under_its_old_key(world: World) -> None:
    world.origin.acts.append(Act(401, applies=False))
    dead = world.put("a")
    world.pass_time(1.0)
    world.store.letters[dead.write.id] = DeadLetter(dead.write, SKIPPED, 0.0)
    until = world.clock.now() + 60.0
    position = world.run(world.writes.replay(dead.write.id, new_id="again", not_after=until))
    world.pass_time(1.0)
    assert position is not None
    entry = world.queue.entry_of("again")
    assert entry is not None
    assert entry.result is not None
    assert entry.result.state is State.COMMITTED
    assert world.origin.applied == [dead.write.id], "the origin is told the id of the first one"
    assert not world.store.letters
    assert world.run(world.writes.replay("nobody", new_id="x", not_after=until)) is None
    world.queue.entries.clear()
    world.puts.clear()
    world.trace.clear()
    world.origin.served.clear()


def test_it_stops_when_what_runs_has_ended(world: World) -> None:
    world.origin.usual = Act(delay_s=2.0)
    running, waiting = world.put("a"), world.put("a")
    assert world.run(world.writes.stop(deadline_s=5.0))
    assert world.queue.closed is True
    assert world.result(running).state is State.COMMITTED
    world.turn()
    assert running.ending is not None
    assert waiting.ending is not None
    assert (running.ending.goes_on, waiting.ending.goes_on) == (False, True)
    world.crash()
    world.pass_time(5.0)
    assert world.result(waiting).state is State.COMMITTED


def test_it_stops_at_its_deadline(world: World) -> None:
    world.origin.usual = Act(delay_s=9.0)
    world.put("a")
    assert not world.run(world.writes.stop(deadline_s=1.0))
    assert world.queue.closed is False
    world.crash()


def test_a_write_is_expected_to_end_after_those_before_it(world: World) -> None:
    world.origin.usual = Act(delay_s=4.0)
    puts = [world.put("a") for _ in range(3)]
    assert world.writes.expected_s(puts[2].write.id) == 0.0  # nothing was measured yet
    world.pass_time(4.5)
    assert world.writes.expected_s(puts[2].write.id) == pytest.approx(8.0, rel=0.1)
    assert world.writes.expected_s("nobody") == 0.0
    world.pass_time(60.0)


@pytest.mark.parametrize(("status", "is_clean"), [(0, False), (503, True)], ids=["lost", "refused"])
def test_an_end_is_not_clean_while_an_attempt_that_left_no_mark_may_be_at_the_origin(
    status: int, is_clean: bool
) -> None:
    world = World()
    world.origin.acts.append(Act(status, applies=False, retry_after=b"5"))
    world.put("a", mode=Mode.SYNC)
    world.pass_time(1.0)
    assert world.writes.statistics().resting == 1
    world.run(world.writes.stop(deadline_s=1.0))
    assert world.queue.closed is is_clean
    world.close()
