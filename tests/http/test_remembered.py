"""What follows from an object is worked out once, and never taken for what follows from another."""

from __future__ import annotations

import gc

import pytest

from proxy.http.remembered import Remembered


def test_it_is_derived_once_for_the_same_object() -> None:
    asked: list[bytearray] = []
    lengths = Remembered(lambda value: asked.append(value) or len(value))
    one, equal = bytearray(b"abc"), bytearray(b"abc")
    assert [lengths.of(one), lengths.of(one), lengths.of(equal)] == [3, 3, 3]
    assert [id(value) for value in asked] == [id(one), id(equal)]


def test_an_object_in_the_place_of_one_that_is_gone_is_another() -> None:
    first_octets = Remembered(lambda value: bytes(value[:1]), most=4)
    for number in range(200):  # without the reference, places in memory would be used again at once
        assert first_octets.of(bytearray([number])) == bytes([number])
        gc.collect(0)


def test_it_is_bounded() -> None:
    known = Remembered(len, most=4)
    kept = [bytearray(number) for number in range(10)]
    assert [known.of(value) for value in kept] == list(range(10))
    assert len(known._known) <= 4


def test_a_failure_is_not_remembered() -> None:
    failing = Remembered(lambda value: 1 // len(value))
    empty = bytearray()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failing.of(empty)
    empty.append(1)
    assert failing.of(empty) == 1
