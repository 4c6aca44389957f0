"""Invalidations of hot keys are put together."""

from __future__ import annotations

import asyncio

import pytest

from proxy.writes import deferring
from proxy.writes.deferring import Deferring, Keys, Labels
from tests.simulation.virtual_time import run_virtually

A = frozenset({b"a"})
NONE: Labels = frozenset()


class Purges:
    """What was purged, at which second."""

    def __init__(self) -> None:
        self.done: list[tuple[float, Keys, Labels]] = []
        self.holds_s: list[float] = []
        self._began = asyncio.get_running_loop().time()

    def __call__(self, keys: Keys, labels: Labels, *, hold_s: float) -> None:
        at = round(asyncio.get_running_loop().time() - self._began, 2)
        self.done.append((at, keys, labels))
        self.holds_s.append(hold_s)


def test_the_first_is_done_at_once_and_those_behind_it_together_in_time() -> None:
    async def play() -> None:
        purges = Purges()
        deferring_ = Deferring(purges)
        deferring_.purge(A, NONE, within_s=1.0)
        for _ in range(5):
            await asyncio.sleep(0.1)
            deferring_.purge(A, frozenset({b"tag"}), within_s=1.0)
        await asyncio.sleep(5.0)
        assert purges.done == [(0.0, A, NONE), (1.0, A, frozenset({b"tag"}))]
        assert len(deferring_) == 0

    run_virtually(play())


def test_a_key_that_never_rests_is_purged_once_a_period() -> None:
    async def play() -> None:
        purges = Purges()
        deferring_ = Deferring(purges)
        for _ in range(50):
            deferring_.purge(A, NONE, within_s=1.0)
            await asyncio.sleep(0.1)
        deferring_.close()
        assert [at for at, _, _ in purges.done] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]

    run_virtually(play())


def test_a_full_table_defers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        purges = Purges()
        deferring_ = Deferring(purges)
        for name in (b"a", b"b", b"b"):
            deferring_.purge(frozenset({name}), NONE, within_s=1.0)
        assert len(purges.done) == 3
        deferring_.close()

    monkeypatch.setattr(deferring, "MAX_PERIODS", 1)
    run_virtually(play())


def test_what_was_put_off_is_held_as_long_as_the_longest_asked_for() -> None:
    async def play() -> None:
        purges = Purges()
        deferring_ = Deferring(purges)
        for hold_s in (0.0, 3.0, 2.0):
            deferring_.purge(A, NONE, within_s=1.0, hold_s=hold_s)
        await asyncio.sleep(1.5)
        assert purges.holds_s == [0.0, 3.0]
        deferring_.close()

    run_virtually(play())
