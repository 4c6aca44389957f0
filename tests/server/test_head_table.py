from __future__ import annotations

import pytest

from proxy.server import head_table
from proxy.server.head_table import HeadTable


def table(max_bytes: int = 100) -> HeadTable[bytes, int]:
    return HeadTable(max_bytes=max_bytes, size_bytes=lambda head, _value: len(head))


def test_a_head_came_before_when_it_comes_again() -> None:
    heads = table()
    assert not heads.came_before(b"a")
    assert heads.came_before(b"a")
    assert not heads.came_before(b"b")


def test_what_is_kept_is_found() -> None:
    heads = table()
    heads.keep(b"a", 1)
    assert heads.find(b"a") == 1
    assert heads.young[b"a"] == 1
    assert heads.find(b"b") is None


def test_what_is_asked_for_outlives_what_is_not() -> None:
    heads = table(max_bytes=10)
    heads.keep(b"asked", 1)
    for number in range(50):
        heads.keep(b"%04d" % number, number)
        assert heads.find(b"asked") == 1
    assert heads.find(b"0000") is None
    assert len(heads) <= 6


def test_of_what_came_once_another_may_take_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_table, "SEEN_ONCE", 1)
    heads = table()
    assert not heads.came_before(b"a")
    assert heads.came_before(b"a")
    assert not heads.came_before(b"b")
    assert not heads.came_before(b"a")
