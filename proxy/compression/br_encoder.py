"""The br coding, by Google's brotli (RFC 7932)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import brotli

from proxy.compression.encoder import Encode


def encoder(quality: int) -> Encode:
    """An encoder of this effort, 0 to 11."""

    def encode(pieces: Iterable[bytes]) -> Iterator[bytes]:
        compressor = brotli.Compressor(quality=quality)
        for piece in pieces:
            yield compressor.process(piece)
        yield compressor.finish()

    return encode
