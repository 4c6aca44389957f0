"""The ids of writes: a UUIDv7, and behind it the shard that the write is in.

    01932c07-5b7e-7a31-9c1f-0b54d2a86e17-02a
    └ ms since 1970 ┘ │    │              └ shard, three hexadecimal digits
          counter ────┘    └ 62 bits of chance

So an id says when it was made and who has to be asked about it, ids of one process rise in the order in which
they were made, and nobody can guess one: an id may be all that a client needs to see its write. The shard is
a suffix, not a part of the UUID, since it would take the chance's place there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

MAX_SHARDS: Final = 16**3

_COUNTS: Final = 2**12
_CHANCE: Final = 2**62 - 1
_VARIANT: Final = 2**63
_PATTERN: Final = re.compile(
    r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-([0-9a-f]{3})"
)


@dataclass(frozen=True, slots=True)
class WriteId:
    """An id, read: when it was made (Unix seconds, to the millisecond), and its shard."""

    text: str
    made_at: float
    shard: int


def parse_write_id(text: str) -> WriteId | None:
    """None for what is no id of ours, in just this spelling."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    return WriteId(text, int(match[1] + match[2], 16) / 1000, int(match[3], 16))


@lru_cache(maxsize=4096)
def shard_of(key: str, shards: int) -> int:
    """The shard of a key among so many: fixed for ever, since what is kept and what ids say rests on it.

    The first eight octets of SHA-256 over its UTF-8, modulo the number.
    """
    digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % shards


class WriteIds:
    """Makes ids that rise, whatever the clock does. `chance` gives so many octets that nobody can foresee.

    Source: RFC 9562 §5.7, §6.2 (method 1, with the counter in `rand_a`).
    """

    __slots__ = ("_chance", "_count", "_ms")

    def __init__(self, chance: Callable[[int], bytes]) -> None:
        self._chance = chance
        self._ms = -1
        self._count = 0

    def __repr__(self) -> str:
        return f"<WriteIds at {self._ms} ms count={self._count}>"

    def next_id(self, *, now: float, shard: int) -> str:
        """An id above all before. `now` is in Unix seconds."""
        assert 0 <= shard < MAX_SHARDS, f"there is no shard {shard}"
        octets = self._chance(10)
        ms = int(now * 1000)
        if ms > self._ms:
            self._ms = ms
            # The upper half is room to count in, so that a burst seldom borrows from the next millisecond.
            self._count = int.from_bytes(octets[8:], "big") % (_COUNTS // 2)
        else:
            self._count += 1
            if self._count == _COUNTS:
                self._ms += 1
                self._count = 0
        return _text(self._ms, self._count, octets[:8], shard)


def _text(ms: int, count: int, chance: bytes, shard: int) -> str:
    digits = f"{int.from_bytes(chance, 'big') & _CHANCE | _VARIANT:016x}"
    times = f"{ms:012x}"
    return f"{times[:8]}-{times[8:]}-7{count:03x}-{digits[:4]}-{digits[4:]}-{shard:03x}"
