"""Who waits for the end of a write."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.writes.states import State
from proxy.writes.waiting import Ending, Waiters
from proxy.writes.write import Result
from tests.writes.model_origin import ModelResponse

RESULT = Result(State.COMMITTED, attempts=1, taken=True, finished_at=0.0)


def _response() -> ModelResponse:
    return ModelResponse(ResponseHead(200, Fields()), deque(), cut=False)


async def test_all_who_wait_are_told_and_the_first_who_reads_gets_the_rest() -> None:
    waiters, rest = Waiters(), _response()
    with (
        waiters.wait("w1") as polling,
        waiters.wait("w1", reads=True) as first,
        waiters.wait("w1", reads=True) as second,
        waiters.wait("w2") as other,
    ):
        assert waiters.waits("w1")
        assert waiters.count("w1") == 3
        assert waiters.reads("w1")
        assert not waiters.reads("w2")
        waiters.tell("w1", Ending(RESULT, rest))
        assert await polling == Ending(RESULT)
        assert (await first).rest is rest
        assert await second == Ending(RESULT)
        assert not other.done()
    assert len(waiters) == waiters.count("w1") == 0
    assert not waiters.reads("w1")
    assert not rest.closed


async def test_a_rest_that_nobody_reads_is_closed() -> None:
    waiters, rest = Waiters(), _response()
    with waiters.wait("w1") as polling:
        waiters.tell("w1", Ending(RESULT, rest))
        assert await polling == Ending(RESULT)
    assert rest.closed


async def test_a_rest_that_nobody_waits_for_is_closed() -> None:
    waiters, rest = Waiters(), _response()
    waiters.tell("w1", Ending(RESULT, rest))
    assert rest.closed


async def test_who_has_left_is_told_nothing() -> None:
    waiters, rest = Waiters(), _response()
    with waiters.wait("w1") as left:
        left.cancel()
        waiters.tell("w1", Ending(RESULT, rest))
    assert rest.closed
    with pytest.raises(asyncio.CancelledError):
        await left


async def test_being_told_twice_does_no_harm() -> None:
    waiters = Waiters()
    with waiters.wait("w1") as future:
        waiters.tell("w1", Ending(RESULT))
        waiters.tell("w1", Ending(RESULT))
        assert await future == Ending(RESULT)


class _Leaves:
    """Leaves in the step in which it is told."""

    def __init__(self, waiters: Waiters) -> None:
        self.told: list[Ending] = []
        self._waiters = waiters
        waiters.join("w1", self, reads=True)

    def done(self) -> bool:
        return bool(self.told)

    def set_result(self, ending: Ending) -> None:
        self.told.append(ending)
        self._waiters.leave("w1", self)


async def test_who_leaves_while_it_is_told_does_not_hide_who_comes_behind() -> None:
    waiters, rest = Waiters(), _response()
    first = _Leaves(waiters)
    with waiters.wait("w1") as polling:
        last = _Leaves(waiters)
        waiters.tell("w1", Ending(RESULT, rest))
        assert await polling == Ending(RESULT)
    assert [ending.rest for ending in (*first.told, *last.told)] == [rest, None]
    assert len(waiters) == 0
    assert not waiters.reads("w1")
