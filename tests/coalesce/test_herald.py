"""A herd is told in portions, its books come last, and one that breaks takes nobody with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from proxy.coalesce import herald as module
from proxy.coalesce.herald import Herald
from proxy.coalesce.outcomes import Role
from proxy.coalesce.seat import Seat
from tests.coalesce.bench import Bench
from tests.origin.waiting import turns


def parked(on_settled: Callable[[], Callable[[], None] | None]) -> Seat:
    bench = Bench()
    seat = Seat(bench.start(), Role.WAITER, bench.ask().request, epoch=0, joined_mono=0.0)
    seat.on_settled = on_settled
    return seat


async def test_a_seat_is_told_in_the_next_round() -> None:
    told: list[int] = []
    herald = Herald()
    herald.tell(parked(lambda: told.append(1)))
    assert told == []
    await asyncio.sleep(0)
    assert told == [1]


async def test_a_herd_is_told_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    told: list[int] = []
    herald = Herald()
    for number in range(5):
        herald.tell(parked(lambda number=number: told.append(number)))  # type: ignore[misc]
    rounds = []
    for _ in range(3):
        await asyncio.sleep(0)
        rounds.append(len(told))
    assert rounds == [2, 4, 5]
    assert told == [0, 1, 2, 3, 4]


async def test_the_books_come_when_all_have_been_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    seen: list[str] = []
    herald = Herald()

    def answered(name: str) -> Callable[[], Callable[[], None]]:
        def on_settled() -> Callable[[], None]:
            seen.append(f"answer {name}")
            return lambda: seen.append(f"book {name}")

        return on_settled

    for name in ("a", "b"):
        herald.tell(parked(answered(name)))
    await turns(6)
    assert seen == ["answer a", "answer b", "book a", "book b"]


async def test_a_seat_that_breaks_takes_nobody_with_it(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    herald = Herald()

    def breaks() -> None:
        raise RuntimeError("answer")

    def breaks_later() -> Callable[[], None]:
        return breaks

    for on_settled in (breaks, breaks_later, lambda: told.append("told")):
        herald.tell(parked(on_settled))
    await turns(4)
    assert told == ["told"]
    assert len(caplog.records) == 2


async def test_a_seat_is_told_once_and_holds_nothing_afterwards() -> None:
    herald = Herald()
    seat = parked(lambda: None)
    herald.tell(seat)
    await turns(2)
    assert seat.on_settled is None
