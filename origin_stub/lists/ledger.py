"""The origin's history: one line for each attempt at a write, written when it is over.

    {"do":"apply","key":"k1","write":"c3-17","enter":1,"leave":2,"version":7,"status":200,
     "answered":true,"attempt":1,"idem":null}

`do` is `apply`, `replay` (known by its Idempotency-Key and not applied again) or `drop` (not applied).
Times are nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

FORMAT = 1


def now_ns() -> int:
    """The clock of all histories."""
    return time.monotonic_ns()


class Ledger:
    """A file that lines are appended to; what was written is on disk after `flush()`."""

    def __init__(self, path: Path, *, seed: int) -> None:
        self.path = path
        self._file = path.open("w", buffering=1 << 20)
        self._file.write(f'{{"history":"origin","format":{FORMAT},"seed":{seed},"at":{now_ns()}}}\n')

    def attempt(
        self,
        do: str,
        keys: Iterable[str],
        write: str,
        *,
        enter: int,
        attempt: int,
        versions: Iterable[int | None],
        status: int | None,
        answered: bool,
        idem: str | None,
    ) -> None:
        """One attempt is over: a line for each key. `status` is None without an answer."""
        leave = now_ns()
        # By hand, which takes a quarter of the time; keys and ids need no escapes.
        rest = (
            f'"status":{"null" if status is None else status},"answered":{"true" if answered else "false"},'
            f'"attempt":{attempt},"idem":{"null" if idem is None else json.dumps(idem)}}}\n'
        )
        for key, version in zip(keys, versions, strict=True):
            told = "" if version is None else f'"version":{version},'
            self._file.write(
                f'{{"do":"{do}","key":"{key}","write":"{write}","enter":{enter},"leave":{leave},{told}{rest}'
            )

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()

    def close(self, finals: Iterable[str]) -> None:
        """Write the final states, and close."""
        self._file.writelines(finals)
        self._file.close()


def final_line(key: str, version: int, last: str) -> str:
    """How a key ended."""
    return f'{{"do":"final","key":"{key}","version":{version},"last":"{last}","at":{now_ns()}}}\n'
