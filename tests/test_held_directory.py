"""One use for ever; `test_directory.py` and `test_home.py` of its two kinds have the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cache.disk.directory import Directory
from proxy.errors import ConfigError
from proxy.held_directory import LOCK_NAME
from proxy.writes.embedded.home import Home


@pytest.mark.parametrize(("one", "other"), [(Directory, Home), (Home, Directory)])
def test_a_directory_stays_what_it_was(
    one: type[Directory | Home], other: type[Directory | Home], tmp_path: Path
) -> None:
    first = one(tmp_path)
    first.acquire()
    first.release()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=f"which is a 'lockgate {one.KIND}'"):
        other(tmp_path).acquire()
    assert sorted(tmp_path.rglob("*")) == before
    first.acquire()
    first.release()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("not ours")
    directory = tmp_path / "cache"
    directory.mkdir()
    (directory / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be used"):
        Directory(directory).acquire()
    assert (tmp_path / "elsewhere").read_text() == "not ours"
