"""Herds on one cold key: exactly how often the origin is asked, and how long they wait.

The bound that every herd of N keeps, whatever the answer is: 1 forward request where the answer or the
failure is for everybody; one for each variant; 2 + N where it is about who asks (a second leader is elected
once); N where it is not for sharing, all but the first at once. Never one after the other.
"""

from __future__ import annotations

import pytest

from tests.simulation import kinds
from tests.simulation.kinds import Kind
from tests.simulation.schedule import (
    COOKIE,
    DUTCH,
    GERMAN,
    PLAIN,
    Behave,
    Join,
    Schedule,
    Setup,
    Spec,
    Traits,
)
from tests.simulation.world import World, run

HERD = 60
DELAY_S = 0.2
PATIENT = Setup(wait_timeout_s=3.0)


def _herd(kind: Kind, *palette: Traits, setup: Setup = PATIENT) -> World:
    joins = tuple(Join(traits=traits, count=HERD // len(palette)) for traits in palette)
    return run(Schedule((Behave(answers=(Spec(kind, delay_s=DELAY_S),)), *joins), setup))


def _asked(world: World) -> int:
    return len(world.origin.forwards)


def _last_answer_s(world: World) -> float:
    return max(client.answered_at - client.asked_at for client in world.clients if client.answered_at)


@pytest.mark.parametrize("kind", [*kinds.SHARED, kinds.ZERO, kinds.OLD, kinds.ERROR_FRESH], ids=repr)
def test_an_answer_for_all_is_asked_for_once(kind: Kind) -> None:
    world = _herd(kind, PLAIN)
    assert _asked(world) == 1
    assert _last_answer_s(world) < DELAY_S + 0.01


@pytest.mark.parametrize(
    "kind", [kinds.ERROR, kinds.ERROR_NO_STORE, kinds.REFUSES, kinds.CLOSES_AT_ONCE], ids=repr
)
def test_a_failing_origin_is_asked_once(kind: Kind) -> None:
    assert _asked(_herd(kind, PLAIN)) == 1


def test_a_hanging_origin_is_asked_once_and_every_waiter_is_told_at_its_deadline() -> None:
    world = _herd(kinds.HANGS, PLAIN)
    assert _asked(world) == 1
    assert all(client.ended and client.answered_at is None for client in world.clients)


def test_each_variant_is_asked_for_once() -> None:
    world = _herd(kinds.VARY, GERMAN, DUTCH, PLAIN)
    assert _asked(world) == 3
    assert _last_answer_s(world) < 2 * DELAY_S + 0.01


@pytest.mark.parametrize("kind", set(kinds.ALONE) - {kinds.OLD}, ids=repr)
def test_an_answer_not_for_sharing_releases_all_at_once(kind: Kind) -> None:
    world = _herd(kind, PLAIN)
    assert _asked(world) == HERD
    assert _last_answer_s(world) < 2 * DELAY_S + 0.01


@pytest.mark.parametrize("kind", [kinds.UNAUTHORIZED, kinds.FORBIDDEN], ids=repr)
def test_an_answer_about_the_leader_elects_another_one_once(kind: Kind) -> None:
    world = _herd(kind, PLAIN)
    assert _asked(world) == HERD
    assert _last_answer_s(world) < 3 * DELAY_S + 0.01


def test_those_with_cookies_are_released_from_a_guessed_lifetime_together() -> None:
    world = _herd(kinds.HEURISTIC, PLAIN, COOKIE)
    assert _asked(world) == 1 + HERD // 2
    assert _last_answer_s(world) < 2 * DELAY_S + 0.01


def test_a_release_keeps_to_its_rate() -> None:
    world = _herd(kinds.PRIVATE, PLAIN, setup=Setup(release_rate=20.0))
    assert _asked(world) == HERD
    assert _last_answer_s(world) == pytest.approx(2 * DELAY_S + (HERD - 2) / 20, abs=0.06)


def test_a_release_keeps_to_the_origins_limit() -> None:
    world = _herd(kinds.PRIVATE, PLAIN, setup=Setup(concurrency=20))
    assert world.origin.outstanding_peak == 20
    assert _last_answer_s(world) < DELAY_S + DELAY_S * 3 * 1.2
