"""How a file is laid out: `body | block checksums | record | footer`.

The body comes first, so that it can be spooled there while it streams in; what is known of it only at
its end comes last. The footer has a fixed size and is read from the end of the file:

    magic        8   what this is; the last digit counts versions of the whole layout
    generation   8   that of the directory's purge log; files of another one are not believed
    epoch        8   purges before this one do not concern the object
    marks        8   fingerprint of what purges may find it by (`coverage.py`)
    variant      8   ┐ the place, so that a file under another name is found out
    key         16   ┘
    body         8   octets of the body
    record       4   octets of the record
    checksum     4   CRC-32 of block checksums and record
    checksum     4   CRC-32 of the footer up to here
    soft         1   0x00, or 0xff once it was purged softly: written in place, so outside the checksum
                     and with eight bits between the two values

CRC-32 finds what power loss, a torn write or a bad sector do; it is no defence against who may write
into the directory. It is that of the `isal` library, in a sixth of zlib's time: zlib's took half of a hit.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from isal.isal_zlib import crc32

from proxy.cache.disk.place import Place

BLOCK_BYTES: Final = 256 * 1024
"""Octets of body under one checksum: what is read and verified before any of it is given out."""

MAGIC: Final = b"LckGate1"

_FOOTER = struct.Struct(">8sQQQQ16sQIII")
_SOFT = {0x00: False, 0xFF: True}
FOOTER_BYTES: Final = _FOOTER.size + 1


class Unusable(StrEnum):
    """Why a file is not served. All but MISSING and BUSY are dropped."""

    MISSING = "missing"
    FOREIGN = "foreign"
    """Not written by us, by another version, or for another place."""
    TORN = "torn"
    """Lengths or checksums do not agree."""
    GENERATION = "generation"
    """Of a time whose purges are not known any more."""
    PURGED = "purged"
    REPLACED = "replaced"
    """Perhaps: another variant of its key is chosen by other field names."""
    COLLISION = "collision"
    """Another key or variant of the same digest."""
    FAILED = "failed"
    """It could not be read."""
    BUSY = "busy"
    """Too many files are open."""
    UNFINISHED = "unfinished"
    """It was being written when an earlier process ended."""


class Footer(NamedTuple):
    """The end of a file. A tuple, as one is made of each of a million files at start."""

    generation: int
    epoch: int
    fingerprint: int
    place: Place
    body_bytes: int
    record_bytes: int
    checksum: int
    soft: bool = False

    @property
    def blocks_bytes(self) -> int:
        """Octets of the block checksums."""
        return 4 * block_count(self.body_bytes)

    @property
    def trailer_bytes(self) -> int:
        """Octets after the body."""
        return 4 * block_count(self.body_bytes) + self.record_bytes + FOOTER_BYTES

    @property
    def file_bytes(self) -> int:
        """Octets of the whole file."""
        return self.body_bytes + self.trailer_bytes

    def pack(self) -> bytes:
        """The footer's octets."""
        place = self.place
        packed = _FOOTER.pack(
            MAGIC, self.generation, self.epoch, self.fingerprint, place.variant_digest, place.key_digest,
            self.body_bytes, self.record_bytes, self.checksum, 0,
        )[:-4]  # fmt: skip
        return packed + crc32(packed).to_bytes(4, "big") + (b"\xff" if self.soft else b"\x00")


def read_footer(tail: bytes, *, file_bytes: int) -> Footer | Unusable:
    """The footer at the end of `tail`, the last octets of a file of `file_bytes`."""
    if len(tail) < FOOTER_BYTES:
        return Unusable.TORN
    packed = tail[-FOOTER_BYTES:-1]
    (magic, generation, epoch, fingerprint, variant, key, body_bytes, record_bytes, checksum, own) = (
        _FOOTER.unpack(packed)
    )
    soft = _SOFT.get(tail[-1])
    if crc32(packed[:-4]) != own or soft is None:
        return Unusable.TORN
    if magic != MAGIC:
        return Unusable.FOREIGN
    place = Place(key, variant)
    footer = Footer(generation, epoch, fingerprint, place, body_bytes, record_bytes, checksum, soft)
    return footer if footer.file_bytes == file_bytes else Unusable.TORN


def trailer(footer: Footer, blocks: bytes, record: bytes) -> bytes:
    """All that comes after the body; the footer's lengths and checksum are set here."""
    whole = footer._replace(record_bytes=len(record), checksum=crc32(record, crc32(blocks)))
    return blocks + record + whole.pack()


def split_trailer(footer: Footer, octets: bytes) -> tuple[bytes, bytes] | Unusable:
    """Block checksums and record out of the last `footer.trailer_bytes` octets of a file, verified."""
    blocks, record = octets[: footer.blocks_bytes], octets[footer.blocks_bytes : -FOOTER_BYTES]
    if len(octets) != footer.trailer_bytes or crc32(record, crc32(blocks)) != footer.checksum:
        return Unusable.TORN
    return blocks, record


def block_count(body_bytes: int) -> int:
    """Blocks of a body."""
    return -(-body_bytes // BLOCK_BYTES)


def block_agrees(blocks: bytes, number: int, octets: bytes | memoryview | bytearray) -> bool:
    """Whether block `number` is what was written."""
    return crc32(octets) == int.from_bytes(blocks[4 * number : 4 * number + 4], "big")


def fingerprint_of(marks: frozenset[bytes]) -> int:
    """64 bits of which each mark sets two; tells without reading the record that a mark is *not* there."""
    bits = 0
    for mark in marks:
        digest = blake2b(mark, digest_size=2).digest()
        bits |= 1 << (digest[0] & 63) | 1 << (digest[1] & 63)
    return bits
