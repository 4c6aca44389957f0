"""A worker's way to purge the others."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import PurgeNotDurable, RefusedError
from proxy.policy.purges import Everything, Tagged
from proxy.workers.channel import Channel
from proxy.workers.coverage import coverage_of
from proxy.workers.frames import Message
from proxy.workers.process import control_pair
from proxy.workers.told import Told
from tests.origin.waiting import turns


async def pair(answer: object) -> tuple[Channel, Channel]:
    ours, theirs = control_pair()

    async def nothing(_verb: str, _body: Message) -> Message:
        return {}

    return (
        await Channel.over(ours, nothing, name="worker"),
        await Channel.over(theirs, answer, name="supervisor"),  # type: ignore[arg-type]
    )


async def test_a_purge_is_told_and_settled_when_all_have_it() -> None:
    gate, told = asyncio.Event(), []

    async def answer(verb: str, body: Message) -> Message:
        told.append((verb, coverage_of(body["coverage"]), body["soft"], body["hold_s"]))
        await gate.wait()
        return {"entries": len(told)}

    worker, supervisor = await pair(answer)
    others = Told(worker)
    await others.settled()  # nothing was told yet
    one = others.purge(Everything(), soft=False)
    two = others.purge(Tagged(frozenset({b"\xff"})), soft=True, hold_s=2.5)
    settled = asyncio.get_running_loop().create_task(others.settled())
    await turns()
    assert not settled.done()
    gate.set()
    await settled
    assert (await one, await two) == (2, 2)
    assert told == [
        ("purge", Everything(), False, 0.0),
        ("purge", Tagged(frozenset({b"\xff"})), True, 2.5),
    ]
    worker.close()
    supervisor.close()
    await turns()


async def test_what_could_not_be_told_is_not_durable() -> None:
    async def answer(_verb: str, _body: Message) -> Message:
        raise RefusedError("the disk is full")

    worker, supervisor = await pair(answer)
    others = Told(worker)
    purge = others.purge(Everything(), soft=False)
    with pytest.raises(PurgeNotDurable, match="the disk is full"):
        await others.settled()
    with pytest.raises(PurgeNotDurable):
        await purge
    worker.close()
    supervisor.close()
    await turns()
