"""Lanes at work: order, retries, grace, handing over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from proxy.http.fields import PackedFields
from proxy.writes.expiries import MOMENT_S
from proxy.writes.states import State
from proxy.writes.write import Mode
from tests.writes.fake_queue import Entry
from tests.writes.model_origin import TIMEOUT_S, Act
from tests.writes.world import POLICY, World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    try:
        made.check_all()
    finally:
        made.close()


def test_writes_of_one_key_are_applied_one_by_one_in_their_order(world: World) -> None:
    puts = [world.put("a") for _ in range(20)]
    world.pass_time(1.0)
    assert world.origin.applied == [put.write.id for put in puts]
    assert {world.result(put).state for put in puts} == {State.COMMITTED}


def test_writes_of_different_keys_are_applied_side_by_side(world: World) -> None:
    world.origin.usual = Act(delay_s=5.0)
    for key in "abc":
        world.put(key)
    world.pass_time(5.5)
    assert len(world.origin.applied) == 3


def test_a_retry_keeps_its_place(world: World) -> None:
    world.origin.acts.extend([Act(503, applies=False, retry_after=b"3"), Act(500, applies=False)])
    first, second = world.put("a"), world.put("a")
    world.pass_time(60.0)
    assert world.origin.applied == [first.write.id, second.write.id]
    assert world.result(first).attempts == 3


def test_a_key_that_waits_for_its_retry_holds_up_nobody_else(world: World) -> None:
    world.origin.acts.extend([Act(503, applies=False, retry_after=b"9")] * 3)
    stuck = [world.put(key) for key in "abc"]
    other = world.put("d")
    world.pass_time(1.0)
    assert world.origin.applied == [other.write.id]
    world.pass_time(20.0)
    assert all(put.ending is not None for put in stuck)


def test_a_write_of_several_keys_waits_for_all_of_them(world: World) -> None:
    world.origin.usual = Act(delay_s=1.0)
    a, b = world.put("a"), world.put("b")
    both = world.put("b", "a")
    later = world.put("a")
    world.pass_time(10.0)
    assert world.origin.applied == [put.write.id for put in (a, b, both, later)]


def test_an_unknown_outcome_of_a_post_ends_it(world: World) -> None:
    world.origin.acts.append(Act(0))
    put, later = world.put("a", method="POST"), world.put("a")
    world.pass_time(1.0)
    assert put.ending is not None, "who waits is told at once"
    assert len(world.origin.served) == 1, "but what is behind it waits until it cannot be at the origin"
    world.pass_time(TIMEOUT_S)
    assert (world.result(put).state, world.result(put).taken) == (State.UNKNOWN, True)
    assert world.result(later).state is State.COMMITTED


def test_an_unknown_outcome_of_a_put_is_repeated_in_place(world: World) -> None:
    world.origin.acts.append(Act(0))
    put, later = world.put("a"), world.put("a")
    world.pass_time(TIMEOUT_S - 1.0)
    assert world.origin.applied == [put.write.id]
    world.pass_time(2.0)
    assert world.origin.applied == [put.write.id, put.write.id, later.write.id]


def test_what_was_never_sent_is_given_up_as_such(world: World) -> None:
    world.origin.usual = Act(unreachable=True)
    put = world.put("a", method="POST")
    world.pass_time(60.0)
    assert (world.result(put).state, world.result(put).taken, world.result(put).attempts) == (
        State.DEAD,
        False,
        4,
    )


def test_a_write_expires_behind_another_one(world: World) -> None:
    world.origin.acts.append(Act(delay_s=8.0))
    world.put("a")
    late = world.put("a", lives_s=3.0)
    world.pass_time(3.0 + MOMENT_S)
    assert late.ending is not None
    assert late.ending.result.state is State.EXPIRED


def test_a_queued_write_is_taken_back(world: World) -> None:
    world.origin.acts.append(Act(delay_s=8.0))
    running, queued, last = (world.put("a") for _ in range(3))
    assert world.call(world.writes.cancel, running.write.id) == "running"
    assert world.call(world.writes.cancel, queued.write.id) is None
    assert world.call(world.writes.cancel, "nobody") == "not here"
    world.pass_time(10.0)
    assert world.result(queued).state is State.CANCELLED
    assert world.origin.applied == [running.write.id, last.write.id]


def test_what_may_be_at_the_origin_is_not_taken_back(world: World) -> None:
    world.origin.acts.append(Act(0))
    put = world.put("a")
    world.pass_time(0.02)
    assert world.call(world.writes.cancel, put.write.id) == "sent"


def test_after_a_crash_what_was_sent_waits_for_the_grace_and_the_rest_does_not(world: World) -> None:
    world.origin.acts.append(Act(delay_s=9.0, applies=False))
    sent, behind = world.put("a"), world.put("a")
    world.call(world.writes._scheduler.block, "b")
    other = world.put("b")
    world.crash()
    world.pass_time(1.0)
    assert world.origin.applied == [other.write.id]
    world.pass_time(TIMEOUT_S + 1.0)
    assert world.origin.applied == [other.write.id, sent.write.id, behind.write.id]


def test_after_a_crash_a_post_that_was_sent_is_not_sent_again(world: World) -> None:
    world.origin.acts.append(Act(delay_s=1.0))
    put = world.put("a", method="POST")
    world.crash()
    world.pass_time(TIMEOUT_S + 1.0)
    assert world.result(put).state is State.UNKNOWN
    assert len(world.origin.served) == 1


def test_where_writes_leave_no_mark_every_key_waits_after_a_crash() -> None:
    world = World(policies={"*/": replace(POLICY, unrecorded=True)})
    world.queue.hold()
    world.crash()
    world.queue.let_go()
    put = world.put("a", mode=Mode.SYNC)
    world.pass_time(TIMEOUT_S - 1.0)
    assert not world.origin.served
    world.pass_time(2.0)
    assert world.result(put).state is State.COMMITTED
    world.check_all()
    world.close()


def test_a_shard_is_handed_over_with_nothing_under_way(world: World) -> None:
    world.origin.usual = Act(delay_s=2.0)
    puts = [world.put("a") for _ in range(3)]
    world.run(world.writes._scheduler.losing(0, deadline_s=9.0))
    world.queue.release(0)
    assert world.origin.applied == [puts[0].write.id]
    world.pass_time(20.0)
    assert len(world.origin.served) == 1


def test_without_a_lease_nothing_is_started(world: World) -> None:
    world.queue.lease_s = 0.0
    put = world.put("a")
    world.pass_time(5.0)
    assert not world.origin.served
    world.queue.lease_s = 5.0
    world.pass_time(1.0)
    assert world.result(put).attempts == 1


def test_an_end_that_cannot_be_kept_holds_the_lane(world: World) -> None:
    world.origin.acts.append(Act(delay_s=1.0))
    first, second = world.put("a"), world.put("a")
    world.pass_time(0.5)
    world.queue.break_down()
    world.pass_time(5.0)
    assert world.origin.applied == [first.write.id]
    assert first.ending is None
    world.pass_time(10.0)
    assert first.ending is not None, "those who wait are told what is known"
    world.patience_ended = True
    world.queue.heal()
    world.pass_time(10.0)
    assert world.origin.applied == [first.write.id, second.write.id]


def test_the_start_of_who_comes_next_is_marked_while_the_end_before_it_is_kept(world: World) -> None:
    world.origin.usual = Act(delay_s=1.0)
    first, second, third = (world.put("a") for _ in range(3))
    world.pass_time(0.5)
    world.queue.hold()
    world.pass_time(1.0)
    assert world.origin.applied == [first.write.id]
    world.queue.let_go()
    world.turn()
    kept = [what for what in world.queue.trace if what[0] in ("started", "done")]
    assert kept == [("started", first.write.id), ("done", first.write.id), ("started", second.write.id)]
    assert len(world.origin.served) == 2
    world.pass_time(5.0)
    assert world.origin.applied == [first.write.id, second.write.id, third.write.id]
    assert [world.result(put).attempts for put in (first, second, third)] == [1, 1, 1]


def _marked_and_not_begun(world: World) -> Entry:
    """The second write of a key, marked while the end of the first one is being kept."""
    world.origin.usual = Act(delay_s=1.0)
    world.put("a", method="POST")
    second = world.put("a", method="POST")
    world.pass_time(0.5)
    world.queue.hold()
    world.pass_time(1.0)
    entry = world.queue.entry_of(second.write.id)
    assert entry is not None
    return entry


def _started(world: World) -> list[str]:
    return [write_id for what, write_id in world.queue.trace if what == "started"]


def test_nothing_is_marked_that_could_not_start_at_once(world: World) -> None:
    world.origin.usual = Act(delay_s=1.0)
    world.origin.acts.extend([Act(delay_s=1.0), Act(delay_s=5.0)])
    first, other = world.put("a"), world.put("b")
    both = world.put("a", "b")
    paused_first, paused = world.put("c"), world.put("c")
    world.call(world.writes._scheduler.block, "c")
    world.pass_time(1.5)
    assert world.origin.applied == [first.write.id, paused_first.write.id]
    assert _started(world) == [first.write.id, other.write.id, paused_first.write.id]
    world.run(world.writes.resume("c"))
    world.pass_time(9.0)
    assert {world.result(put).state for put in (both, paused)} == {State.COMMITTED}


def test_a_mark_is_taken_back_when_its_shard_goes(world: World) -> None:
    entry = _marked_and_not_begun(world)
    losing = world.loop.create_task(world.writes._scheduler.losing(0, deadline_s=5.0))
    world.turn()
    world.queue.let_go()
    world.run(losing)
    world.turn()
    world.queue.release(0)
    assert entry.started == 0
    assert len(world.origin.served) == 1


def test_what_waited_and_is_at_the_origin_does_not_expire(world: World) -> None:
    world.origin.acts.extend([Act(delay_s=1.0), Act(delay_s=5.0)])
    world.put("a", mode=Mode.SYNC)
    put = world.put("a", mode=Mode.SYNC, lives_s=3.0)
    world.pass_time(4.0)
    assert put.ending is None
    world.pass_time(3.0)
    assert put.ending is not None
    assert put.ending.result.state is State.COMMITTED


def test_what_waits_is_kept_in_little_memory(world: World) -> None:
    world.origin.usual = Act(delay_s=1.0)
    puts = [world.put("a") for _ in range(3)]  # names of fields are packed from their second time on
    assert isinstance(puts[-1].write.fields, PackedFields)
    assert puts[-1].write.fields == puts[0].write.fields


def test_the_end_leaves_no_timer(world: World) -> None:
    world.origin.usual = Act(delay_s=1.0)
    for _ in range(3):
        world.put("a", mode=Mode.SYNC)
    scheduler = world.writes._scheduler
    world.crash()
    assert scheduler._expiries._timer is None


def test_a_mark_is_taken_back_when_its_key_is_paused(world: World) -> None:
    entry = _marked_and_not_begun(world)
    world.call(world.writes._scheduler.block, "a")
    world.queue.let_go()
    world.pass_time(1.0)
    assert ("started", entry.write.id) in world.queue.trace
    assert entry.started == 0
    world.crash()
    world.pass_time(10.0)
    assert [entry.result and entry.result.state, len(world.origin.served)] == [State.COMMITTED, 2]


def test_a_mark_is_taken_back_when_the_process_ends(world: World) -> None:
    entry = _marked_and_not_begun(world)
    stopping = world.loop.create_task(world.writes.stop(deadline_s=5.0))
    world.turn()
    world.queue.let_go()
    assert world.run(stopping)
    assert entry.started == 0
    assert len(world.origin.served) == 1
    world.crash()
    world.pass_time(10.0)
    assert [entry.result and entry.result.state, len(world.origin.served)] == [State.COMMITTED, 2]


def test_a_mark_that_failed_is_made_anew(world: World) -> None:
    world.origin.usual = Act(delay_s=1.0)
    first, second = world.put("a"), world.put("a")
    world.pass_time(0.5)
    world.queue.break_down()
    world.pass_time(1.0)
    assert len(world.origin.served) == 1
    world.queue.heal()
    world.pass_time(5.0)
    assert world.origin.applied == [first.write.id, second.write.id]
    assert world.result(second).attempts == 1


def test_a_paused_key_waits_and_goes_on(world: World) -> None:
    world.call(world.writes._scheduler.block, "a")
    paused, other = world.put("a"), world.put("b")
    world.pass_time(1.0)
    assert world.origin.applied == [other.write.id]
    world.run(world.writes.resume("a"))
    world.pass_time(1.0)
    assert world.result(paused).state is State.COMMITTED
