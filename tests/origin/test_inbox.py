"""What came and was not taken: joined, bounded, in order, the error last."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from proxy.errors import OriginBodyCut
from proxy.origin.connection import OriginConnection
from proxy.origin.inbox import HIGH_WATER_BYTES, MAX_PIECES, Inbox
from tests.origin.waiting import soon, turns


class Tap:
    """Stands in for the connection: notes pauses and limits."""

    def __init__(self) -> None:
        self.paused = False
        self.limits: list[float | None] = []

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False

    def limit(self, seconds: float, complaint: str) -> None:
        self.limits.append(seconds)

    def unlimit(self) -> None:
        self.limits.append(None)


@pytest.fixture
async def tap() -> Tap:
    return Tap()


@pytest.fixture
async def inbox(tap: Tap) -> Inbox:
    return Inbox(cast(OriginConnection, tap), asyncio.get_running_loop())


async def read(inbox: Inbox) -> bytes:
    return await soon(inbox.read(limit_s=7, complaint="late"))


async def test_a_single_piece_is_given_without_a_copy(inbox: Inbox) -> None:
    piece = b"x" * 1000
    inbox.put(piece)
    assert await read(inbox) is piece


async def test_pieces_are_joined_up_to_the_high_water_mark(inbox: Inbox, tap: Tap) -> None:
    pieces = [bytes([number]) * 100_000 for number in range(5)]
    for piece in pieces:
        inbox.put(piece)
    assert tap.paused
    assert await read(inbox) == pieces[0] + pieces[1]
    assert tap.paused
    assert await read(inbox) == pieces[2] + pieces[3]
    assert await read(inbox) == pieces[4]


async def test_reading_pauses_above_the_mark_and_goes_on_below(inbox: Inbox, tap: Tap) -> None:
    inbox.put(b"x" * HIGH_WATER_BYTES)
    assert not tap.paused
    inbox.put(b"y")
    assert tap.paused
    assert await read(inbox) == b"x" * HIGH_WATER_BYTES
    assert not tap.paused


async def test_many_small_pieces_pause_reading_too(inbox: Inbox, tap: Tap) -> None:
    for _ in range(MAX_PIECES + 1):
        inbox.put(b"xy")
    assert tap.paused
    assert len(await read(inbox)) == 2 * (MAX_PIECES + 1)
    assert not tap.paused


async def test_the_limit_counts_only_while_somebody_waits(inbox: Inbox, tap: Tap) -> None:
    inbox.put(b"x")
    await read(inbox)
    assert tap.limits == []
    reading = asyncio.get_running_loop().create_task(read(inbox))
    await turns(3)
    assert tap.limits == [7]
    inbox.put(b"y")
    assert await reading == b"y"
    assert tap.limits == [7, None]


async def test_the_error_comes_after_the_pieces_and_stays(inbox: Inbox) -> None:
    inbox.put(b"good")
    inbox.end(OriginBodyCut("cut"))
    inbox.end()
    assert await read(inbox) == b"good"
    for _ in range(2):
        with pytest.raises(OriginBodyCut):
            await read(inbox)


async def test_the_end_resumes_reading_for_the_next_exchange(inbox: Inbox, tap: Tap) -> None:
    inbox.put(b"x" * (HIGH_WATER_BYTES + 1))
    inbox.end()
    assert not tap.paused
    assert len(await read(inbox)) == HIGH_WATER_BYTES + 1
    assert await read(inbox) == b""


async def test_a_cancelled_read_loses_nothing(inbox: Inbox) -> None:
    reading = asyncio.get_running_loop().create_task(read(inbox))
    await turns(3)
    inbox.put(b"kept")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await read(inbox) == b"kept"
