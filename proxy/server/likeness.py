"""Heads that are alike, octet by octet, but for values that do not matter to a plain hit.

Theory of operation. A head that differs from a known one in its Cookie, say, need not be parsed to know
what it is. Taken out of both are the values of indifferent fields (`server/folding.py`), each of which is
visible ASCII and spaces from a colon and a space to the end of its line; all other octets, and with them
the method, the target, each field name and each end of a line, have to be the very same. The parser
accepted the one. In the other it would see the same up to a value, in that value nothing that could end it
or the head (no CR, LF, NUL, tab, nor anything that servers read differently), and the same after it. So it
would accept that one, too, and find in it the same but for values that nobody reads.

This decides nothing about a head by itself, as a second parser would: without one that was parsed, and is
the same to the last octet that could matter, nothing is like anything. A value with any other octet, a name
spelt in an unusual way, a line without the space, stay in what has to be the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Likeness = tuple[bytes, ...]
"""What is left of a head: octets and names of fields in turn."""

_VALUE = rb"): [\x21-\x7e][\x20-\x7e]*+(?=\r\n)"


class Likenesses:
    """Takes out of heads what does not matter to a plain hit.

    Heads above `max_bytes` are like no other: so no limit has to be looked at, on a head or on a field.
    """

    __slots__ = ("_max_bytes", "_values")

    def __init__(self, indifferent: Iterable[bytes], *, max_bytes: int) -> None:
        """`indifferent` are the lower-case names of the fields whose values do not matter."""
        names = sorted(indifferent)
        spellings = {*names, *(b"-".join(map(bytes.capitalize, name.split(b"-"))) for name in names)}
        self._values = re.compile(rb"\r\n(" + _any_of(spellings) + _VALUE) if spellings else None
        self._max_bytes = max_bytes

    def __repr__(self) -> str:
        return f"<Likenesses of heads up to {self._max_bytes} bytes>"

    def of(self, octets: bytes) -> Likeness | None:
        """Equal for heads that are alike; None if there is nothing in this one that does not matter."""
        if self._values is None or len(octets) > self._max_bytes:
            return None
        parts: list[bytes] = self._values.split(octets)
        return tuple(parts) if len(parts) > 1 else None


def _any_of(words: Iterable[bytes]) -> bytes:
    """A pattern for any of the words, branching where they differ: a list of them takes twice as long."""
    branches: dict[int, Any] = {}
    for word in words:
        place = branches
        for octet in word:
            place = place.setdefault(octet, {})
        place[_END] = {}
    return _pattern(branches)


_END = -1


def _pattern(branches: Mapping[int, Any]) -> bytes:
    several = [
        re.escape(bytes([octet])) + _pattern(below) for octet, below in branches.items() if octet != _END
    ]
    if not several:
        return b""
    pattern = several[0] if len(several) == 1 else b"(?:" + b"|".join(several) + b")"
    return b"(?:" + pattern + b")?" if _END in branches else pattern
