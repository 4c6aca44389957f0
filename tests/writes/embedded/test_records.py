"""What is written down comes back the same."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.writes.embedded.records import (
    end_record,
    event_record,
    event_row,
    events_of,
    problem_of,
    problem_text,
    result_of,
    status_of,
    write_of,
    write_record,
)
from proxy.writes.events import CommitEvent, LoggedEvent
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.write import Idempotency, Mode, Result, Write


def _as_a_name(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


_times = st.floats(0, 4e9)
_words = st.text(max_size=8) | st.binary(max_size=8).map(_as_a_name)
_octets = st.binary(max_size=20)
_fields = st.lists(st.tuples(_octets, _octets), max_size=3).map(Fields)
_problems = st.builds(Problem, st.sampled_from(ProblemType), _words, st.none() | st.integers(100, 599))
_writes = st.builds(
    Write, id=_words, route=_words, keys=st.lists(_words, min_size=1, max_size=3).map(tuple),
    shard=st.integers(0, 4095), method=_words, target=_octets, forward_target=_octets, fields=_fields,
    body=st.binary(max_size=100), mode=st.sampled_from(Mode), accepted_at=_times, not_after=_times,
    changed_targets=st.lists(_octets, max_size=2).map(tuple),
    changed_tags=st.lists(_octets, max_size=2).map(tuple),
    scheme=_words, authority=_octets, ingress=_words, principal=_words, client_key=st.none() | _octets,
    idempotency=st.none() | st.builds(Idempotency, _words, _words, _octets),
)  # fmt: skip
_results = st.builds(
    Result, state=st.sampled_from(State), attempts=st.integers(0, 9), taken=st.booleans(), finished_at=_times,
    status=st.none() | st.integers(100, 599), fields=_fields, body=_octets, complete=st.booleans(),
    problem=st.none() | _problems,
)  # fmt: skip
_events = st.builds(
    CommitEvent, write_id=_words, route=_words, keys=st.lists(_words, max_size=3).map(tuple),
    shard=st.integers(0, 4095), method=_words, target=_octets, state=st.sampled_from(State), at=_times,
    ingress=_words, status=st.none() | st.integers(100, 599), accepted=st.booleans(),
    etag=st.none() | _octets,
    invalidated=st.lists(_words, max_size=3).map(tuple),
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "made"),
    [
        (Write, "id route keys shard method target forward_target fields body mode accepted_at not_after "
                "changed_targets changed_tags scheme authority ingress principal client_key idempotency"),
        (Result, "state attempts taken finished_at status fields body complete problem"),
        (CommitEvent, "write_id route keys shard method target state at ingress status accepted etag "
                      "invalidated"),
    ],
)  # fmt: skip
def test_every_field_is_among_those_that_are_tried(values: type, made: str) -> None:
    assert {field.name for field in dataclasses.fields(values)} == set(made.split()), "written down, too?"


@given(write=_writes)
def test_a_write_comes_back(write: Write) -> None:
    assert write_of(write_record(write, with_body=True)) == write
    assert write_of(write_record(write, with_body=False), body=write.body) == write


@given(write=_writes, result=_results, started_at=st.none() | _times)
def test_an_end_comes_back_as_status_and_as_result(
    write: Write, result: Result, started_at: float | None
) -> None:
    record = end_record(write, result, position=7, started_at=started_at)
    assert result_of(record) == result
    status = status_of(record)
    assert (status.id, status.keys, status.target, status.mode) == (
        write.id, write.keys, write.target, write.mode,
    )  # fmt: skip
    assert (status.state, status.finished_at, status.problem) == (
        result.state, result.finished_at, result.problem,
    )  # fmt: skip
    assert (status.position, status.started_at) == (7, started_at)


@given(events=st.lists(_events, max_size=3))
def test_the_events_of_a_row_come_back(events: list[CommitEvent]) -> None:
    row = event_row((n, event.shard, event_record(event)) for n, event in enumerate(events))
    assert list(events_of(row)) == [LoggedEvent(n, event) for n, event in enumerate(events)]


@given(problem=st.none() | _problems)
def test_a_problem_comes_back(problem: Problem | None) -> None:
    assert problem_of(problem_text(problem)) == problem
