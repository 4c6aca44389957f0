"""Purges that wait for a slot's next worker."""

from __future__ import annotations

from pathlib import Path

from proxy.workers.missed import EVERYTHING, Missed

ONE = {"coverage": {"kind": "tag", "labels": ["a"]}, "soft": False}
TWO = {"coverage": {"kind": "tag", "labels": ["b"]}, "soft": True}


def test_what_was_missed_is_told_in_its_order_and_then_forgotten(tmp_path: Path) -> None:
    missed = Missed(tmp_path / "cache", 1)
    assert missed.take() == []
    missed.add(ONE)
    missed.add(TWO)
    assert missed.take() == [ONE, TWO]
    missed.done()
    assert missed.take() == []
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_comes_while_the_rest_is_carried_out_is_for_the_next(tmp_path: Path) -> None:
    missed = Missed(tmp_path, 0)
    missed.add(ONE)
    assert missed.take() == [ONE]
    missed.add(TWO)
    missed.done()
    assert Missed(tmp_path, 0).take() == [TWO]


def test_a_worker_that_died_over_them_loses_none(tmp_path: Path) -> None:
    missed = Missed(tmp_path, 0)
    missed.add(ONE)
    missed.take()
    missed.add(TWO)
    assert Missed(tmp_path, 0).take() == [ONE, TWO]


def test_half_a_line_purges_everything(tmp_path: Path) -> None:
    missed = Missed(tmp_path, 0)
    missed.add(ONE)
    with (tmp_path / "worker-0.missed").open("ab") as file:
        file.write(b'{"coverage": {"ki')
    assert missed.take() == [EVERYTHING]


def test_slots_do_not_share(tmp_path: Path) -> None:
    Missed(tmp_path, 0).add(ONE)
    assert Missed(tmp_path, 1).take() == []
