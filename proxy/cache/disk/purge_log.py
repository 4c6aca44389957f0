"""The purge log: an append-only file that makes purges outlive the process.

    header   magic, generation, base sequence, checksum
    record   length, checksum, then: sequence, kind, soft, subject

A purge is acknowledged when its record is on the disk (fsync). What the log was once told cannot come
back: an object older than a purge in it is dropped when the index is rebuilt. When the sweep has removed
what a purge covers, and that is durable, its record may go: the log is written anew (`compact`).

Objects carry the *generation* of the log they were written under. If the log is missing or anything in it
is wrong, purges may be forgotten: a new log of a new generation is begun, and no object from before is
believed. That holds for a torn last record, too: it was never acknowledged, but it cannot be told from
one whose length was damaged, behind which acknowledged ones lie. (A killed process leaves none: a record
is one write.)

If a purge cannot be appended (a full disk), the log itself is removed: that is durable, needs no room,
and at the next start drops everything. Everything here blocks.
"""

from __future__ import annotations

import os
import re
import secrets
import struct
from collections.abc import Iterable
from pathlib import Path

from isal.isal_zlib import crc32

from proxy.cache.disk.bans import Kind, Purge
from proxy.cache.disk.coverage import decode_searched
from proxy.cache.disk.directory import remove_quietly, write_all

MAGIC = b"LckPurg1"

_HEADER = struct.Struct(">8sQQI")
_FRAME = struct.Struct(">II")
_BODY = struct.Struct(">QBB")

Numbered = tuple[int, Purge]


class PurgeLog:
    """One log. `open` first; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self.generation = 0
        self.base_sequence = 0
        self.file_bytes = 0
        self.lost = False

    def __repr__(self) -> str:
        return f"<PurgeLog {self._path} generation={self.generation:016x} lost={self.lost}>"

    def open(self) -> list[Numbered]:
        """Read the purges of earlier processes, or begin a new generation. Raises: OSError."""
        octets = self._read()
        found = _parse(octets)
        if found is None:
            self.generation = secrets.randbits(63) + 1
            self._rewrite(0, ())
            return []
        self.generation, self.base_sequence, purges = found
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.file_bytes = len(octets)
        return purges

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    def append(self, purges: Iterable[Numbered]) -> None:
        """Make these durable. Raises: OSError if neither that nor removing the log is possible."""
        if self.lost:
            return
        octets = b"".join(_record(number, purge) for number, purge in purges)
        assert self._fd is not None, "the purge log is not open"
        try:
            write_all(self._fd, (octets,))
            os.fsync(self._fd)
            self.file_bytes += len(octets)
        except OSError:
            self._lose()

    def _lose(self) -> None:
        """Remove the log, so that the next start believes no object."""
        os.unlink(self._path)
        _sync_directory(self._path.parent)
        self.lost = True

    def compact(self, sequence: int, purges: Iterable[Numbered]) -> None:
        """Write the log anew with these purges only; `sequence` is the current one. Raises: OSError.

        After an error the old log stands.
        """
        if not self.lost:
            self._rewrite(sequence, purges)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _rewrite(self, sequence: int, purges: Iterable[Numbered]) -> None:
        header = _HEADER.pack(MAGIC, self.generation, sequence, 0)[:-4]
        octets = header + crc32(header).to_bytes(4, "big")
        octets += b"".join(_record(number, purge) for number, purge in purges)
        aside = self._path.with_suffix(".new")
        fd = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            write_all(fd, (octets,))
            os.fsync(fd)
            os.rename(aside, self._path)
            _sync_directory(self._path.parent)
        except OSError:
            os.close(fd)
            remove_quietly(aside)
            raise
        self.close()
        self._fd, self.base_sequence, self.file_bytes = fd, sequence, len(octets)


def _record(number: int, purge: Purge) -> bytes:
    body = _BODY.pack(number, purge.kind, purge.soft) + purge.subject
    return _FRAME.pack(len(body), crc32(body)) + body


def _parse(octets: bytes) -> tuple[int, int, list[Numbered]] | None:
    """Generation, base sequence and purges; None if the log cannot be relied on."""
    header = octets[: _HEADER.size]
    if len(header) < _HEADER.size or crc32(header[:-4]) != int.from_bytes(header[-4:], "big"):
        return None
    magic, generation, base, _ = _HEADER.unpack(header)
    if magic != MAGIC:
        return None
    purges: list[Numbered] = []
    at = _HEADER.size
    while at + _FRAME.size <= len(octets):
        length, checksum = _FRAME.unpack_from(octets, at)
        body = octets[at + _FRAME.size : at + _FRAME.size + length]
        numbered = _purge(body) if len(body) == length and crc32(body) == checksum else None
        if numbered is None:
            return None
        purges.append(numbered)
        at += _FRAME.size + length
    return (generation, base, purges) if at == len(octets) else None


def _purge(body: bytes) -> Numbered | None:
    if len(body) < _BODY.size:
        return None
    number, kind, soft = _BODY.unpack_from(body)
    subject = body[_BODY.size :]
    if soft > 1 or kind not in Kind.__members__.values() or kind == Kind.WHERE:
        return None
    if kind != Kind.SEARCHED:
        return number, Purge(Kind(kind), subject, bool(soft))
    try:
        return number, Purge.searched(decode_searched(subject), soft=bool(soft))
    except (ValueError, KeyError, TypeError, AttributeError, re.error):
        return None


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
