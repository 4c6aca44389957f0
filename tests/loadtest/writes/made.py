"""Histories made by hand: a proxy that does everything right, step by step."""

from __future__ import annotations

import json
from pathlib import Path

from loadtest.writes.history import Line
from loadtest.writes.key_history import Fault, KeyHistory
from loadtest.writes.rules import Setting, check

KEY = "k"


class Made:
    """The history of one key. Each step is later than the one before."""

    def __init__(self) -> None:
        self.now = 0
        self.lines: list[Line] = []
        self.applied: list[str] = []
        self.faults: list[Fault] = []

    def tick(self) -> int:
        self.now += 10
        return self.now

    def client(self, do: str, write: str, **fields: object) -> Line:
        line: Line = {"do": do, "key": KEY, "write": write, "at": self.tick(), "by": _owner(write), **fields}
        self.lines.append(line)
        return line

    def invoke(self, *writes: str) -> None:
        for write in writes:
            self.client("invoke", write, via="p", method="PUT", mode="sync", **{"try": 1})

    def accept(self, write: str) -> None:
        self.client("accepted", write, id=f"id-{write}")

    def ok(self, write: str) -> None:
        self.client("ok", write, version=self.applied.index(write) + 1)

    def attempt(self, write: str, do: str = "apply", *, answered: bool = True) -> Line:
        line: Line = {"do": do, "key": KEY, "write": write, "enter": self.tick(), "leave": self.tick()}
        if do == "apply":
            self.applied.append(write)
            line["version"] = len(self.applied)
        self.lines.append({**line, "answered": answered, "attempt": 1, "status": 200, "idem": None})
        return self.lines[-1]

    def write(self, *writes: str) -> None:
        """The whole life of some, one after the other."""
        for write in writes:
            self.invoke(write)
            self.attempt(write)
            self.ok(write)

    def read(self, by: str, version: int | None = None) -> Line:
        version = len(self.applied) if version is None else version
        last = self.applied[version - 1] if version else ""
        began = self.tick()
        line: Line = {"do": "read", "key": KEY, "from": began, "at": self.tick(), "by": by, "via": "p"}
        self.lines.append({**line, "version": version, "last": last})
        return self.lines[-1]

    def event(self, write: str, position: int) -> None:
        self.lines.append(
            {"do": "event", "key": KEY, "write": write, "at": self.tick(), "by": "f", "position": position}
        )

    def reset(self) -> None:
        self.lines.append({"do": "reset", "at": self.tick(), "by": "f"})

    def fault(self) -> None:
        self.faults.append(Fault("killed", self.tick(), self.tick()))

    def end(self) -> None:
        self.lines.append(
            {
                "do": "final",
                "key": KEY,
                "version": len(self.applied),
                "last": self.applied[-1],
                "at": self.now,
            }
        )

    def broken(
        self, *, deduplicates: bool = False, reads_of_all: bool = False, limit_ns: int | None = None
    ) -> list[str]:
        """The rules that it breaks; in parentheses, where it is the origin that worked beyond the limit."""
        history = KeyHistory(KEY)
        for line in self.lines:
            history.add(line)
        setting = Setting(tuple(self.faults), deduplicates, reads_of_all, limit_ns)
        return [f"({one.rule})" if one.beyond else one.rule for one in check(history, setting)]

    def files(self, directory: Path, *, limit_ns: int | None = None) -> list[Path]:
        """The same as files: what clients and what the origin wrote down."""
        origin = [one for one in self.lines if one["do"] in ("apply", "replay", "drop", "final")]
        client = [one for one in self.lines if one not in origin]
        client += [
            {"do": "fault", "what": fault.what, "at": fault.at, "until": fault.until} for fault in self.faults
        ]
        paths = []
        for name, lines in (("client", client), ("origin", origin)):
            first: Line = {"history": name, "format": 1, "seed": 7, "at": 0}
            if name == "client" and limit_ns is not None:
                first["limit"] = limit_ns
            path = directory / f"{name}.jsonl"
            path.write_text("".join(f"{json.dumps(line)}\n" for line in [first, *lines]))
            paths.append(path)
        return paths


def _owner(write: str) -> str:
    """`c1-17` is a write of `c1`."""
    return write.partition("-")[0]
