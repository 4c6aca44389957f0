"""Large bodies in files of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.writes.embedded.sealing import Damaged, Seal
from proxy.writes.embedded.spool import Spool

BODY = b"secret" * 100_000


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, Seal(bytes(32)))


def test_a_body_is_kept_sealed_and_removed(spool: Spool, tmp_path: Path) -> None:
    spool.write("b1", BODY)
    assert b"secret" not in (tmp_path / "b1").read_bytes()
    assert spool.read("b1") == BODY
    spool.remove("b1")
    spool.remove("b1")
    assert os.listdir(tmp_path) == []


def test_a_missing_a_torn_and_an_exchanged_body_are_damaged(spool: Spool, tmp_path: Path) -> None:
    spool.write("b1", BODY)
    spool.write("b2", BODY)
    with pytest.raises(Damaged, match="missing"):
        spool.read("b3")
    os.replace(tmp_path / "b1", tmp_path / "b2")
    with pytest.raises(Damaged):
        spool.read("b2")
    os.truncate(tmp_path / "b2", 1000)
    with pytest.raises(Damaged):
        spool.read("b2")


def test_a_name_is_never_written_twice(spool: Spool) -> None:
    spool.write("b1", BODY)
    with pytest.raises(FileExistsError):
        spool.write("b1", b"other")


def test_orphans_are_collected(spool: Spool, tmp_path: Path) -> None:
    for name in ("b1", "b2", "b3"):
        spool.write(name, b"x")
    assert spool.collect_orphans({"b2", "b9"}) == 2
    assert os.listdir(tmp_path) == ["b2"]
