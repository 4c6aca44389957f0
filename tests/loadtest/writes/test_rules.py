"""Each rule: green where all is right, red where one thing is not."""

from __future__ import annotations

import pytest

from loadtest.writes.history import Line
from tests.loadtest.writes.made import Made


@pytest.fixture
def made() -> Made:
    return Made()


# What is right


def test_writes_one_after_the_other_break_nothing(made: Made) -> None:
    made.write("a-1", "b-1", "a-2")
    made.read("a")
    made.end()
    assert made.broken() == []


def test_concurrent_writes_may_be_applied_in_any_order(made: Made) -> None:
    made.invoke("a-1", "b-1", "c-1")
    for write in ("c-1", "a-1", "b-1"):
        made.attempt(write)
    for write in ("b-1", "c-1", "a-1"):
        made.ok(write)
    assert made.broken() == []


def test_a_promise_may_be_kept_late(made: Made) -> None:
    made.invoke("a-1")
    made.accept("a-1")
    made.invoke("b-1")
    made.accept("b-1")
    made.attempt("a-1", "drop")
    made.attempt("a-1")
    made.attempt("b-1")
    made.ok("b-1")
    made.ok("a-1")
    assert made.broken() == []


def test_a_write_of_unknown_end_may_be_in_the_list_or_not(made: Made) -> None:
    made.invoke("a-1", "b-1")
    made.attempt("a-1", answered=False)
    made.client("info", "a-1", why="504")
    made.client("info", "b-1", why="504")
    assert made.broken() == []


def test_a_write_that_was_refused_after_a_try_of_unknown_end_may_be_in_the_list(made: Made) -> None:
    made.invoke("a-1")
    made.attempt("a-1", answered=False)
    made.client("info", "a-1", why="reset")
    made.invoke("a-1")
    made.client("fail", "a-1", why="429")
    assert made.broken() == []


def test_a_write_whose_answer_was_lost_may_be_applied_again(made: Made) -> None:
    made.invoke("a-1")
    made.attempt("a-1", answered=False)
    made.attempt("a-1")
    made.ok("a-1")
    made.end()
    assert made.broken() == []
    assert made.broken(deduplicates=True) == ["duplicates"]


def test_what_was_in_flight_at_a_fault_may_be_applied_again(made: Made) -> None:
    made.write("a-1")
    made.invoke("b-1")
    made.attempt("b-1")
    made.fault()
    made.attempt("b-1")
    made.ok("b-1")
    assert made.broken() == []


def test_a_fault_may_repeat_the_tail_of_the_list(made: Made) -> None:
    made.invoke("a-1", "b-1", "c-1")
    for write in ("a-1", "b-1", "c-1"):
        made.attempt(write)
    made.fault()
    for write in ("b-1", "c-1"):
        made.attempt(write)
    made.fault()
    for write in ("b-1", "c-1"):
        made.attempt(write)
    assert made.broken() == []


def test_what_the_origin_knows_by_its_key_may_overlap(made: Made) -> None:
    made.invoke("a-1", "b-1")
    made.attempt("a-1", "replay")["leave"] = 1000
    made.attempt("b-1")
    assert made.broken() == []


def test_the_end_of_a_connection_may_be_heard_after_the_next_ones_first_octet(made: Made) -> None:
    made.invoke("a-1", "b-1")
    hanging = made.attempt("a-1", "drop", answered=False)
    made.attempt("b-1")
    hanging["leave"] += 5_000_000
    assert made.broken() == []
    hanging["leave"] += 10_000_000
    assert made.broken() == ["serial"]


def test_a_read_of_another_client_may_be_older_unless_asked_for(made: Made) -> None:
    made.write("a-1", "a-2")
    made.read("b", 1)
    assert made.broken() == []
    assert made.broken(reads_of_all=True) == ["reads"]


def test_a_read_that_began_before_the_answer_may_be_older(made: Made) -> None:
    made.write("a-1")
    made.invoke("a-2")
    made.attempt("a-2")
    line = made.read("a", 1)
    made.ok("a-2")
    line["at"] = made.tick()
    assert made.broken() == []


def test_a_key_that_nobody_wrote_reads_as_version_0(made: Made) -> None:
    made.read("a", 0)
    assert made.broken() == []


def test_a_follower_may_miss_what_a_reset_tells_of(made: Made) -> None:
    made.write("a-1", "a-2", "a-3", "a-4")
    made.event("a-1", 1)
    made.event("a-2", 5)
    made.reset()
    made.event("a-4", 9)
    assert made.broken() == []


# What is wrong


def test_two_at_a_time_break_serial(made: Made) -> None:
    made.invoke("a-1", "b-1", "c-1")
    made.attempt("a-1")["leave"] = 1000
    made.attempt("b-1")
    made.attempt("c-1")
    assert made.broken() == ["serial", "serial"]


def test_an_attempt_that_was_not_applied_overlaps_all_the_same(made: Made) -> None:
    made.invoke("a-1", "b-1")
    made.attempt("a-1", "drop")["leave"] = 1000
    made.attempt("b-1")
    assert made.broken() == ["serial"]


def test_one_that_began_after_an_answer_and_stands_before_it_breaks_order(made: Made) -> None:
    made.invoke("a-1")
    made.client("ok", "a-1")
    made.invoke("b-1")
    made.attempt("b-1")
    made.attempt("a-1")
    assert made.broken() == ["order"]


def test_one_that_began_after_a_promise_and_stands_before_it_breaks_order(made: Made) -> None:
    made.invoke("a-1")
    made.accept("a-1")
    made.invoke("x-1", "b-1")
    made.attempt("x-1")
    made.attempt("b-1")
    made.attempt("a-1")
    for write in ("a-1", "b-1", "x-1"):
        made.ok(write)
    assert made.broken() == ["order", "order"]


def test_an_answer_without_a_place_in_the_list_is_a_loss(made: Made) -> None:
    made.invoke("a-1")
    made.client("ok", "a-1")
    assert made.broken() == ["loss"]


def test_a_promise_without_an_end_is_a_loss(made: Made) -> None:
    made.invoke("a-1")
    made.accept("a-1")
    made.attempt("a-1")
    assert made.broken() == ["loss"]


def test_a_promise_that_is_forgotten_is_a_loss(made: Made) -> None:
    made.invoke("a-1")
    made.accept("a-1")
    made.client("lost", "a-1", why="404")
    assert made.broken() == ["loss"]


def test_what_nobody_wrote_is_a_phantom(made: Made) -> None:
    made.attempt("a-1")
    assert made.broken() == ["phantom"]


def test_what_was_refused_and_applied_is_a_phantom(made: Made) -> None:
    made.invoke("a-1")
    made.client("fail", "a-1", why="429")
    made.attempt("a-1")
    assert made.broken() == ["phantom"]


def test_the_answer_to_another_write_is_a_phantom(made: Made) -> None:
    made.write("a-1")
    made.invoke("b-1")
    made.attempt("b-1")
    made.client("ok", "b-1", version=1)
    assert made.broken() == ["phantom"]


def test_a_repetition_of_what_was_answered_is_a_duplicate(made: Made) -> None:
    made.write("a-1")
    made.attempt("a-1")
    assert made.broken() == ["duplicates"]


def test_a_fault_excuses_nothing_that_was_told_before_it(made: Made) -> None:
    made.write("a-1")
    made.fault()
    made.attempt("a-1")
    assert made.broken() == ["duplicates"]


def test_a_fault_excuses_nothing_that_was_begun_after_it(made: Made) -> None:
    made.invoke("a-1")
    made.fault()
    made.attempt("a-1")
    made.attempt("a-1")
    made.ok("a-1")
    assert made.broken() == ["duplicates"]


def test_an_older_write_alone_after_a_newer_one_is_a_duplicate_and_the_last_state(made: Made) -> None:
    made.invoke("a-1", "b-1")
    made.attempt("a-1", answered=False)
    made.attempt("b-1")
    made.attempt("a-1")
    assert made.broken() == ["duplicates", "final"]


def test_a_replay_with_a_hole_is_a_duplicate(made: Made) -> None:
    made.invoke("a-1", "b-1", "c-1")
    for write in ("a-1", "b-1", "c-1"):
        made.attempt(write)
    made.fault()
    for write in ("a-1", "c-1"):
        made.attempt(write)
    assert made.broken() == ["duplicates"]


def test_a_replay_that_a_new_write_breaks_off_is_a_duplicate(made: Made) -> None:
    made.invoke("a-1", "b-1", "c-1")
    made.attempt("a-1")
    made.attempt("b-1")
    made.fault()
    made.attempt("a-1")
    made.attempt("c-1")
    assert made.broken() == ["duplicates"]


def test_another_state_at_the_end_than_that_of_the_list_breaks_final(made: Made) -> None:
    made.write("a-1", "a-2")
    made.end()
    made.lines[-1]["last"] = "a-1"
    assert made.broken() == ["final"]


def test_a_list_with_a_hole_breaks_final(made: Made) -> None:
    made.write("a-1", "a-2", "a-3")
    made.lines = [line for line in made.lines if (line["do"], line["write"]) != ("apply", "a-2")]
    assert "final" in made.broken()


@pytest.mark.parametrize(
    ("events", "number"),
    [
        pytest.param([("a-1", 1), ("a-3", 2)], 1, id="a-gap"),
        pytest.param([("a-2", 1), ("a-1", 2)], 1, id="an-older-one-after-a-newer"),
        pytest.param([("a-1", 1), ("a-1", 2)], 1, id="twice"),
        pytest.param([("a-1", 1), ("a-2", 1)], 1, id="the-same-position"),
        pytest.param([("b-9", 1)], 1, id="of-nothing"),
    ],
)
def test_events_are_the_list_in_its_order(made: Made, events: list[tuple[str, int]], number: int) -> None:
    made.write("a-1", "a-2", "a-3")
    for write, position in events:
        made.event(write, position)
    assert made.broken() == ["events"] * number


def test_an_older_read_than_ones_own_answer_breaks_reads(made: Made) -> None:
    made.write("a-1", "a-2")
    made.read("a", 1)
    assert made.broken() == ["reads"]


def test_a_commit_that_was_told_by_the_status_counts_as_an_answer(made: Made) -> None:
    made.write("a-1")
    made.invoke("a-2")
    made.accept("a-2")
    made.attempt("a-2")
    made.client("ok", "a-2")
    made.read("a", 1)
    assert made.broken() == ["reads"]


def test_a_read_of_what_never_was_breaks_reads(made: Made) -> None:
    made.write("a-1", "a-2")
    made.read("b", 2)["last"] = "a-1"
    made.read("b", 2)["version"] = 0
    assert made.broken() == ["reads", "reads"]


def test_a_read_of_what_is_yet_to_come_breaks_reads(made: Made) -> None:
    made.write("a-1")
    line = made.read("b")
    made.write("a-2")
    line["version"], line["last"] = 2, "a-2"
    assert made.broken() == ["reads"]


def test_a_read_after_all_is_over_shows_the_last_version(made: Made) -> None:
    made.write("a-1", "a-2")
    made.read("b", 2)["settled"] = True
    assert made.broken() == []
    made.read("b", 1)["settled"] = True
    assert made.broken() == ["reads"]


# What the origin did that the proxy could not know of

LIMIT_NS = 1_000_000_000


def _given_up(made: Made, *, after_ns: int = LIMIT_NS + 1000) -> Line:
    """`a-1` is sent and given up after so long, `b-1` follows it; the line of `a-1` is to be completed."""
    made.invoke("a-1")
    made.accept("a-1")
    made.invoke("b-1")
    late = made.attempt("a-1", "drop", answered=False)
    made.now = late["enter"] + after_ns
    made.attempt("b-1")
    made.ok("b-1")
    made.client("info", "a-1", why="unknown")
    return late


def _applied_late(made: Made, line: Line, leave: int) -> None:
    made.applied.append(line["write"])
    line.update(do="apply", leave=leave, version=len(made.applied))


def test_an_attempt_that_the_origin_worked_on_beyond_the_limit_is_told_apart(made: Made) -> None:
    _applied_late(made, _given_up(made), made.now)
    assert made.broken() == ["serial", "order"]
    assert made.broken(limit_ns=LIMIT_NS) == ["(serial)", "(order)"]


def test_what_follows_within_the_limit_is_wrong_however_late_the_origin_was(made: Made) -> None:
    late = _given_up(made, after_ns=LIMIT_NS // 2)
    _applied_late(made, late, late["enter"] + 2 * LIMIT_NS)
    assert "serial" in made.broken(limit_ns=LIMIT_NS)


def test_an_attempt_within_the_limit_excuses_nothing(made: Made) -> None:
    late = _given_up(made, after_ns=LIMIT_NS // 2)
    _applied_late(made, late, made.now)
    assert made.broken(limit_ns=LIMIT_NS) == ["serial", "order"]


def test_a_repetition_that_came_too_late_is_told_apart(made: Made) -> None:
    late = _given_up(made)
    made.lines.remove(late)
    made.invoke("c-1")
    made.lines.append({**made.attempt("a-1"), "enter": late["enter"], "leave": made.now + 10, "version": 3})
    made.lines[-2]["version"] = 2  # sent again once it could be over, and applied before the first attempt
    made.attempt("c-1")["version"] = 4
    assert made.broken(limit_ns=LIMIT_NS).count("(duplicates)") == 1
    assert "duplicates" not in made.broken(limit_ns=LIMIT_NS)
    assert "(duplicates)" not in made.broken(limit_ns=10 * LIMIT_NS)


def test_a_last_state_that_came_too_late_is_told_apart(made: Made) -> None:
    made.invoke("a-1", "b-1")
    made.attempt("a-1", answered=False)
    made.attempt("b-1")
    made.attempt("a-1")["leave"] += 2 * LIMIT_NS
    made.read("b", 2)["settled"] = True
    assert made.broken() == ["duplicates", "final", "reads"]
    assert made.broken(limit_ns=LIMIT_NS) == ["(duplicates)", "(final)", "(reads)"]


def test_an_answer_that_came_too_late_leaves_its_write_in_doubt_unless_the_origin_knows_it(
    made: Made,
) -> None:
    made.invoke("a-1")
    made.attempt("a-1")["leave"] += 2 * LIMIT_NS
    made.now += 2 * LIMIT_NS
    made.attempt("a-1")
    assert made.broken(limit_ns=LIMIT_NS) == ["(duplicates)"]
    assert made.broken(limit_ns=LIMIT_NS, deduplicates=True) == ["duplicates"]
