"""A client that waits for the end of its write without a task."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.server.writes.parked_write import ParkedWrite
from proxy.writes.states import State
from proxy.writes.waiting import Ending, Waiters
from proxy.writes.write import Result, Write
from tests.writes.making import make_write
from tests.writes.model_origin import ModelResponse

RESULT = Result(State.COMMITTED, attempts=1, taken=True, finished_at=0.0, status=204)


class _Home:
    """Counts who is inside; its writes are whoever waits."""

    def __init__(self) -> None:
        self.inside = 0
        self.waiters = Waiters()
        self.writes = self

    def come_in(self) -> None:
        self.inside += 1

    def go_out(self) -> None:
        self.inside -= 1

    def join(self, write_id: str, waiter: ParkedWrite) -> None:
        self.waiters.join(write_id, waiter, reads=True)

    def leave(self, write_id: str, waiter: ParkedWrite) -> None:
        self.waiters.leave(write_id, waiter)


class _Telling:
    """Remembers what was told."""

    def __init__(self, patience_s: float) -> None:
        self.told: list[Ending | None] = []
        self.at_hand = True
        self.left_ids: list[str] = []
        self._patience_s = patience_s

    def patience_s(self, route: object, write: Write) -> float:
        return self._patience_s

    def at_once(self, exchange: object, route: object, write: Write, ending: Ending | None) -> bool:
        self.told.append(ending)
        return self.at_hand

    def left(self, route: object, write: Write) -> None:
        self.left_ids.append(write.id)


class _Parked:
    def __init__(self, patience_s: float = 60.0) -> None:
        self.home, self.telling, self.write = _Home(), _Telling(patience_s), make_write()
        self.over = asyncio.Event()
        none, home, telling = cast(Any, None), cast(Any, self.home), cast(Any, self.telling)
        self.parked = ParkedWrite(none, none, self.write, home=home, telling=telling, on_end=self._end)

    def _end(self) -> None:
        if self.parked.answer_at_once():
            self.parked.leave()
        self.over.set()

    def tell(self, rest: ModelResponse | None = None) -> None:
        self.home.waiters.tell(self.write.id, Ending(RESULT, rest))


async def test_it_is_told_once_and_leaves_nothing() -> None:
    one = _Parked()
    assert one.home.inside == 1
    one.tell()
    one.tell()
    assert one.telling.told == [Ending(RESULT)]
    assert (one.home.inside, len(one.home.waiters)) == (0, 0)
    one.parked.client_gone()
    one.parked.leave()
    assert (one.home.inside, one.telling.left_ids) == (0, [])


async def test_when_its_time_is_over_its_client_is_told_that_nothing_is_known() -> None:
    one = _Parked(patience_s=0.001)
    await asyncio.wait_for(one.over.wait(), 10)
    assert one.telling.told == [None]
    one.tell()
    assert one.telling.told == [None]
    assert len(one.home.waiters) == 0


async def test_a_client_that_leaves_is_heard_of_before_it_is_forgotten() -> None:
    one = _Parked()
    one.parked.client_gone()
    assert one.home.waiters.count(one.write.id) == 1, "else nobody would know that it was the only one"
    one.parked.leave()
    one.tell()
    assert (one.telling.left_ids, one.telling.told, one.home.inside) == ([one.write.id], [], 0)


async def test_the_rest_of_an_answer_that_nobody_is_there_to_read_is_closed() -> None:
    one, rest = _Parked(), ModelResponse(ResponseHead(200, Fields()), deque(), cut=False)
    one.telling.at_hand = False
    one.tell(rest)
    assert not rest.closed
    one.parked.client_gone()
    one.parked.leave()
    assert rest.closed
    assert one.telling.left_ids == [], "it has ended"
