from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.cache.disk.block_file import BlockFile, Descriptor
from proxy.cache.disk.layout import BLOCK_BYTES
from proxy.cache.disk.object_file import checksums_of
from proxy.errors import StoredBodyDamaged

BODY = os.urandom(2 * BLOCK_BYTES + 1000)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield executor


def a_file(path: Path, threads: ThreadPoolExecutor, *, readable_bytes: int = len(BODY)) -> BlockFile:
    (path / "file").write_bytes(BODY[:readable_bytes])
    descriptor = Descriptor(os.open(path / "file", os.O_RDONLY))
    blocks = checksums_of([BODY[:readable_bytes]])
    return BlockFile(descriptor, blocks, readable_bytes, threads=threads, on_damaged=lambda: None)


@pytest.mark.parametrize("position", [0, 5, BLOCK_BYTES, len(BODY) - 1])
async def test_what_comes_from_a_position_is_the_rest_of_its_block(
    tmp_path: Path, threads: ThreadPoolExecutor, position: int
) -> None:
    file = a_file(tmp_path, threads)
    end = min(len(BODY), (position // BLOCK_BYTES + 1) * BLOCK_BYTES)
    assert await file.piece(position) == BODY[position:end]
    assert file.piece_nowait(position) in (BODY[position:end], None)  # None: no such flag here


async def test_a_file_is_read_while_it_grows(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    file = a_file(tmp_path, threads, readable_bytes=BLOCK_BYTES)
    assert await file.piece(10) == BODY[10:BLOCK_BYTES]
    (tmp_path / "file").write_bytes(BODY)
    file.grow(checksums_of([BODY]), len(BODY))
    assert await file.piece(2 * BLOCK_BYTES) == BODY[2 * BLOCK_BYTES :]


async def test_what_is_not_readable_yet_is_not_asked_for(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    file = a_file(tmp_path, threads, readable_bytes=BLOCK_BYTES)
    with pytest.raises(AssertionError):
        await file.piece(BLOCK_BYTES)


async def test_a_file_system_without_nowait_is_read_by_a_thread(
    tmp_path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    file = a_file(tmp_path, threads)
    monkeypatch.setattr(os, "preadv", refuse)
    assert file.piece_nowait(0) is None
    monkeypatch.undo()
    assert file.piece_nowait(0) is None
    assert await file.piece(0) == BODY[:BLOCK_BYTES]


async def test_a_disk_that_fails_to_read_is_damage(
    tmp_path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    file = a_file(tmp_path, threads)
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(StoredBodyDamaged):
        await file.piece(0)
    with pytest.raises(StoredBodyDamaged):
        file.piece_nowait(0)
