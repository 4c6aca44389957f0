from __future__ import annotations

from proxy.cache.recalled import FEWEST, Recalled


def _recall(recalled: Recalled, numbers: range, *, within: int) -> list[bool]:
    return [recalled.again(b"%d" % number, (), within=within) for number in numbers]


def test_what_is_asked_for_again_soon_is_worth_a_place() -> None:
    recalled = Recalled()
    assert _recall(recalled, range(30), within=50) == [False] * 30
    assert _recall(recalled, range(30), within=50) == [True] * 30


def test_a_circle_larger_than_memory_never_is() -> None:
    recalled = Recalled()
    for _ in range(3):
        assert not any(_recall(recalled, range(100), within=50))
    assert len(recalled._numbers) <= 50


def test_however_small_memory_is_some_recalls_are_looked_back_upon() -> None:
    recalled = Recalled()
    _recall(recalled, range(FEWEST - 1), within=0)
    assert recalled.again(b"0", (), within=0)
    assert not recalled.again(b"0", (), within=0)  # it was worth it, and begins anew


def test_variants_are_told_apart() -> None:
    recalled = Recalled()
    recalled.again(b"a", (b"de",), within=50)
    assert not recalled.again(b"a", (b"fr",), within=50)
    assert recalled.again(b"a", (b"de",), within=50)
