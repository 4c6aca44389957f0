"""Which worker an order about writes goes to, and what comes of it; `test_supervisor.py` has the rest."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import pytest

from proxy.errors import ProxyError, RefusedError
from proxy.workers import overseer as overseer_module
from proxy.workers.channel import Channel
from proxy.workers.frames import Message
from proxy.workers.member import Member, State
from proxy.workers.overseer import Overseen, Overseer
from proxy.workers.process import ChildProcess
from proxy.workers.writes_orders import answered
from proxy.writes.orders import (
    ClosedDesk,
    Document,
    NoSuchWrite,
    NoWrites,
    ReadEvents,
    ShowWrite,
    WritesDesk,
    WritesOrder,
)

ORDER = ShowWrite("w1")


class AnyDesk:
    """Answers with a name, waits or fails."""

    def __init__(self, name: str, acts: Callable[[], Awaitable[None]] | None = None) -> None:
        self._name = name
        self._acts = acts
        self.orders: list[WritesOrder] = []

    async def carry_out(self, order: WritesOrder) -> Document:
        self.orders.append(order)
        if self._acts is not None:
            await self._acts()
        return {"desk": self._name}


class NoProcess:
    """As much of a process as a member looks at."""

    pid = 0

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()


class Workers:
    """Members whose other ends are in this process."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._channels: list[Channel] = []
        self.overseer = Overseer(cast(Overseen, self))

    async def add(self, slot: int, desk: WritesDesk, *, state: State = State.READY) -> Channel:
        """The worker's end of its channel."""

        async def answer(verb: str, body: Message) -> Message:
            assert verb == "writes"
            return await answered(desk, body)

        async def unasked(verb: str, body: Message) -> Message:
            raise AssertionError(f"nobody asks for {verb}")

        ours, theirs = socket.socketpair()
        channel = await Channel.over(ours, unasked, name=f"worker {slot}")
        other = await Channel.over(theirs, answer, name="supervisor")
        member = Member(slot, cast(ChildProcess, NoProcess()), channel)
        member.state = state
        self.members.append(member)
        self._channels += [channel, other]
        return other

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers()
    yield made
    made.close()


async def test_an_order_goes_to_the_worker_in_the_first_slot(workers: Workers) -> None:
    desk = AnyDesk("first")
    await workers.add(1, AnyDesk("second"))
    await workers.add(0, desk)
    assert await workers.overseer.writes(ORDER) == {"desk": "first"}
    assert desk.orders == [ORDER]


async def test_while_one_takes_over_from_another_the_one_that_has_them_is_found(workers: Workers) -> None:
    await workers.add(0, AnyDesk("before"), state=State.LEAVING)
    await workers.add(0, AnyDesk("not yet"), state=State.STARTING)
    await workers.add(0, ClosedDesk(elsewhere=True))
    assert await workers.overseer.writes(ORDER) == {"desk": "before"}


async def test_the_one_that_has_them_is_asked_first(workers: Workers) -> None:
    other = AnyDesk("has none")
    await workers.add(0, other)
    await workers.add(0, AnyDesk("has them"), state=State.LEAVING)
    workers.members[1].holds_writes = True
    assert await workers.overseer.writes(ORDER) == {"desk": "has them"}
    assert other.orders == []


async def test_an_order_that_waits_has_that_time_beside(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float | None] = []
    await workers.add(0, AnyDesk("first"))

    async def ask(_verb: str, _body: Message, *, timeout_s: float | None = None) -> Message:
        asked.append(timeout_s)
        return {"document": {}}

    monkeypatch.setattr(workers.members[0].channel, "ask", ask)
    await workers.overseer.writes(ORDER)
    await workers.overseer.writes(ReadEvents(wait_s=7.0))
    assert asked == [20.0, 27.0]


async def test_without_that_worker_the_operator_is_to_come_again(workers: Workers) -> None:
    await workers.add(1, AnyDesk("second"))
    await workers.add(0, AnyDesk("first"), state=State.STARTING)
    with pytest.raises(RefusedError, match="the worker that has the writes does not serve now") as raised:
        await workers.overseer.writes(ORDER)
    assert (raised.value.status, raised.value.retryable) == (503, True)


async def test_what_the_worker_says_against_it_is_told_as_it_is(workers: Workers) -> None:
    async def unknown() -> None:
        raise NoSuchWrite("no write is called so")

    await workers.add(0, AnyDesk("first", unknown))
    with pytest.raises(NoSuchWrite, match="no write is called so"):
        await workers.overseer.writes(ORDER)
    workers.members.clear()
    await workers.add(0, ClosedDesk(elsewhere=False))
    with pytest.raises(NoWrites):
        await workers.overseer.writes(ORDER)


async def test_a_fault_of_the_worker_is_no_fault_of_the_operator(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    await workers.add(0, AnyDesk("first", broken))
    with pytest.raises(ProxyError) as raised:
        await workers.overseer.writes(ORDER)
    assert raised.value.status == 500
    assert "control_failed" in caplog.text


async def test_an_answer_that_is_lost_leaves_open_what_was_done(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    end: list[Channel] = []

    async def dies() -> None:
        end[0].close()

    end.append(await workers.add(0, AnyDesk("first", dies)))
    with pytest.raises(RefusedError, match="may be done all the same"):
        await workers.overseer.writes(ORDER)
    workers.members.clear()

    hanging = asyncio.Event()

    async def hangs() -> None:
        await hanging.wait()

    monkeypatch.setattr(overseer_module, "WRITES_TIMEOUT_S", 0.01)
    await workers.add(0, AnyDesk("first", hangs))
    for order in (ORDER, ReadEvents(wait_s=0.01)):
        with pytest.raises(RefusedError, match="may be done all the same"):
            await workers.overseer.writes(order)
    hanging.set()
