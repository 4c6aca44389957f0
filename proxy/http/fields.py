"""Header fields as they came: ordered pairs of raw bytes, looked up by lower-case name.

Bytes, because a proxy passes on what it cannot read: a value need not be UTF-8 (RFC 9110 §5.5), and a
round trip through `str` loses bytes.

Fields that are kept are packed: an origin sends the same names in the same order with each answer, so names
are kept once for all heads that have them, and a head is the octets of its values. A tuple of pairs takes
200 octets a line beyond what it says, this takes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

Pair = tuple[bytes, bytes]

LINE_BYTES: Final = 240
"""What a line takes beyond its octets where it is not packed: two objects, their pair, an index of names."""

MAX_SHAPES: Final = 1024
"""Heads by their names that are remembered; an origin has a few dozen."""


class Fields:
    """An immutable list of header fields in the order received.

    Look-ups take the lower-case name. Iteration gives `(name as sent, value)`.
    """

    __slots__ = ("_by_name", "_pairs")

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._pairs = tuple(pairs)
        self._by_name: dict[bytes, bytes | tuple[bytes, ...]] | None = None

    def _index(self) -> dict[bytes, bytes | tuple[bytes, ...]]:
        # Most fields have one line, and every stored head keeps its index: no list for each of them.
        index = self._by_name
        if index is None:
            index = {}
            for name, value in self._pairs:
                lower = name.lower()
                before = index.get(lower)
                if before is None:
                    index[lower] = value
                else:
                    index[lower] = (*((before,) if isinstance(before, bytes) else before), value)
            self._by_name = index
        return index

    def names(self) -> Iterable[bytes]:
        """The lower-case names, each once."""
        return (self._by_name or self._index()).keys()

    def pairs(self) -> tuple[Pair, ...]:
        """Every line: its name as sent, and its value."""
        return self._pairs

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs())

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: bytes) -> bool:
        return name in (self._by_name or self._index())  # asked thirty times an exchange: no call for it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.pairs() == other.pairs()

    def __hash__(self) -> int:
        return hash(self.pairs())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"

    def get(self, name: bytes) -> bytes | None:
        """The field's value, several lines of it joined by a comma (RFC 9110 §5.3); None if absent."""
        values = (self._by_name or self._index()).get(name)
        return b", ".join(values) if isinstance(values, tuple) else values

    def get_all(self, name: bytes) -> tuple[bytes, ...]:
        """The value of each line of the field, in order; empty if absent."""
        values = (self._by_name or self._index()).get(name, ())
        return values if isinstance(values, tuple) else (values,)

    def members(self, name: bytes) -> tuple[bytes, ...]:
        """The comma-separated members of a list field, stripped, empty ones dropped (RFC 9110 §5.6.1).

        Quoted strings are not understood: for lists of tokens only.
        """
        parts = (part.strip(b" \t") for value in self.get_all(name) for part in value.split(b","))
        return tuple(part for part in parts if part)

    def without(self, names: Iterable[bytes]) -> Fields:
        """A copy that lacks the fields with these lower-case names; itself, if it has none of them."""
        dropped = frozenset(names)
        if dropped.isdisjoint(self.names()):
            return self
        return Fields([pair for pair in self.pairs() if pair[0].lower() not in dropped])

    def with_added(self, *pairs: Pair) -> Fields:
        """A copy with these lines at the end."""
        return Fields(self.pairs() + pairs)

    def with_set(self, name: bytes, value: bytes) -> Fields:
        """A copy in which the field has this one line, at the end."""
        return self.without((name.lower(),)).with_added((name, value))

    def size_bytes(self) -> int:
        """Octets on the wire: each line with its colon, space and CRLF."""
        return sum(len(name) + len(value) + 4 for name, value in self._pairs)

    def kept_bytes(self) -> int:
        """What they take while they are kept, at most."""
        return self.size_bytes() + LINE_BYTES * len(self._pairs)

    def packed(self) -> Fields:
        """The same fields in less memory, to be kept, if their names are those of others, too."""
        octets = _SEPARATOR.join([value for _, value in self._pairs])
        if (
            octets.count(_SEPARATOR) != len(self._pairs) - 1
        ):  # in a value, where it could not be sent; or empty
            return self
        shape = _shape_of(tuple([name for name, _ in self._pairs]))
        return self if shape is None else PackedFields(shape, octets)


_SEPARATOR = b"\n"


class _Shape:
    """The names of a head, for all heads that have them in this order, and the lines of each."""

    __slots__ = ("lines", "names", "octets")

    def __init__(self, names: tuple[bytes, ...]) -> None:
        self.names = names
        self.lines: dict[bytes, tuple[int, ...]] = {}
        for line, name in enumerate(names):
            lower = name.lower()
            self.lines[lower] = (*self.lines.get(lower, ()), line)
        self.octets = sum(len(name) + len(b": \r\n") for name in names)


_shapes: dict[tuple[bytes, ...], _Shape | None] = {}


def _shape_of(names: tuple[bytes, ...]) -> _Shape | None:
    """The shape of heads with these names; None for the first such head.

    An origin that makes up names would else have a shape for each of its answers, and that takes more than
    it saves. What came is remembered in the order in which it came, up to `MAX_SHAPES`.
    """
    shape = _shapes.get(names)
    if shape is None:
        if names in _shapes:
            shape = _Shape(names)
        elif len(_shapes) >= MAX_SHAPES:
            del _shapes[next(iter(_shapes))]
        _shapes[names] = shape
    return shape


class PackedFields(Fields):
    """Fields as they are kept: the names are everybody's, the values one string of octets.

    Nothing that is read out of it is kept, so that a look-up does not undo it. What is looked for mostly is
    not there (`Set-Cookie`), and to know that takes the names alone.
    """

    __slots__ = ("_octets", "_shape")

    def __init__(self, shape: _Shape, octets: bytes) -> None:
        self._shape = shape
        self._octets = octets

    def names(self) -> Iterable[bytes]:
        """The lower-case names, each once."""
        return self._shape.lines.keys()

    def pairs(self) -> tuple[Pair, ...]:
        """Every line: its name as sent, and its value."""
        return tuple(zip(self._shape.names, self._octets.split(_SEPARATOR), strict=True))

    def __len__(self) -> int:
        return len(self._shape.names)

    def __contains__(self, name: bytes) -> bool:
        return name in self._shape.lines

    def get(self, name: bytes) -> bytes | None:
        """The field's value, several lines of it joined by a comma (RFC 9110 §5.3); None if absent."""
        values = self.get_all(name)
        return b", ".join(values) if values else None

    def get_all(self, name: bytes) -> tuple[bytes, ...]:
        """The value of each line of the field, in order; empty if absent."""
        lines = self._shape.lines.get(name)
        if lines is None:
            return ()
        values = self._octets.split(_SEPARATOR)
        return tuple([values[line] for line in lines])

    def size_bytes(self) -> int:
        """Octets on the wire: each line with its colon, space and CRLF."""
        return self._shape.octets + len(self._octets) - (len(self) - 1)

    def kept_bytes(self) -> int:
        """What they take while they are kept, at most."""
        return len(self._octets)

    def packed(self) -> Fields:
        """Itself."""
        return self
