"""Any correct history is green, and red once one thing in it is made wrong."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadtest.writes.history import Line
from tests.loadtest.writes.made import Made

pytestmark = pytest.mark.slow

CLIENTS = "abcd"


@st.composite
def correct_histories(draw: st.DrawFn) -> Made:
    """Rounds of concurrent writes, one at a time at the origin, with everything that may go wrong."""
    made = Made()
    numbers = dict.fromkeys(CLIENTS, 0)
    for _ in range(draw(st.integers(1, 5))):
        owners = draw(st.lists(st.sampled_from(CLIENTS), min_size=1, unique=True))
        writes = []
        for owner in owners:
            numbers[owner] += 1
            writes.append(f"{owner}-{numbers[owner]}")
        made.invoke(*writes)
        for write in writes:
            if draw(st.booleans()):
                made.accept(write)
        made.client("invoke", "x-1", via="p", **{"try": 1})
        made.client("fail", "x-1", why="429")
        for write in draw(st.permutations(writes)):
            _apply(made, write, draw(st.sampled_from(["well", "well", "lost", "dropped", "killed"])))
        for write in draw(st.permutations(writes)):
            made.ok(write)
            if draw(st.booleans()):
                made.read(write.partition("-")[0])
    made.end()
    return made


def _apply(made: Made, write: str, how: str) -> None:
    match how:
        case "lost":
            made.attempt(write, answered=False)
        case "dropped":
            made.attempt(write, "drop", answered=False)
        case "killed":
            made.attempt(write)
            made.fault()
        case _:
            pass
    made.attempt(write)


def _ok(made: Made, number: int) -> list[Line]:
    lines = [line for line in made.lines if line["do"] == "ok"]
    assume(len(lines) >= number)
    return lines


@given(made=correct_histories())
def test_a_correct_history_is_green(made: Made) -> None:
    assert made.broken() == []
    assert made.broken(reads_of_all=True) == []


@given(made=correct_histories(), choice=st.randoms(use_true_random=False))
def test_two_attempts_at_a_time_are_red(made: Made, choice: st.DataObject) -> None:
    attempts = [line for line in made.lines if "enter" in line]
    assume(len(attempts) > 1)
    place = choice.randrange(len(attempts) - 1)  # type: ignore[attr-defined]
    attempts[place]["leave"] = attempts[place + 1]["enter"] + 20_000_000
    assert "serial" in made.broken()


@given(made=correct_histories(), data=st.data())
def test_a_write_that_is_missing_in_the_list_is_red(made: Made, data: st.DataObject) -> None:
    write = data.draw(st.sampled_from(_ok(made, 1)))["write"]
    made.lines = [
        line for line in made.lines if line["do"] not in ("apply", "final") or line.get("write") != write
    ]
    for version, line in enumerate((line for line in made.lines if line["do"] == "apply"), 1):
        line["version"] = version
    assert "loss" in made.broken()


@given(made=correct_histories(), data=st.data())
def test_writes_of_two_rounds_that_change_places_are_red(made: Made, data: st.DataObject) -> None:
    first, second = data.draw(st.permutations(_ok(made, 2)))[:2]
    begun = {line["write"]: line["at"] for line in made.lines if line["do"] == "invoke"}
    assume(first["at"] < begun[second["write"]])
    names = {first["write"]: second["write"], second["write"]: first["write"]}
    for line in made.lines:
        if line["do"] in ("apply", "drop"):
            line["write"] = names.get(line["write"], line["write"])
    assert "order" in made.broken()


@given(made=correct_histories(), data=st.data())
def test_a_write_that_is_applied_again_after_its_answer_is_red(made: Made, data: st.DataObject) -> None:
    write = data.draw(st.sampled_from(_ok(made, 1)))["write"]
    made.attempt(write)
    assert "duplicates" in made.broken()


@given(made=correct_histories())
def test_a_refused_write_in_the_list_is_red(made: Made) -> None:
    made.attempt("x-1")
    assert "phantom" in made.broken()


@given(made=correct_histories(), data=st.data())
def test_a_read_older_than_the_readers_own_write_is_red(made: Made, data: st.DataObject) -> None:
    answer = data.draw(st.sampled_from(_ok(made, 1)))
    made.read(answer["by"], answer["version"] - 1)
    assert "reads" in made.broken()


@given(made=correct_histories(), data=st.data())
def test_a_promise_whose_end_nobody_heard_is_red(made: Made, data: st.DataObject) -> None:
    promised = [line["write"] for line in made.lines if line["do"] == "accepted"]
    assume(promised)
    write = data.draw(st.sampled_from(promised))
    made.lines = [line for line in made.lines if (line["do"], line.get("write")) != ("ok", write)]
    assert "loss" in made.broken()


@given(made=correct_histories())
def test_another_end_than_the_lists_is_red(made: Made) -> None:
    made.lines[-1]["version"] += 1
    assert "final" in made.broken()
