"""Writes objects with bodies that verify themselves, as fast as it can, until it is killed.

Each purge that was acknowledged is told on standard output, so that the parent can hold us to it.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from hashlib import sha256
from itertools import count
from pathlib import Path

from proxy.cache.disk.bans import Purge
from proxy.cache.disk.store import DiskStore
from proxy.clock import SystemClock
from tests.cache.disk.entries import an_entry, disk_settings

KEYS = 300
SIZES = (0, 100, 3000, 100_000, 700_000)


def body_for(key: bytes, version: int, size: int) -> bytes:
    """A body that tells its key, its version and its own digest."""
    content = b"%b %d %b" % (key, version, random.Random(version).randbytes(size))
    return sha256(content).digest() + content


def verified(key: bytes, body: bytes) -> int:
    """The version of a body. Raises: AssertionError if it is not exactly one that was written for the key."""
    digest, content = body[:32], body[32:]
    assert sha256(content).digest() == digest, "a torn body was served"
    told, version, _ = content.split(b" ", 2)
    assert told == key, "a body was served for another key"
    return int(version)


async def write(directory: Path, first_version: int, seed: int) -> None:
    chance = random.Random(seed)
    store = DiskStore(disk_settings(directory, promote_max_bytes=10_000), clock=SystemClock())
    await store.open()
    print("open", flush=True)
    for version in count(first_version):
        key = b"k%d" % chance.randrange(KEYS)
        body = body_for(key, version, chance.choice(SIZES))
        mono, now = time.monotonic(), time.time()
        entry = an_entry(key, body, requested_mono=mono, received_mono=mono, received_at=now, tags={key[-1:]})
        if version % 7 == 0:
            fill = store.begin()
            assert fill is not None
            for at in range(0, len(body), 50_000):
                fill.write(body[at : at + 50_000])
            await fill.commit(entry, max_variants=8)
        else:
            store.put(entry, max_variants=8)
        if version % 20 == 0:
            await purge(store, chance, version)
        if version % 50 == 0:
            await store.wait_written()


async def purge(store: DiskStore, chance: random.Random, version: int) -> None:
    """Purge one key, or a tenth of all, and tell it when it is durable."""
    digit = b"%d" % chance.randrange(10)
    key = b"k%d" % chance.randrange(KEYS)
    by_tag = chance.random() < 0.3
    receipt = store.purge(Purge.tag(digit) if by_tag else Purge.key(key))
    await receipt.durable()
    print("tag" if by_tag else "key", (digit if by_tag else key).decode(), version, flush=True)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
