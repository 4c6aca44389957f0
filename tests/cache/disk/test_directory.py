from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.cache.disk.directory import Directory
from proxy.cache.disk.place import place_of
from proxy.errors import ConfigError
from proxy.held_directory import LOCK_NAME

PLACE = place_of(b"key", ())


@pytest.fixture
def ours(tmp_path: Path) -> Directory:
    directory = Directory(tmp_path / "cache")
    directory.acquire()
    return directory


@pytest.mark.slow
def test_a_second_process_is_refused_and_told_who_holds_the_directory(ours: Directory) -> None:
    code = (
        "import sys; from pathlib import Path; from proxy.cache.disk.directory import Directory\n"
        "Directory(Path(sys.argv[1])).acquire()"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, ours.path], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert (
        f"cache.disk.directory is {ours.path}, which another Lockgate uses (pid {os.getpid()})"
        in found.stderr
    )
    ours.release()


def test_it_is_free_again_after_release(ours: Directory) -> None:
    with pytest.raises(ConfigError, match="another Lockgate"):
        Directory(ours.path).acquire()
    ours.release()
    again = Directory(ours.path)
    again.acquire()
    again.release()


def test_a_directory_with_other_things_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="neither empty nor a disk cache of ours"):
        Directory(tmp_path).acquire()
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be used"):
        Directory(tmp_path / "file").acquire()


def test_parts_left_by_a_killed_process_are_removed(ours: Directory) -> None:
    part, fd = ours.new_part()
    os.close(fd)
    ours.release()
    again = Directory(ours.path)
    again.acquire()
    assert not part.exists()
    again.release()


def test_an_object_is_written_replaced_read_and_removed(ours: Directory) -> None:
    ours.write_object(PLACE, [b"one"], fsync=False)
    ours.write_object(PLACE, [b"", b"a", b"nother"], fsync=True)
    fd = ours.open_object(PLACE)
    assert ours.shard_names(PLACE.shard) == [PLACE.name]
    assert ours.unlink_object(PLACE)
    assert not ours.unlink_object(PLACE)
    assert os.read(fd, 100) == b"another"
    os.close(fd)
    assert ours.shard_names(PLACE.shard) == []
    assert os.listdir(ours.parts) == []
    ours.release()


def test_a_write_that_fails_leaves_no_part(ours: Directory) -> None:
    (ours.objects / PLACE.path[:3]).write_text("where the shard should be")
    with pytest.raises(OSError, match="Not a directory"):
        ours.write_object(PLACE, [b"x"], fsync=False)
    assert os.listdir(ours.parts) == []
    assert ours.shard_names(PLACE.shard) == []
    assert ours.shards() == ([PLACE.shard], 0)
    ours.release()


def test_links_are_not_followed(ours: Directory, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    ours.write_object(PLACE, [b"x"], fsync=False)
    path = ours.objects / PLACE.path
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic"):
        ours.open_object(PLACE)
    with pytest.raises(OSError, match="symbolic"):
        ours.soften_object(PLACE)
    assert (tmp_path / "secret").read_text() == "secret"
    ours.release()


def test_the_room_left_is_told_and_everything_can_be_made_durable(ours: Directory) -> None:
    assert ours.free_bytes() > 0
    ours.sync()
    assert (ours.path / LOCK_NAME).exists()
    ours.release()
