"""Who is told to have the writes, step by step; `test_writes_holder.py` has real processes under load."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from typing import Any, cast

import pytest

from proxy.workers.channel import Channel
from proxy.workers.frames import Message
from proxy.workers.member import Member, State
from proxy.workers.process import ChildProcess
from proxy.workers.writes_holder import WritesHolder


class AnyProcess:
    """As much of a process as a member looks at."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()


class Handing:
    """Members of the first slot, the last of which is the heir, and what they were asked."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.asked: list[tuple[int, str, Message]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.gives: Message = {"clean": True}
        self._channels: list[Channel] = []
        self.holder = WritesHolder(
            self.members, heir=lambda: self.members[-1], soon=self._soon, give_s=lambda: 5.0
        )

    def _soon(self, doing: Coroutine[Any, Any, None], _name: str) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(doing))

    async def add(self) -> Member:
        pid = len(self.members)

        async def answer(verb: str, body: Message) -> Message:
            self.asked.append((pid, verb, body))
            return self.gives if verb == "give_writes" else {}

        ours, theirs = socket.socketpair()
        channel = await Channel.over(ours, answer, name=f"worker {pid}")
        self._channels += [channel, await Channel.over(theirs, answer, name="supervisor")]
        member = Member(0, cast(ChildProcess, AnyProcess(pid)), channel)
        member.state = State.READY
        self.members.append(member)
        return member

    async def settled(self) -> None:
        self.holder.settle()
        await asyncio.gather(*self.tasks)

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


@pytest.fixture
async def handing() -> AsyncIterator[Handing]:
    made = Handing()
    yield made
    made.close()


async def test_only_the_first_of_slot_0_takes_them_at_its_start(handing: Handing) -> None:
    assert handing.holder.at_start_of(0) == {"writes_later": False, "writes_clean": True}
    assert handing.holder.at_start_of(1)["writes_later"]
    (await handing.add()).holds_writes = True
    assert handing.holder.at_start_of(0)["writes_later"]


@pytest.mark.parametrize("clean", [True, False])
async def test_one_gives_them_up_and_then_the_heir_takes_them(handing: Handing, clean: bool) -> None:
    old = await handing.add()
    old.holds_writes, handing.gives = True, {"clean": clean}
    heir = await handing.add()
    await handing.settled()
    assert handing.asked == [(0, "give_writes", {}), (1, "take_writes", {"clean": clean})]
    assert (old.holds_writes, heir.holds_writes) == (False, True)
    await handing.settled()
    assert len(handing.asked) == 2


@pytest.mark.parametrize(("status", "clean"), [(0, True), (1, False), (-9, False)])
async def test_who_follows_a_dead_one_is_told_how_it_ended(
    handing: Handing, status: int, clean: bool
) -> None:
    dead = await handing.add()
    dead.holds_writes = True
    dead.process.ended.set_result(status)
    handing.holder.gone(dead)
    handing.members.remove(dead)
    assert handing.holder.at_start_of(0) == {"writes_later": False, "writes_clean": clean}
