"""Whose the journal's directory is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.held_directory import LOCK_NAME
from proxy.writes.embedded.home import Home


def test_a_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "journal")
    home.acquire()
    assert home.bodies.is_dir()
    assert home.path.stat().st_mode & 0o077 == 0
    assert f"pid {os.getpid()}" in (home.path / LOCK_NAME).read_text()
    assert home.free_bytes() > 0
    home.release()
    home.release()


def test_a_second_one_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    first, second = Home(tmp_path / "j"), Home(tmp_path / "j")
    first.acquire()
    with pytest.raises(ConfigError, match=f"another Lockgate uses .pid {os.getpid()}"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="neither empty nor a journal"):
        Home(tmp_path).acquire()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be used"):
        Home(tmp_path / "file").acquire()
