from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.fences import Covers, Fences

KEYS = (b"a", b"b")
TAGS = (frozenset[bytes](), frozenset({b"t"}))


def _key(wanted: bytes) -> Covers:
    return lambda key, _tags: key == wanted


def _tag(wanted: bytes) -> Covers:
    return lambda _key, tags: wanted in tags


COVERS = (_key(b"a"), _key(b"b"), _tag(b"t"), lambda _key, _tags: True)


@dataclass(slots=True)
class Everything:
    """The model: keeps every purge for ever."""

    purges: list[Covers] = field(default_factory=list)

    def crossed(self, began: int, key: bytes, tags: frozenset[bytes], until: int) -> bool:
        return any(covers(key, tags) for covers in self.purges[began:until])


MOVES = st.lists(
    st.one_of(
        st.just(("enter", 0)),
        st.tuples(st.just("leave"), st.integers(0, 20)),
        st.tuples(st.just("purge"), st.integers(0, len(COVERS) - 1)),
    ),
    max_size=40,
)


def _play(fences: Fences, model: Everything, moves: list[tuple[str, int]]) -> list[int]:
    """Play the moves; the epochs of the fills that still run."""
    running: list[int] = []
    for move, number in moves:
        if move == "enter":
            running.append(fences.enter())
        elif move == "leave" and running:
            fences.leave(running.pop(number % len(running)))
        elif move == "purge":
            model.purges.append(COVERS[number])
            assert fences.raise_fence(COVERS[number]) == len(model.purges)
    return running


@pytest.mark.slow
@given(MOVES)
def test_what_it_says_of_running_fills_is_what_a_memory_of_every_purge_says(
    moves: list[tuple[str, int]],
) -> None:
    fences, model = Fences(), Everything()
    for began in _play(fences, model, moves):
        for until in range(began, fences.epoch + 1):
            for key in KEYS:
                for tags in TAGS:
                    said = fences.crossed(began, key, tags, until=until)
                    assert said == model.crossed(began, key, tags, until)


@pytest.mark.slow
@given(MOVES, st.integers(1, 4))
def test_a_bounded_memory_forgets_on_the_safe_side_only(moves: list[tuple[str, int]], most: int) -> None:
    fences, model = Fences(max_fences=most), Everything()
    for began in _play(fences, model, moves):
        for until in range(began, fences.epoch + 1):
            for key in KEYS:
                if model.crossed(began, key, TAGS[1], until):
                    assert fences.crossed(began, key, TAGS[1], until=until)
    assert len(fences._fences) <= most


@pytest.mark.slow
@given(MOVES)
def test_nothing_is_kept_when_no_fill_runs(moves: list[tuple[str, int]]) -> None:
    fences = Fences()
    for began in _play(fences, Everything(), moves):
        fences.leave(began)
    assert not fences._fences
    assert not fences._running


def test_a_fill_that_begins_after_a_purge_is_not_covered_by_it() -> None:
    fences = Fences()
    fences.enter()
    fences.raise_fence(_key(b"a"))
    assert not fences.crossed(fences.enter(), b"a")
