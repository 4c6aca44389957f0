"""Processes of workers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from proxy.workers.parent import die_with
from proxy.workers.process import ChildProcess, control_pair, interpreter_options, start_python
from tests.workers.supervised import state_of


@pytest.mark.slow
async def test_a_child_gets_its_descriptors_and_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "told.py").write_text("import os, sys\nos.write(int(sys.argv[1]), b'here')\nsys.exit(7)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ours, theirs = control_pair()
    with ours:
        with theirs:
            child = start_python("told", [str(theirs.fileno())], [theirs.fileno()])
        assert await asyncio.shield(child.ended) == 7
        assert ours.recv(10) == b"here"
        assert ours.recv(10) == b""
    assert state_of(child.pid) == ""
    child.send(signal.SIGKILL)  # nobody: nothing happens


async def test_a_child_of_the_program_before_is_adopted() -> None:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "100"], os.environ)  # noqa: ASYNC221 - as its module does
    child = ChildProcess(pid)
    child.send(signal.SIGTERM)
    assert await child.ended == -signal.SIGTERM


def test_the_interpreters_options_are_passed_on() -> None:
    assert all(option.startswith("-") or "=" not in option for option in interpreter_options())
    assert isinstance(sys.executable, str)


def test_who_was_started_by_another_is_told() -> None:
    assert not die_with(1 if os.getppid() != 1 else 2)
