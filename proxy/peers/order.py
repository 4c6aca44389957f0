"""Who owns a key: rendezvous hashing of the key's octets over the slots (Thaler and Ravishankar, 1998).

Each slot has a weight for each key, and the key is owned by the heaviest slot. So the death of a slot moves
its own keys only, each to the slot that is next in that key's order, and its return moves back the same.
"""

from __future__ import annotations

from hashlib import blake2b

from proxy.policy.keys import CacheKey

_MASK = (1 << 64) - 1


def order_of(key: CacheKey, slots: int) -> tuple[int, ...]:
    """All slots, the owner of the key first; the same in every process and at every start."""
    of_key = int.from_bytes(blake2b(key, digest_size=8).digest())
    return tuple(sorted(range(slots), key=lambda slot: (_mixed(of_key ^ _mixed(slot + 1)), slot)))


def _mixed(number: int) -> int:
    """The finalizer of splitmix64: each bit of the result depends on each bit of the number."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
