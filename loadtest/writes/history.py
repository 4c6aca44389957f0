"""What clients write down: one JSON object a line, in the order in which it happened to them.

A line names its key, so that a reader can take a history apart by keys without holding it; what concerns
all keys, as a fault does, names none. Times are nanoseconds of CLOCK_MONOTONIC, which the origin and all
clients of one machine share. `docs/checking-writes.md` lists the fields.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FORMAT = 1

Line = dict[str, Any]

_DECODER = json.JSONDecoder()


class BadHistory(Exception):
    """A file that is no history; the text has its name and the line."""


def now_ns() -> int:
    """The clock of all histories."""
    return time.monotonic_ns()


class ClientHistory:
    """A file that clients of one process write. Names of keys, writes and clients need no escapes in JSON."""

    def __init__(self, path: Path, *, seed: int, limit_s: float | None = None) -> None:
        """`limit_s` is how long the proxy allows an attempt at the origin, if it does."""
        self.path = path
        self._file = path.open("w", buffering=1 << 20)
        told = "" if limit_s is None else f',"limit":{round(limit_s * 1e9)}'
        self._file.write(f'{{"history":"client","format":{FORMAT},"seed":{seed},"at":{now_ns()}{told}}}\n')

    def invoke(
        self,
        write: str,
        key: str,
        *,
        by: str,
        via: str,
        method: str,
        mode: str,
        number: int,
        idem: str | None,
    ) -> None:
        """The first octet of a request is about to be sent, for the `number`th time."""
        told = "" if idem is None else f',"idem":{json.dumps(idem)}'
        self._file.write(
            f'{{"do":"invoke","key":"{key}","write":"{write}","at":{now_ns()},"by":"{by}","via":"{via}",'
            f'"method":"{method}","mode":"{mode}","try":{number}{told}}}\n'
        )

    def accepted(self, write: str, key: str, *, by: str, identity: str) -> None:
        """Answered 202: the proxy has promised to apply it, or to tell why not."""
        self._write("accepted", write, key, by, f',"id":"{identity}"')

    def ok(self, write: str, key: str, *, by: str, version: int | None = None) -> None:
        """Told that it was applied, by an answer or as the state of what had been answered 202."""
        self._write("ok", write, key, by, "" if version is None else f',"version":{version}')

    def fail(self, write: str, key: str, *, by: str, why: str) -> None:
        """Told that it was not applied, and never will be."""
        self._write("fail", write, key, by, f',"why":{json.dumps(why)}')

    def info(self, write: str, key: str, *, by: str, why: str) -> None:
        """Told nothing, or that nobody knows."""
        self._write("info", write, key, by, f',"why":{json.dumps(why)}')

    def lost(self, write: str, key: str, *, by: str, why: str) -> None:
        """The proxy does not know any more what it had answered 202."""
        self._write("lost", write, key, by, f',"why":{json.dumps(why)}')

    def read(
        self, key: str, *, began: int, by: str, via: str, version: int, last: str, settled: bool = False
    ) -> None:
        """A read that began then and ended now; `settled` if nobody writes any more."""
        told = ',"settled":true' if settled else ""
        self._file.write(
            f'{{"do":"read","key":"{key}","from":{began},"at":{now_ns()},"by":"{by}","via":"{via}",'
            f'"version":{version},"last":"{last}"{told}}}\n'
        )

    def event(self, key: str, write: str, *, by: str, position: int) -> None:
        """A follower of events was told that the write was committed."""
        self._write("event", write, key, by, f',"position":{position}')

    def reset(self, *, by: str) -> None:
        """A follower was told that it missed something."""
        self._file.write(f'{{"do":"reset","at":{now_ns()},"by":"{by}"}}\n')

    def fault(self, what: str, *, began: int, until: int, via: str) -> None:
        """What was done to the proxy, from when until it listened again."""
        self._file.write(
            f'{{"do":"fault","what":{json.dumps(what)},"at":{began},"until":{until},"via":"{via}"}}\n'
        )

    def _write(self, do: str, write: str, key: str, by: str, rest: str) -> None:
        self._file.write(
            f'{{"do":"{do}","key":"{key}","write":"{write}","at":{now_ns()},"by":"{by}"{rest}}}\n'
        )

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()


def lines_of(path: Path) -> Iterator[tuple[bytes, Line]]:
    """Each line of a history as it stands and as an object, the first one included. Raises: BadHistory."""
    with path.open("rb") as file:
        for number, octets in enumerate(file, 1):
            line = _object(octets)
            if line is None:
                raise BadHistory(f"{path}:{number}: no JSON object: {octets[:100]!r}")
            if number == 1:
                _check_first(path, line)
            yield octets, line


def _object(octets: bytes) -> Line | None:
    # A third of the time of json.loads, which looks for an encoding and for blanks first.
    try:
        text = octets.decode()
        line, end = _DECODER.raw_decode(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and not text[end:].strip() else None


def _check_first(path: Path, line: Line) -> None:
    if line.get("history") not in ("client", "origin"):
        raise BadHistory(f"{path}:1: a history begins with a line that says so: {line}")
    if line.get("format") != FORMAT:
        raise BadHistory(f"{path}:1: format {line.get('format')!r}; this checker reads {FORMAT}")
