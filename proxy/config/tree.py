"""A configuration file as a tree of values that know their place, so that every error can name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from proxy.config.problems import Mark

Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value; `text` is what stands in the file, before the environment was put in."""

    mark: Mark
    path: str
    value: Plain
    text: str

    def shown(self) -> str:
        """The value for a message; of a value from the environment also where it came from."""
        found = _short(repr(self.value)) if isinstance(self.value, str) else self.text or "empty"
        if "${" not in self.text or self.text == self.value:
            return found
        written = self.text if self.text.isprintable() else repr(self.text)  # a message is one line
        return f"{found} (from {_short(written)})"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of values."""

    mark: Mark
    path: str
    items: tuple[Node, ...]

    def shown(self) -> str:
        """How a message names it."""
        return "a list"


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; `keys` holds the place of each key of `entries`."""

    mark: Mark
    path: str
    entries: Mapping[str, Node]
    keys: Mapping[str, Mark]

    def shown(self) -> str:
        """How a message names it."""
        return "a mapping"


Node = Scalar | Listing | Table


def inner_path(path: str, key: str | int) -> str:
    """The path of what stands under `key`, as messages write it: `routes[0].cache`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not key.isprintable() or not key:
        key = repr(key)
    key = _short(key)
    return f"{path}.{key}" if path else key


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."


def moved(node: Node, path: str) -> Node:
    """A copy of the tree that stands at another path; the marks stay."""
    match node:
        case Scalar():
            return replace(node, path=path)
        case Listing():
            items = (moved(item, inner_path(path, index)) for index, item in enumerate(node.items))
            return replace(node, path=path, items=tuple(items))
        case Table():
            entries = {key: moved(value, inner_path(path, key)) for key, value in node.entries.items()}
            return replace(node, path=path, entries=entries)


def merged(below: Table, above: Table) -> Table:
    """`above` laid over `below`: mappings are merged, anything else is replaced."""
    entries = dict(below.entries)
    for key, value in above.entries.items():
        under = entries.get(key)
        if isinstance(value, Table) and isinstance(under, Table):
            entries[key] = merged(under, value)
        else:
            entries[key] = value
    return replace(above, entries=entries, keys={**below.keys, **above.keys})


def without(table: Table, names: frozenset[str]) -> Table:
    """A copy that lacks the keys `names`."""
    return replace(table, entries={key: value for key, value in table.entries.items() if key not in names})


def plain(node: Node) -> object:
    """The tree as dicts, lists and values."""
    match node:
        case Scalar(value=value):
            return value
        case Listing(items=items):
            return [plain(item) for item in items]
        case Table(entries=entries):
            return {key: plain(value) for key, value in entries.items()}


def size_of(node: Node) -> int:
    """How many values the tree holds, itself included."""
    match node:
        case Scalar():
            return 1
        case Listing(items=items):
            return 1 + sum(size_of(item) for item in items)
        case Table(entries=entries):
            return 1 + sum(size_of(value) for value in entries.values())


def step(node: Node | None, key: str | int) -> Node | None:
    """What stands under `key`; None if nothing does."""
    match node:
        case Table(entries=entries) if isinstance(key, str):
            return entries.get(key)
        case Listing(items=items) if isinstance(key, int) and key < len(items):
            return items[key]
        case _:
            return None
