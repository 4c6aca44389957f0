"""Both ends of a control channel, in one loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.errors import RefusedError
from proxy.workers.channel import AskRefused, Channel, ChannelClosed
from proxy.workers.frames import Message, framed
from proxy.workers.process import control_pair
from tests.origin.waiting import turns, until


class End:
    """Answers by a table, and holds what is asked with `hold`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Message]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, verb: str, body: Message) -> Message:
        self.asked.append((verb, body))
        await self.gate.wait()
        if verb == "refuse":
            raise RefusedError("not now")
        if verb == "break":
            raise LookupError("a bug")
        return {"told": body}


@pytest.fixture
def end() -> End:
    return End()


@pytest.fixture
async def pair(end: End) -> AsyncIterator[tuple[Channel, Channel]]:
    ours, theirs = control_pair()
    one = await Channel.over(ours, End().answer, name="one")
    other = await Channel.over(theirs, end.answer, name="other")
    yield one, other
    one.close()
    other.close()
    await turns()


async def test_a_question_is_answered(pair: tuple[Channel, Channel]) -> None:
    assert await pair[0].ask("a", {"x": 1}) == {"told": {"x": 1}}
    assert await pair[1].ask("b", {"y": [2]}) == {"told": {"y": [2]}}


async def test_questions_are_begun_in_order_and_answered_each_by_its_own(
    pair: tuple[Channel, Channel], end: End
) -> None:
    answers = [pair[0].asking("a", {"x": number}) for number in range(50)]
    assert [await answer for answer in answers] == [{"told": {"x": number}} for number in range(50)]
    assert [body["x"] for _, body in end.asked] == list(range(50))


async def test_an_error_is_told_to_who_asked(pair: tuple[Channel, Channel]) -> None:
    with pytest.raises(AskRefused, match="not now"):
        await pair[0].ask("refuse")


async def test_a_bug_is_logged_and_told(
    pair: tuple[Channel, Channel], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AskRefused, match="break failed: LookupError"):
        await pair[0].ask("break")
    assert "control_failed verb=break" in caplog.text


async def test_who_waits_too_long_stops_waiting(pair: tuple[Channel, Channel], end: End) -> None:
    end.gate.clear()
    with pytest.raises(TimeoutError):
        await pair[0].ask("a", timeout_s=0.01)
    end.gate.set()
    assert await pair[0].ask("b") == {"told": {}}


async def test_the_end_fails_everything_that_waits_and_all_later(
    pair: tuple[Channel, Channel], end: End
) -> None:
    end.gate.clear()
    waiting = pair[0].asking("a")
    await until(lambda: end.asked)
    pair[1].close()
    with pytest.raises(ChannelClosed):
        await waiting
    assert pair[0].closed.done()
    with pytest.raises(ChannelClosed):
        await pair[0].ask("b")
    end.gate.set()


async def test_what_is_no_message_ends_the_channel(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = control_pair()
    channel = await Channel.over(ours, End().answer, name="one")
    with theirs:
        theirs.send(framed({"neither": 1}))
        await channel.closed
    assert "control_broken" in caplog.text


async def test_questions_that_came_while_it_held_are_answered_by_the_next_program(end: End) -> None:
    ours, theirs = control_pair()
    asking = await Channel.over(theirs, End().answer, name="worker")
    before = await Channel.over(ours.dup(), end.answer, name="supervisor")
    before.hold()
    answers = [asking.asking("a", {"x": number}) for number in range(3)]
    told = await before.ask("own")  # answers are taken as ever
    rest, asked = before.pause(), before.asked
    assert told == {"told": {}}
    assert end.asked == []

    after = await Channel.over(ours, end.answer, name="next", asked=asked)
    after.data_received(rest)

    assert [await answer for answer in answers] == [{"told": {"x": number}} for number in range(3)]
    assert await after.ask("own") == {"told": {}}
    for channel in (before, after, asking):
        channel.close()
    await turns()


async def test_one_that_begins_held_answers_when_it_is_to_go_on(end: End) -> None:
    ours, theirs = control_pair()
    asking = await Channel.over(theirs, End().answer, name="worker")
    answers = [asking.asking("a", {"x": number}) for number in range(2)]
    held = await Channel.over(ours, end.answer, name="next", held=True)
    answers.append(asking.asking("a", {"x": 2}))
    assert await held.ask("own") == {"told": {}}
    assert end.asked == []
    held.go_on()
    assert [await answer for answer in answers] == [{"told": {"x": number}} for number in range(3)]
    for channel in (asking, held):
        channel.close()
    await turns()


async def test_where_the_next_program_does_not_come_it_goes_on(
    pair: tuple[Channel, Channel], end: End
) -> None:
    pair[1].hold()
    answer = pair[0].asking("a")
    assert await pair[1].ask("b") == {"told": {}}
    pair[1].pause()
    pair[1].go_on()
    assert await answer == {"told": {}}
