from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from proxy.cache.disk.access import CACHED, CANNOT_SAY, PATIENT, READ_AT_ONCE_BYTES, Access

OCTETS = os.urandom(2 * READ_AT_ONCE_BYTES)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file that was just written: the page cache has it."""
    (tmp_path / "file").write_bytes(OCTETS)
    return str(tmp_path / "file")


def read(access: Access, path: str, count: int, offset: int) -> bytes:
    fd = access.open(path)
    try:
        return access.read(fd, count, offset)
    finally:
        os.close(fd)


def cached(path: str, count: int, offset: int) -> bytes:
    """Skips where kernel or file system have no such way."""
    try:
        return read(CACHED, path, count, offset)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in CANNOT_SAY:
            pytest.skip(f"not here: {error}")
        raise


def test_both_read_the_same(path: str) -> None:
    assert read(PATIENT, path, 1000, 500) == OCTETS[500:1500]
    assert cached(path, 1000, 500) == OCTETS[500:1500]


def test_the_patient_one_reads_up_to_the_end(path: str) -> None:
    assert read(PATIENT, path, 1000, len(OCTETS) - 10) == OCTETS[-10:]


def test_the_other_gives_all_that_was_asked_for_or_nothing(path: str) -> None:
    with pytest.raises(BlockingIOError):
        cached(path, 1000, len(OCTETS) - 10)
    with pytest.raises(BlockingIOError):
        cached(path, READ_AT_ONCE_BYTES + 1, 0)


def test_no_link_is_followed(path: str) -> None:
    os.symlink(path, path + "-link")
    for access in (PATIENT, CACHED):
        with pytest.raises(OSError, match=r"symbolic links|openat2") as failed:
            access.open(path + "-link")
        assert failed.value.errno in (errno.ELOOP, *CANNOT_SAY)


@pytest.mark.parametrize("access", [PATIENT, CACHED])
def test_what_is_not_there_is_not_found(tmp_path: Path, access: Access) -> None:
    with pytest.raises(OSError, match=r"No such file|openat2") as failed:
        access.open(str(tmp_path / "nothing"))
    assert failed.value.errno in (errno.ENOENT, errno.EAGAIN, *CANNOT_SAY)
