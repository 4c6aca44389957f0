from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.cache.disk.block_file import BlockFile, Descriptor
from proxy.cache.disk.file_body import FileBody
from proxy.cache.disk.layout import BLOCK_BYTES
from proxy.cache.disk.object_file import checksums_of
from proxy.errors import StoredBodyDamaged

BODY = os.urandom(3 * BLOCK_BYTES + 1000)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield executor


class Damage:
    def __init__(self) -> None:
        self.told = 0

    def __call__(self) -> None:
        self.told += 1


def a_body(path: Path, threads: ThreadPoolExecutor, damage: Damage | None = None) -> FileBody:
    (path / "file").write_bytes(BODY)
    descriptor = Descriptor(os.open(path / "file", os.O_RDONLY))
    file = BlockFile(
        descriptor, checksums_of([BODY]), len(BODY), threads=threads, on_damaged=damage or Damage()
    )
    return FileBody(file)


def flip(path: Path, at: int) -> None:
    """Change one bit of a file in place."""
    fd = os.open(path, os.O_RDWR)
    os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 1]), at)
    os.close(fd)


async def read_all(body: FileBody, first: int = 0, last: int | None = None) -> bytes:
    reader = body.reader(first, last)
    pieces = []
    while piece := await reader.read():
        pieces.append(piece)
    assert await reader.read() == b""
    reader.close()
    return b"".join(pieces)


def test_it_looks_like_a_body_that_has_ended_but_is_not_at_hand(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    body = a_body(tmp_path, threads)
    assert (body.ended, body.whole, body.keeping, body.ends_with_connection) == (True, False, True, False)
    assert body.length == body.received_bytes == body.expected_bytes == len(BODY)


@given(data=st.data(), nowait=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
async def test_any_range_is_read(
    tmp_path: Path, threads: ThreadPoolExecutor, data: st.DataObject, nowait: bool
) -> None:
    body = a_body(tmp_path, threads)
    body._file._nowait = nowait
    first = data.draw(st.integers(0, len(BODY) - 1))
    last = data.draw(st.none() | st.integers(first, len(BODY) + 10))
    assert await read_all(body, first, last) == BODY[first : None if last is None else last + 1]


async def test_a_reader_can_be_narrowed(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    reader = a_body(tmp_path, threads).reader()
    reader.narrow(10, 19)
    assert await reader.read() == BODY[10:20]
    assert reader.position == 20
    assert reader.read_nowait() == b""


async def test_a_file_that_is_removed_while_it_is_read_disturbs_nobody(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    body = a_body(tmp_path, threads)
    reader = body.reader()
    first = await reader.read()
    (tmp_path / "file").unlink()
    (tmp_path / "file").write_bytes(b"another")
    assert first + b"".join([await reader.read() for _ in range(3)]) == BODY


@pytest.mark.parametrize("nowait", [True, False])
async def test_a_damaged_block_is_not_given_out_and_fails_the_body_for_everybody(
    tmp_path: Path, threads: ThreadPoolExecutor, nowait: bool
) -> None:
    damage = Damage()
    body = a_body(tmp_path, threads, damage)
    body._file._nowait = nowait
    flip(tmp_path / "file", BLOCK_BYTES + 5)
    reader, other = body.reader(), body.reader(2 * BLOCK_BYTES)
    assert await reader.read() == BODY[:BLOCK_BYTES]
    with pytest.raises(StoredBodyDamaged):
        await reader.read()
    with pytest.raises(StoredBodyDamaged):
        await other.read()
    assert damage.told == 1
    assert body.damaged


async def test_a_file_that_was_cut_fails_the_body(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    body = a_body(tmp_path, threads)
    os.truncate(tmp_path / "file", BLOCK_BYTES + 10)
    with pytest.raises(StoredBodyDamaged):
        await read_all(body)


def test_the_file_is_closed_when_nobody_holds_the_body(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    body = a_body(tmp_path, threads)
    fd = body.descriptor.fd
    reader = body.reader()
    del body
    os.fstat(fd)
    del reader
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
