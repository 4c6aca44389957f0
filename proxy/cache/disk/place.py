"""Where an object lies: its file is named by digests of its key and its variant.

    <directory>/objects/abc/abcdef0123456789abcdef0123456789-0011223344556677
                         │   key digest, 128 bits             variant digest, 64 bits
                         └ shard: the first 12 bits of the key digest

The key comes first, so that the variants of a key lie in one shard side by side and can be found by
listing it. One level of 4,096 shards rather than two of 256: a million files are 244 a shard, which is
listed in 0.1 ms, where 65,536 directories of 15 files take 250 MB of directory blocks and a longer walk.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from proxy.policy.keys import CacheKey, Variant

SHARDS = 4096
KEY_DIGEST_BYTES = 16

_LATELY = 256
"""Keys of which the digests are remembered: each is asked for several times in one look-up."""

_NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})")


class Place(NamedTuple):
    """The digests of a key and a variant. Digests may collide: what is loaded tells its full key."""

    key_digest: bytes
    variant_digest: int

    @property
    def shard(self) -> int:
        """Number of the shard, 0 to 4095."""
        return shard_of(self.key_digest)

    @property
    def name(self) -> str:
        """Name of the file in its shard."""
        return f"{self.key_digest.hex()}-{self.variant_digest:016x}"

    @property
    def path(self) -> str:
        """Shard and name, relative to the directory of objects."""
        return f"{shard_name(self.shard)}/{self.name}"


@lru_cache(maxsize=_LATELY)
def place_of(key: CacheKey, variant: Variant) -> Place:
    """Where the response for this key and variant lies."""
    return Place(key_digest(key), variant_digest(variant))


@lru_cache(maxsize=_LATELY)
def key_digest(key: CacheKey) -> bytes:
    """128 bits that stand for a key."""
    return blake2b(key, digest_size=KEY_DIGEST_BYTES).digest()


def variant_digest(variant: Variant) -> int:
    """64 bits that stand for a variant; 0 for that of responses which do not vary."""
    if not variant:
        return 0
    parts = (b"-" if value is None else b"%d:%b," % (len(value), value) for value in variant)
    return int.from_bytes(blake2b(b"".join(parts), digest_size=8).digest(), "big")


def shard_of(digest: bytes) -> int:
    """The shard in which all variants of a key lie."""
    return digest[0] << 4 | digest[1] >> 4


def shard_name(shard: int) -> str:
    """Name of a shard's directory."""
    return f"{shard:03x}"


def parse_name(name: str) -> Place | None:
    """The place that a file of this name stands for; None if the name is not one of ours."""
    found = _NAME.fullmatch(name)
    return None if found is None else Place(bytes.fromhex(found[1]), int(found[2], 16))
