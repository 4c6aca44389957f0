"""What follows from a head is worked out once, and never taken for what follows from another."""

from __future__ import annotations

import gc

import pytest

from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.http.remembered import KNOWN_HEAD_BYTES, Remembered


def head_of(status: int, value: bytes = b"a") -> ResponseHead:
    return ResponseHead(status, Fields([(b"X-A", value)]))


def test_it_is_derived_once_for_the_same_object() -> None:
    asked: list[ResponseHead] = []
    statuses = Remembered(lambda head: asked.append(head) or head.status)
    one, equal = head_of(203), head_of(203)
    assert [statuses.of(one), statuses.of(one), statuses.of(equal)] == [203, 203, 203]
    assert [id(head) for head in asked] == [id(one), id(equal)]


def test_an_object_in_the_place_of_one_that_is_gone_is_another() -> None:
    statuses = Remembered(lambda head: head.status, most=4)
    for status in range(200, 400):  # without the reference, places in memory would be used again at once
        assert statuses.of(head_of(status)) == status
        gc.collect(0)


def test_it_is_bounded() -> None:
    known = Remembered(lambda head: head.status, most=4)
    kept = [head_of(status) for status in range(200, 210)]
    assert [known.of(head) for head in kept] == list(range(200, 210))
    assert 0 < len(known) <= 4


def test_what_follows_from_a_long_head_is_not_remembered() -> None:
    known = Remembered(lambda head: head.status)
    longest = KNOWN_HEAD_BYTES - len(b"X-A: \r\n")
    assert known.of(head_of(200, b"x" * (longest + 1))) == 200
    assert len(known) == 0
    assert known.of(head_of(200, b"x" * longest)) == 200
    assert len(known) == 1


def test_a_failure_is_not_remembered() -> None:
    may_fail = [True]
    failing = Remembered(lambda head: head.status // (0 if may_fail[0] else 1))
    head = head_of(200)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failing.of(head)
    may_fail[0] = False
    assert failing.of(head) == 200
