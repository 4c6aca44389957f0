"""The zstd coding, by Python's own module or its backport (RFC 8878).

Up to level 19 no window is larger than 8 MiB, the most that a client must provide (RFC 9659).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from proxy.compression.encoder import Encode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def encoder(level: int) -> Encode:
    """An encoder of this effort, 1 to 19."""

    def encode(pieces: Iterable[bytes]) -> Iterator[bytes]:
        compressor = zstd.ZstdCompressor(level=level)
        for piece in pieces:
            yield compressor.compress(piece)
        yield compressor.flush()

    return encode
