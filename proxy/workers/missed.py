"""Purges that a slot's disk tier has not heard of, because no worker held it: written down for the next.

A purge is acknowledged when no restart can bring back what it covers. Where a slot has no worker that could
write it into its own purge log, the supervisor writes it into this file, which the slot's next worker
carries out before it serves. What is carried out twice does no harm.

Functions here block: they run in threads.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from proxy.workers.frames import Message
from proxy.workers.portion import slot_directory


class Missed:
    """The file of one slot, beside its directory."""

    def __init__(self, directory: Path, slot: int) -> None:
        self._path = directory / f"{slot_directory(slot)}.missed"
        self._taken = directory / f"{slot_directory(slot)}.missed.taken"

    def __repr__(self) -> str:
        return f"<Missed {self._path}>"

    def add(self, purge: Message) -> None:
        """Write one down, for good. Raises: OSError."""
        line = json.dumps(purge).encode() + b"\n"
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not self._path.exists()
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)
        if is_new:
            _sync(self._path.parent)

    def take(self) -> list[Message]:
        """All that was missed. What is added from now on is for the next; `done` forgets these."""
        with contextlib.suppress(FileNotFoundError):
            lines = self._path.read_bytes()
            with self._taken.open("ab") as taken:  # those of a worker that died over them stay
                taken.write(lines)
                taken.flush()
                os.fsync(taken.fileno())
            self._path.unlink()
        try:
            octets = self._taken.read_bytes()
        except FileNotFoundError:
            return []
        found = [_purge(line) for line in octets.split(b"\n") if line]
        return [one for one in found if one is not None] if None not in found else [EVERYTHING]

    def done(self) -> None:
        """They were carried out, for good."""
        self._taken.unlink(missing_ok=True)


EVERYTHING: Message = {"coverage": {"kind": "everything"}, "soft": False}


def _purge(line: bytes) -> Message | None:
    """None for half a line: a purge that was never acknowledged, but nobody can tell of what."""
    try:
        purge = json.loads(line)
    except ValueError:
        return None
    return purge if isinstance(purge, dict) else None


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
