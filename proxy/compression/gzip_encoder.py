"""The gzip coding, by zlib (RFC 9110 §8.4.1.3, RFC 1952)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from proxy.compression.encoder import Encode

_GZIP_WRAPPER = 16 + zlib.MAX_WBITS  # zlib's way to say: with a gzip header (whose time stamp it leaves 0)


def encoder(level: int) -> Encode:
    """An encoder of this effort, 1 to 9."""

    def encode(pieces: Iterable[bytes]) -> Iterator[bytes]:
        compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP_WRAPPER)
        for piece in pieces:
            yield compressor.compress(piece)
        yield compressor.flush()

    return encode
