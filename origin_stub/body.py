"""Bodies that a client can verify: each octet follows from the path and the size.

A body is a row of blocks of 4096 octets, the last one cut to fit. Block *i* is *i* as 8 octets, big
endian, then 4088 octets of SHAKE-128 over the text `path LF size LF version`, in UTF-8. A block that was
lost, repeated or moved is seen by its number; a body of another path, size or version by all the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

BLOCK_BYTES = 4096
_NUMBER_BYTES = 8


@lru_cache(maxsize=4096)
def _filling(path: str, size: int, version: int) -> bytes:
    text = f"{path}\n{size}\n{version}".encode()
    return hashlib.shake_128(text).digest(BLOCK_BYTES - _NUMBER_BYTES)


def body_slice(path: str, size: int, start: int, stop: int, *, version: int = 0) -> bytes:
    """Octets `start` up to `stop` of the body, without making the rest."""
    stop = min(stop, size)
    if start >= stop:
        return b""
    filling = _filling(path, size, version)
    first = start // BLOCK_BYTES
    last = (stop - 1) // BLOCK_BYTES
    blocks = b"".join(
        part for number in range(first, last + 1) for part in (number.to_bytes(_NUMBER_BYTES, "big"), filling)
    )
    offset = first * BLOCK_BYTES
    return blocks[start - offset : stop - offset]


def body_of(path: str, size: int, *, version: int = 0) -> bytes:
    """The whole body that the stub answers for `path` (without its query) with `size=`.

    `version` counts the touches of the path since the last reset.
    """
    return body_slice(path, size, 0, size, version=version)


def pieces(start: int, stop: int, piece_bytes: int) -> Iterator[tuple[int, int]]:
    """The range cut into pieces of at most `piece_bytes`, in order."""
    for begin in range(start, stop, piece_bytes):
        yield begin, min(begin + piece_bytes, stop)
