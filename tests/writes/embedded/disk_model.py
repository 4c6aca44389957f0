"""What a disk would hold after a power cut, rebuilt from what a process did (`recorder.c`).

Of a file only what was synced is certain; of what was written since, any sector may be there or not. Names
are certain once their directory was synced; of later changes a file system that journals its metadata has
the first few. POSIX promises no more, and neither does this.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
_HEAD = struct.Struct("<cQQI")
_O_TRUNC = 0o1000


class Survival(Enum):
    """Of what was not synced."""

    NOTHING = "nothing"
    SOME = "some"
    ALL = "all"
    """As after `kill -9`: the kernel goes on."""


class Record(NamedTuple):
    """One step of the process."""

    kind: str
    inode: int
    number: int
    octets: bytes


def read_trace(path: Path) -> list[Record]:
    """All steps, in order; the last one may be torn by the end of the process."""
    octets = path.read_bytes()
    records = []
    at = 0
    while at + _HEAD.size <= len(octets):
        kind, inode, number, length = _HEAD.unpack_from(octets, at)
        at += _HEAD.size
        records.append(Record(kind.decode(), inode, number, octets[at : at + length]))
        at += length
    return records


@dataclass(eq=False)
class _File:
    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes by their offset; None for a change of size."""

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.synced, change)
        self.pending.clear()

    def after(self, survival: Survival, chance: random.Random) -> bytes:
        content = bytearray(self.synced)
        for offset, octets in self.pending if survival is not Survival.NOTHING else ():
            if survival is Survival.ALL or octets is None:
                if survival is Survival.ALL or chance.random() < 0.5:
                    _apply(content, (offset, octets))
                continue
            for part in _sectors(offset, octets):
                if chance.random() < 0.5:
                    _apply(content, part)
        return bytes(content)


def _sectors(offset: int, octets: bytes) -> Iterator[tuple[int, bytes]]:
    begin = 0
    while begin < len(octets):
        end = begin + SECTOR - (offset + begin) % SECTOR
        yield offset + begin, octets[begin:end]
        begin = end


def _apply(content: bytearray, change: tuple[int, bytes | None]) -> None:
    offset, octets = change
    end = offset + len(octets or b"")
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if octets is None:
        del content[offset:]
    else:
        content[offset:end] = octets


_Names = dict[str, "_File | None"]
"""By path; None for a directory."""


class Disk:
    """The files below one directory, step by step."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._names: _Names = {self._root: None}
        self._durable: _Names = dict(self._names)
        self._name_changes: list[tuple[str, str, _File | None, bool]] = []
        self._files: dict[int, _File | None] = {}
        self._paths: dict[int, str] = {}
        self.acknowledged = b""

    def take(self, record: Record) -> None:
        """One more step."""
        path = record.octets.decode(errors="replace")
        match record.kind:
            case "O":
                self._open(record.inode, record.number, path)
            case "W" | "T":
                file = self._files.get(record.inode)
                assert file is not None, "written without being opened"
                file.pending.append((record.number, record.octets if record.kind == "W" else None))
            case "S":
                self._sync(record.inode)
            case "R":
                old, new = path.split("\n")
                self._name(new, self._names[old], present=True)
                self._name(old, None, present=False)
            case "U":
                self._name(path, None, present=False)
            case "M":
                self._name(path, None, present=True)
            case "A":
                self.acknowledged += record.octets

    def _open(self, inode: int, flags: int, path: str) -> None:
        self._paths[inode] = path
        if path not in self._names:
            self._name(path, _File(), present=True)
        file = self._files[inode] = self._names[path]
        if file is not None and flags & _O_TRUNC:
            file.pending.append((0, None))

    def _name(self, path: str, file: _File | None, *, present: bool) -> None:
        if present:
            self._names[path] = file
        else:
            self._names.pop(path, None)
        directory = path.rpartition("/")[0]
        self._name_changes.append((directory, path, file, present))

    def _sync(self, inode: int) -> None:
        file = self._files.get(inode)
        if file is not None:
            file.sync()
            return
        directory = self._paths[inode]
        later = []
        for change in self._name_changes:
            if change[0] == directory:
                _rename(self._durable, change)
            else:
                later.append(change)
        self._name_changes = later

    def cut(self, into: Path, survival: Survival, chance: random.Random) -> None:
        """Write down what the disk would hold now; this goes on as if nothing had happened."""
        names = dict(self._durable)
        count = {
            Survival.NOTHING: 0,
            Survival.SOME: chance.randint(0, len(self._name_changes)),
            Survival.ALL: len(self._name_changes),
        }[survival]
        for change in self._name_changes[:count]:
            _rename(names, change)
        for path in sorted(names):
            target = into / path[len(self._root) :].lstrip("/")
            file = names[path]
            if not target.parent.exists() and path != self._root:
                continue  # its directory is gone
            if file is None:
                target.mkdir(mode=0o700, exist_ok=True)
            else:
                target.touch(mode=0o600)
                target.write_bytes(file.after(survival, chance))


def _rename(names: _Names, change: tuple[str, str, _File | None, bool]) -> None:
    _, path, file, present = change
    if present:
        names[path] = file
    else:
        names.pop(path, None)
