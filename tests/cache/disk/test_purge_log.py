from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

import proxy.cache.disk.purge_log as module
from proxy.cache.disk.bans import Purge
from proxy.cache.disk.purge_log import PurgeLog
from proxy.policy.purges import Matching, Prefixed

PURGES = [
    (1, Purge.all()),
    (2, Purge.key(b"key", soft=True)),
    (3, Purge.one(b"key", (b"v", None))),
    (4, Purge.tag(b"\xff tag")),
    (5, Purge.searched(Matching(re.compile(rb"^/a\d+\xff", re.IGNORECASE)))),
    (6, Purge.searched(Prefixed(frozenset({b"h"}), {b"route": (b"/a", b"/\xff")}), soft=True)),
    (7, Purge.target(b"4:http,")),
]


def opened(path: Path) -> tuple[PurgeLog, list[tuple[int, Purge]]]:
    log = PurgeLog(path)
    return log, log.open()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "purges.log"


def written(path: Path) -> int:
    log, _ = opened(path)
    log.append(PURGES[:2])
    log.append(PURGES[2:])
    log.close()
    return log.generation


def test_purges_come_back_in_order_under_the_same_generation(path: Path) -> None:
    generation = written(path)
    log, purges = opened(path)
    assert purges == PURGES
    assert log.generation == generation
    log.append([(8, Purge.tag(b"t"))])
    log.close()
    log, purges = opened(path)
    assert purges == [*PURGES, (8, Purge.tag(b"t"))]
    log.close()


def test_a_missing_log_begins_another_generation(path: Path) -> None:
    generation = written(path)
    path.unlink()
    log, purges = opened(path)
    assert purges == []
    assert log.generation != generation
    log.close()


@pytest.mark.slow
def test_a_log_cut_anywhere_is_a_shorter_log_or_another_generation(path: Path) -> None:
    generation = written(path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        log, purges = opened(path)
        assert purges == PURGES[: len(purges)]
        assert (log.generation == generation) == (path.read_bytes() == whole[:length])
        log.close()


@pytest.mark.slow
def test_a_bit_that_changed_anywhere_begins_another_generation(path: Path) -> None:
    generation = written(path)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        log, purges = opened(path)
        assert purges == []
        assert log.generation != generation
        log.close()


def test_a_log_written_anew_keeps_generation_and_sequence(path: Path) -> None:
    generation = written(path)
    log, _ = opened(path)
    log.compact(5, PURGES[3:])
    log.append([(8, Purge.tag(b"t"))])
    log.close()
    log, purges = opened(path)
    assert (log.generation, log.base_sequence) == (generation, 5)
    assert purges == [*PURGES[3:], (8, Purge.tag(b"t"))]
    log.close()


def _full(_fd: int, _pieces: Sequence[bytes]) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_that_cannot_grow_is_removed_so_that_nothing_is_believed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = written(path)
    log, _ = opened(path)
    monkeypatch.setattr(module, "write_all", _full)
    log.append([(8, Purge.tag(b"t"))])
    assert log.lost
    log.append([(9, Purge.tag(b"t"))])
    log.compact(7, [])
    log.close()
    assert not path.exists()
    monkeypatch.undo()
    log, _ = opened(path)
    assert log.generation != generation
    log.close()


def test_a_log_that_cannot_be_removed_either_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, _ = opened(path)
    monkeypatch.setattr(module, "write_all", _full)
    path.unlink()
    with pytest.raises(OSError, match=r"purges\.log"):
        log.append([(8, Purge.tag(b"t"))])
    log.close()


def test_an_old_log_stands_when_the_new_one_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(path)
    log, _ = opened(path)
    monkeypatch.setattr(module, "write_all", _full)
    with pytest.raises(OSError, match="No space"):
        log.compact(5, [])
    monkeypatch.undo()
    log.append([(8, Purge.tag(b"t"))])
    log.close()
    assert os.listdir(path.parent) == ["purges.log"]
    log, purges = opened(path)
    assert len(purges) == 8
    log.close()
