"""Header fields as they came: ordered pairs of raw bytes, looked up by lower-case name.

Bytes, because a proxy passes on what it cannot read: a value need not be UTF-8 (RFC 9110 §5.5), and a
round trip through `str` loses bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Pair = tuple[bytes, bytes]


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
        return self._index().keys()

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: bytes) -> bool:
        return name in self._index()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Fields({list(self._pairs)!r})"

    def get(self, name: bytes) -> bytes | None:
        """The field's value, several lines of it joined by a comma (RFC 9110 §5.3); None if absent."""
        values = self._index().get(name)
        return b", ".join(values) if isinstance(values, tuple) else values

    def get_all(self, name: bytes) -> tuple[bytes, ...]:
        """The value of each line of the field, in order; empty if absent."""
        values = self._index().get(name, ())
        return values if isinstance(values, tuple) else (values,)

    def members(self, name: bytes) -> tuple[bytes, ...]:
        """The comma-separated members of a list field, stripped, empty ones dropped (RFC 9110 §5.6.1).

        Quoted strings are not understood: for lists of tokens only.
        """
        parts = (part.strip(b" \t") for value in self.get_all(name) for part in value.split(b","))
        return tuple(part for part in parts if part)

    def without(self, names: Iterable[bytes]) -> Fields:
        """A copy that lacks the fields with these lower-case names."""
        dropped = frozenset(names)
        return Fields(pair for pair in self._pairs if pair[0].lower() not in dropped)

    def with_added(self, *pairs: Pair) -> Fields:
        """A copy with these lines at the end."""
        return Fields(self._pairs + pairs)

    def with_set(self, name: bytes, value: bytes) -> Fields:
        """A copy in which the field has this one line, at the end."""
        return self.without((name.lower(),)).with_added((name, value))

    def size_bytes(self) -> int:
        """Octets on the wire: each line with its colon, space and CRLF."""
        return sum(len(name) + len(value) + 4 for name, value in self._pairs)
