"""One file of the disk tier, written and read whole or in part; everything is verified on the way.

Everything here touches nothing but the file. It blocks, and runs in the tier's threads, unless it is given
an access that does not.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from isal.isal_zlib import crc32

from proxy.cache.disk.access import PATIENT, Access
from proxy.cache.disk.bans import Bans
from proxy.cache.disk.coverage import marks_of
from proxy.cache.disk.directory import Directory
from proxy.cache.disk.index import Indexed
from proxy.cache.disk.layout import (
    BLOCK_BYTES,
    Footer,
    Unusable,
    block_agrees,
    block_count,
    fingerprint_of,
    read_footer,
    split_trailer,
    trailer,
)
from proxy.cache.disk.place import Place, place_of
from proxy.cache.disk.record import Record, decode_record, encode_record

TAIL_BYTES: Final = 4096
"""Read from the end first: footer, record and the checksums of 400 MiB, in one page of most files."""


class BlockChecksums:
    """The checksums of a body that comes in pieces of any size."""

    __slots__ = ("_checksum", "_in_block", "_whole", "body_bytes")

    def __init__(self) -> None:
        self._whole: list[int] = []
        self._checksum = self._in_block = self.body_bytes = 0

    def update(self, piece: bytes) -> None:
        """These octets come next."""
        view = memoryview(piece)
        self.body_bytes += len(view)
        while view:
            part = view[: BLOCK_BYTES - self._in_block]
            self._checksum = crc32(part, self._checksum)
            self._in_block += len(part)
            view = view[len(part) :]
            if self._in_block == BLOCK_BYTES:
                self._end_block()

    def _end_block(self) -> None:
        self._whole.append(self._checksum)
        self._checksum = self._in_block = 0

    @property
    def whole(self) -> tuple[bytes, int]:
        """Those of whole blocks, as they lie in the file, and the octets of these blocks."""
        return self._packed(), len(self._whole) * BLOCK_BYTES

    def finish(self) -> bytes:
        """All of them; the body ends here. Idempotent."""
        if self._in_block:
            self._end_block()
        return self._packed()

    def _packed(self) -> bytes:
        return b"".join(checksum.to_bytes(4, "big") for checksum in self._whole)


def ending_of(record: Record, blocks: bytes, *, body_bytes: int, generation: int, epoch: int) -> bytes:
    """What comes after the body of the object that this record describes."""
    place = place_of(record.key, record.variant)
    footer = Footer(
        generation, epoch, fingerprint_of(marks_of(record.key, record.tags)), place, body_bytes, 0, 0
    )
    return trailer(footer, blocks, encode_record(record))


def checksums_of(pieces: Iterable[bytes]) -> bytes:
    """The block checksums of a body in pieces."""
    sums = BlockChecksums()
    for piece in pieces:
        sums.update(piece)
    return sums.finish()


@dataclass(frozen=True, slots=True)
class Loaded:
    """An object as read. `body` is verified; None if it is above the asked size: then `fd` is open for it.

    `trailer` is what comes after the body, where the whole file was read at once.
    """

    footer: Footer
    record: Record
    blocks: bytes
    body: bytes | None
    fd: int | None
    modified_at: float
    trailer: bytes | None = None


def load_object(
    directory: Directory, place: Place, *, generation: int, whole_bytes: int, access: Access = PATIENT
) -> Loaded | Unusable:
    """Read an object, its body too if it has at most `whole_bytes`. The caller owns `fd`.

    Raises: OSError if the file cannot be read, but not if there is none.
    """
    fd = _open(directory, place, access)
    if isinstance(fd, Unusable):
        return fd
    keep = False
    try:
        loaded = _load(fd, place, generation, whole_bytes, access)
        keep = isinstance(loaded, Loaded) and loaded.fd is not None
        return loaded
    finally:
        if not keep:
            os.close(fd)


def _open(directory: Directory, place: Place, access: Access = PATIENT) -> int | Unusable:
    try:
        return directory.open_object(place, access)
    except FileNotFoundError:
        return Unusable.MISSING
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return Unusable.FOREIGN
        raise


_NOT_A_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR})


def _load(fd: int, place: Place, generation: int, whole_bytes: int, access: Access) -> Loaded | Unusable:
    status = os.fstat(fd)
    size = status.st_size
    if not stat.S_ISREG(status.st_mode):
        return Unusable.FOREIGN
    small = size <= whole_bytes + TAIL_BYTES
    tail = access.read(fd, size, 0) if small else access.read(fd, TAIL_BYTES, size - TAIL_BYTES)
    found = _trailer(fd, tail, size, place, generation, access)
    if isinstance(found, Unusable):
        return found
    footer, blocks, record = found
    if footer.body_bytes > whole_bytes:
        return Loaded(footer, record, blocks, None, fd, status.st_mtime)
    body = tail[: footer.body_bytes] if small else access.read(fd, footer.body_bytes, 0)
    if not _body_agrees(body, blocks):
        return Unusable.TORN
    trailer = tail[footer.body_bytes :] if small else None
    return Loaded(footer, record, blocks, body, None, status.st_mtime, trailer)


def read_again(directory: Directory, place: Place, file_bytes: int, *, access: Access) -> bytes | None:
    """All octets of a file that had this size when it was read last; None if it is gone. Raises: OSError."""
    fd = _open(directory, place, access)
    if isinstance(fd, Unusable):
        return None
    try:
        return access.read(fd, file_bytes, 0)
    finally:
        os.close(fd)


def _body_agrees(body: bytes, blocks: bytes) -> bool:
    if len(body) <= BLOCK_BYTES:
        return not body or block_agrees(blocks, 0, body)
    view = memoryview(body)
    return all(
        block_agrees(blocks, number, view[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES])
        for number in range(block_count(len(body)))
    )


def _trailer(
    fd: int, tail: bytes, size: int, place: Place, generation: int, access: Access
) -> tuple[Footer, bytes, Record] | Unusable:
    found = _octets_after_body(fd, tail, size, place, generation, access)
    if isinstance(found, Unusable):
        return found
    footer, blocks, octets = found
    record = decode_record(octets)
    if record is None or place_of(record.key, record.variant) != place:
        return Unusable.TORN
    return footer, blocks, record


def _octets_after_body(
    fd: int, tail: bytes, size: int, place: Place, generation: int, access: Access = PATIENT
) -> tuple[Footer, bytes, bytes] | Unusable:
    """Footer, block checksums and encoded record, verified."""
    footer = read_footer(tail, file_bytes=size)
    if isinstance(footer, Unusable):
        return footer
    if footer.place != place:
        return Unusable.FOREIGN
    if footer.generation != generation:
        return Unusable.GENERATION
    count = footer.trailer_bytes
    octets = tail[-count:] if count <= len(tail) else access.read(fd, count, size - count)
    parts = split_trailer(footer, octets)
    return parts if isinstance(parts, Unusable) else (footer, *parts)


def _regular_size(fd: int) -> int | None:
    found = os.fstat(fd)
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def read_block(fd: int, blocks: bytes, number: int, count: int) -> bytes | None:
    """One block of a body, of `count` octets; None if it is damaged. Raises: OSError."""
    octets = PATIENT.read(fd, count, number * BLOCK_BYTES)
    return octets if len(octets) == count and block_agrees(blocks, number, octets) else None


def examine(
    directory: Directory, place: Place, *, generation: int, bans: Bans, frame_bytes: int
) -> Indexed | Unusable:
    """What the index is to know of a file; its body is not read.

    The record is decoded only where it is needed: for objects that vary, and while there are purges that
    the object may be older than. Raises: OSError if the file cannot be read.
    """
    fd = _open(directory, place)
    if isinstance(fd, Unusable):
        return fd
    try:
        size = _regular_size(fd)
        if size is None:
            return Unusable.FOREIGN
        tail = os.pread(fd, TAIL_BYTES, max(0, size - TAIL_BYTES))
        found = _octets_after_body(fd, tail, size, place, generation)
    finally:
        os.close(fd)
    if isinstance(found, Unusable):
        return found
    footer, _, octets = found
    varies_on: tuple[bytes, ...] = ()
    soft = footer.soft
    if place.variant_digest or footer.epoch < bans.newest:
        record = decode_record(octets)
        if record is None or place_of(record.key, record.variant) != place:
            return Unusable.TORN
        ban = bans.covering(footer.epoch, place, record.key, record.tags)
        if ban is not None and not ban.soft:
            return Unusable.PURGED
        varies_on, soft = record.varies_on, soft or ban is not None
    return Indexed(
        place=place,
        allocated_bytes=allocated_bytes(size, frame_bytes),
        epoch=footer.epoch,
        fingerprint=footer.fingerprint,
        varies_on=varies_on,
        soft=soft,
    )


def allocated_bytes(file_bytes: int, frame_bytes: int) -> int:
    """What a file takes of the file system, whose blocks have `frame_bytes`; at least one."""
    return max(1, -(-file_bytes // frame_bytes)) * frame_bytes
