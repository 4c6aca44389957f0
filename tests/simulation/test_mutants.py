"""The simulation is red where the code is wrong: mutants, each caught every time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from proxy.cache.fences import Fences
from proxy.coalesce import flight as flight_module
from proxy.coalesce import learning
from proxy.coalesce.answer import Answer, PassThrough
from proxy.coalesce.ask import Ask, Wait
from proxy.coalesce.body import SharedBody
from proxy.coalesce.coalescer import Coalescer
from proxy.coalesce.deadlines import Deadlines
from proxy.coalesce.flight import Flight
from proxy.coalesce.flights import Flights, Place
from proxy.coalesce.outcomes import Outcome, Regroup, Stream
from proxy.coalesce.seat import Seat
from proxy.coalesce.validating import Validating
from proxy.errors import ProxyError
from proxy.policy.sharing import OriginFailed, Verdict
from tests.simulation.scenes import make_schedule
from tests.simulation.world import run

LIMIT = 250
"""Schedules within which a mutant must be caught; each is caught within a few dozen."""

SEEDS = (1, 2, 3)

Mutate = Callable[[pytest.MonkeyPatch], None]


def _released_serially(patch: pytest.MonkeyPatch) -> None:
    right = Coalescer._alone
    locks: dict[int, asyncio.Lock] = {}

    async def alone(self: Coalescer, ask: Ask, wait: Wait) -> Answer | PassThrough | None:
        async with locks.setdefault(id(asyncio.get_running_loop()), asyncio.Lock()):
            return await right(self, ask, wait)

    patch.setattr(Coalescer, "_alone", alone)


def _no_generations(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Fences, "crossed", lambda *_args, **_options: False)


def _removed_whoever_is_there(patch: pytest.MonkeyPatch) -> None:
    right = Flights.remove

    def remove(self: Flights, flight: Flight) -> None:
        right(self, flight)
        there = self._joinable.pop((flight.plan.key, flight.plan.variant), None)
        if there is not None:
            self._places.pop(there, None)

    patch.setattr(Flights, "remove", remove)


def _may_take_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(flight_module, "may_take", lambda *_args, **_options: None)


def _joined_after_it_was_cancelled(patch: pytest.MonkeyPatch) -> None:
    def cancel(self: Flight) -> None:
        if self._task is not None:
            self._task.cancel()

    patch.setattr(Flight, "cancel", cancel)


def _a_cut_body_is_whole(patch: pytest.MonkeyPatch) -> None:
    def fail(self: SharedBody, _error: ProxyError) -> None:
        self.finish()

    patch.setattr(SharedBody, "fail", fail)


def _variants_are_alike(patch: pytest.MonkeyPatch) -> None:
    for module in (flight_module, learning):
        patch.setattr(module, "variant_of", lambda *_args: ())


def _no_deadlines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Deadlines, "add", lambda *_args: None)


def _failures_are_tried_again(patch: pytest.MonkeyPatch) -> None:
    right = Flight._waiter_outcome

    def outcome(self: Flight, seat: Seat, verdict: Verdict, stream: Stream) -> Outcome:
        return Regroup() if isinstance(verdict, OriginFailed) else right(self, seat, verdict, stream)

    patch.setattr(Flight, "_waiter_outcome", outcome)


def _found_a_turn_later(patch: pytest.MonkeyPatch) -> None:
    right = Flights._put

    def put(self: Flights, flight: Flight, place: Place) -> None:
        asyncio.get_running_loop().call_soon(right, self, flight, place)

    patch.setattr(Flights, "_put", put)


def _fences_are_never_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Fences, "leave", lambda *_args: None)


def _stopped_when_one_leaves(patch: pytest.MonkeyPatch) -> None:
    right = Flight.give_up

    def give_up(self: Flight, seat: Seat) -> None:
        leads = next(iter(self._seats), None) is seat
        right(self, seat)
        if leads and not self.body.ended:
            self.cancel()

    patch.setattr(Flight, "give_up", give_up)


def _a_304_is_about_whatever_is_stored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Validating, "selected_by", lambda self, *_args, **_options: self.entries[-1])


MUTANTS: dict[str, Mutate] = {
    "waiters-released-one-after-the-other": _released_serially,
    "generations-not-compared": _no_generations,
    "a-flight-removed-without-looking-which": _removed_whoever_is_there,
    "may-take-not-asked-when-the-queue-drains": _may_take_is_not_asked,
    "joined-after-it-was-cancelled": _joined_after_it_was_cancelled,
    "a-cut-body-taken-for-whole": _a_cut_body_is_whole,
    "variants-not-compared": _variants_are_alike,
    "deadlines-forgotten": _no_deadlines,
    "failures-tried-again-one-after-the-other": _failures_are_tried_again,
    "found-a-turn-of-the-loop-after-it-started": _found_a_turn_later,
    "fences-never-left": _fences_are_never_left,
    "stopped-when-its-leader-leaves": _stopped_when_one_leaves,
    "a-304-taken-for-whatever-is-stored": _a_304_is_about_whatever_is_stored,
}


def _red_after(seed: int) -> int | None:
    """The number of schedules until one is red."""
    for number in range(LIMIT):
        try:
            run(make_schedule(random.Random(f"{seed}/{number}").choice))
        except AssertionError:
            return number + 1
    return None


@pytest.mark.slow
def test_the_code_as_it_is_passes_the_schedules_that_catch_the_mutants() -> None:
    assert [_red_after(seed) for seed in SEEDS] == [None] * len(SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught_whatever_the_seed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    red_after = [_red_after(seed) for seed in SEEDS]
    assert None not in red_after, f"not caught in {LIMIT} schedules: {red_after}"
