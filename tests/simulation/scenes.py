"""Makes schedules up, scene by scene, out of choices: Hypothesis's or a random generator's.

Hypothesis shrinks better and looks for what is odd; a random generator is ten times as fast. Both choose
from the same sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from hypothesis import strategies as st

from proxy.config.settings import OnWaitTimeout
from tests.simulation import kinds
from tests.simulation.kinds import Kind
from tests.simulation.schedule import (
    AUTHORIZATION,
    CONDITIONAL,
    COOKIE,
    DUTCH,
    FAR,
    GERMAN,
    HEAD,
    IMPATIENT,
    LENIENT,
    NEAR,
    NO_CACHE,
    ONLY_STORED,
    PLAIN,
    TAIL,
    TRAITS,
    Behave,
    Change,
    Join,
    Purge,
    Schedule,
    Setup,
    Spec,
    Step,
    Traits,
)

T = TypeVar("T")


class Choose(Protocol):
    """One of these."""

    def __call__(self, sequence: Sequence[T]) -> T: ...


SETUPS = (
    Setup(),
    Setup(wait_timeout_s=1.0),
    Setup(wait_timeout_s=0.5, on_wait_timeout=OnWaitTimeout.FETCH),
    Setup(max_waiters=2, abandoned_bytes=0),
    Setup(release_rate=20.0),
    Setup(concurrency=2, wait_timeout_s=1.0),
    Setup(fill_bytes=5_000),
)
_EVERYBODY = (PLAIN, COOKIE, AUTHORIZATION, GERMAN, NO_CACHE, HEAD)
_THEMES: tuple[tuple[tuple[Kind, ...], tuple[Traits, ...]], ...] = (
    (kinds.KINDS, TRAITS),
    (kinds.SHARED, _EVERYBODY),
    ((kinds.VARY,), (GERMAN, DUTCH, PLAIN)),
    ((kinds.VARY, kinds.MISMATCHED), (GERMAN, DUTCH, PLAIN)),
    ((kinds.HEURISTIC,), (PLAIN, COOKIE)),
    ((kinds.ZERO,), (PLAIN, COOKIE, COOKIE)),
    ((kinds.ZERO,), (PLAIN, COOKIE, COOKIE)),
    ((kinds.LIVE, kinds.STRICT), (PLAIN, AUTHORIZATION, NO_CACHE)),
    (kinds.ALONE, _EVERYBODY),
    ((kinds.UNAUTHORIZED, kinds.FORBIDDEN), (PLAIN, COOKIE)),
    ((kinds.FRESH, kinds.LIVE), (PLAIN, NEAR, FAR, TAIL, HEAD)),
    ((kinds.FRESH, kinds.TURNED_PRIVATE), (PLAIN, LENIENT, IMPATIENT, CONDITIONAL, ONLY_STORED)),
    ((kinds.HANGS, kinds.REFUSES, kinds.ERROR), (PLAIN, COOKIE)),
)
"""Kinds of answers and requests that have something to do with each other."""

_GAPS = (0.0, 0.0, 0.001, 0.05, 0.1, 0.3)
_LONG_GAPS = (0.0, 0.3, 1.0, 4.5, 5.5, 8.0)
_KEYS = (0, 0, 0, 0, 1)
_DELAYS = (0.01, 0.2, 0.2, 0.4, 2.0)
_SIZES = (0, 1, 700, 5_000, 60_000)
_PAUSES = (0.0, 0.02, 0.3)
_CUTS = (None, None, None, None, None, 0.0, 0.4, 0.999)
_COUNTS = (1, 1, 2, 4)
_PACES = (0.0, 0.0, 0.0, 0.03, 1.0)
_LEAVES = (None, None, None, None, None, None, None, 0.0, 0.01, 0.3, 1.0)
_SCOPES = ("key", "key", "tag", "tag", "tag", "pattern", "all")
_TROUBLE = (kinds.ERROR, kinds.ERROR_NO_STORE, *kinds.FAILURES)
_AGES = (4.5, 5.5, 8.0)
_BOTH = (False, True)


def _join(choose: Choose, palette: tuple[Traits, ...]) -> Join:
    return Join(
        choose(_GAPS),
        choose(_KEYS),
        choose(palette),
        choose(_COUNTS),
        choose(_PACES),
        choose(_LEAVES),
        choose(_BOTH),
    )


def _spec(choose: Choose, pool: tuple[Kind, ...]) -> Spec:
    return Spec(choose(pool), choose(_DELAYS), choose(_SIZES), choose(_BOTH), choose(_PAUSES), choose(_CUTS))


def _move(choose: Choose, palette: tuple[Traits, ...]) -> Step:
    match choose(("join", "join", "join", "purge", "change")):
        case "join":
            return _join(choose, palette)
        case "purge":
            return Purge(choose(_GAPS), choose(_KEYS), choose(_SCOPES), choose(_BOTH))
        case _:
            return Change(choose(_GAPS), choose(_KEYS))


def _scene(choose: Choose) -> list[Step]:
    """The origin changes its mind, somebody asks, and others come, mostly before the answer.

    Often somebody asks again when what is stored is stale, and the origin is in trouble or as it was.
    """
    pool, palette = choose(_THEMES)
    key = choose(_KEYS)
    answers = tuple(_spec(choose, pool) for _ in range(choose((1, 1, 2))))
    steps: list[Step] = [Behave(choose(_LONG_GAPS), key, answers)]
    steps.append(replace(_join(choose, palette), key=key, after_s=0.0))
    steps += [_move(choose, palette) for _ in range(choose(range(7)))]
    later = choose(("over", "over", "trouble", "trouble", "again"))
    if later != "over":
        trouble = Spec(choose(_TROUBLE), choose((0.1, 0.4, 2.0)))
        steps.append(Behave(choose(_AGES), key, (trouble,) if later == "trouble" else answers))
        steps.append(replace(_join(choose, palette), key=key, leave_s=None))
        steps.append(replace(_join(choose, palette), key=key))
    return steps


def make_schedule(choose: Choose) -> Schedule:
    """A schedule of some scenes."""
    scenes = [_scene(choose) for _ in range(choose((1, 2, 3, 4)))]
    return Schedule(tuple(step for scene in scenes for step in scene), choose(SETUPS))


@st.composite
def _chosen_by_hypothesis(draw: st.DrawFn) -> Schedule:
    return make_schedule(lambda sequence: draw(st.sampled_from(sequence)))


SCHEDULES = _chosen_by_hypothesis()
