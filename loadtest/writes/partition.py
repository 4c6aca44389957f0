"""Histories taken apart by keys, so that a million writes are checked within the memory of a few thousand.

All rules are about one key. One pass over the files puts each line into one of some temporary files by its
key; then each is read as a whole. A hot key has a file that is as large as the key is hot.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from zlib import crc32

from loadtest.writes.history import BadHistory, Line, lines_of
from loadtest.writes.key_history import Fault, KeyHistory

_PART_BYTES = 24 * 1024 * 1024
_MAX_PARTS = 256


@dataclass(slots=True)
class Whole:
    """What concerns all keys."""

    seeds: list[str] = field(default_factory=list)
    began_at: int | None = None
    faults: list[Fault] = field(default_factory=list)
    limit_ns: int | None = None
    """The shortest that some history's head states for an attempt at the origin."""


class Partition:
    """The parts of some histories."""

    def __init__(self, whole: Whole, parts: Sequence[Path]) -> None:
        self.whole = whole
        self._parts = parts

    def histories(self) -> Iterator[KeyHistory]:
        """The history of each key, one part after the other. Raises: BadHistory."""
        for part in self._parts:
            by_key: dict[str, KeyHistory] = {}
            everywhere: list[tuple[int, Line]] = []
            for _, line in lines_of(part):
                if "key" in line:
                    _add(by_key.setdefault(line["key"], KeyHistory(line["key"])), line)
                elif line.get("do") == "reset":
                    everywhere.append((line["at"], line))
            for key in sorted(by_key):
                history = by_key.pop(key)
                if everywhere and history.seen:
                    for _, line in everywhere:
                        _add(history, line)
                    history.seen.sort(key=lambda seen: seen.at)
                yield history


def _add(history: KeyHistory, line: Line) -> None:
    try:
        history.add(line)
    except KeyError as error:
        raise BadHistory(f"a line lacks {error}: {line}") from None


@contextmanager
def partitioned(paths: Sequence[Path]) -> Iterator[Partition]:
    """The histories by keys for the length of a `with`. Raises: BadHistory, OSError."""
    size = sum(path.stat().st_size for path in paths)
    number = min(_MAX_PARTS, size // _PART_BYTES + 1)
    with tempfile.TemporaryDirectory(prefix="lockgate-histories-") as directory:
        parts = [Path(directory) / str(place) for place in range(number)]
        whole = Whole()
        with ExitStack() as open_files:
            files = [open_files.enter_context(part.open("wb", buffering=1 << 16)) for part in parts]
            for path in paths:
                _divide(path, files, whole)
        yield Partition(whole, parts)


def _divide(path: Path, files: Sequence[IO[bytes]], whole: Whole) -> None:
    for octets, line in lines_of(path):
        if "history" in line:
            _begin(path, line, whole)
            for file in files:
                file.write(octets)
            continue
        do = line.get("do", "")
        key = line.get("key")
        if key is not None:
            files[crc32(key.encode()) % len(files)].write(octets)
        elif do == "fault":
            whole.faults.append(Fault(line["what"], line["at"], line["until"]))
        elif do == "reset":
            for file in files:
                file.write(octets)
        else:
            raise BadHistory(f"{path}: a line without a key: {line}")


def _begin(path: Path, line: Line, whole: Whole) -> None:
    whole.seeds.append(f"{line['history']} {line.get('seed')} ({path.name})")
    began_at = int(line["at"])
    whole.began_at = began_at if whole.began_at is None else min(began_at, whole.began_at)
    limits = [limit for limit in (whole.limit_ns, line.get("limit")) if limit is not None]
    whole.limit_ns = min(limits, default=None)
