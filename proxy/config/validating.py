"""The models' verdict on a tree, told in the words of the file: place, value found, what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from proxy.config.arranging import known_names, nearest
from proxy.config.problems import FILE_START, Mark, Problems
from proxy.config.settings import Config
from proxy.config.shape import Leaf, Section, Shape, child_of, not_null, sections_of
from proxy.config.tree import Listing, Node, Scalar, Table, inner_path, plain, step
from proxy.config.units import unit_of


def validated(tree: Table, problems: Problems) -> Config | None:
    """The configuration; None if the models refuse it, which is then among the problems.

    Strict, in JSON mode: a list becomes a tuple and text a path, but `"5"` is no number and `yes` no
    boolean.
    """
    try:
        return Config.model_validate_json(json.dumps(plain(tree)), strict=True)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _note(details, tree, problems)
        return None


def _note(details: ErrorDetails, tree: Table, problems: Problems) -> None:
    location = [part for part in details["loc"] if part != "[key]"]
    kind = details["type"]
    if not location:
        # The file as a whole: `arranging` has told the same with its line, if it is that.
        if not problems:
            problems.add(FILE_START, "", _allowed(details))
        return
    found = _Found(tree, location)
    if kind == "missing":
        problems.add(found.parent_mark, found.path, "is missing; add it")
    elif kind == "extra_forbidden":
        problems.add(found.key_mark, found.path, _unknown(str(location[-1]), found))
    elif details["loc"][-1] == "[key]":
        problems.add(found.key_mark, found.path, f"cannot be used as a name: {_allowed(details)}")
    elif found.node is not None and not _counted_wrongly(details, found.node):
        is_checked_whole = kind == "value_error" and not isinstance(found.node, Scalar)
        shown = "cannot be used" if is_checked_whole or found.is_secret else f"is {found.node.shown()}"
        problems.add(found.node.mark, found.node.path, f"{shown}: {_advice(details, found)}")


def _counted_wrongly(details: ErrorDetails, node: Node) -> bool:
    """The models count only the items that are right; the others have been told by themselves."""
    if details["type"] != "too_short":
        return False
    match node:
        case Listing(items=items):
            return len(items) >= int(details["ctx"]["min_length"])
        case Table(entries=entries):
            return len(entries) >= int(details["ctx"]["min_length"])
        case _:
            return False


class _Found:
    """What stands at a location of the models in the tree."""

    def __init__(self, tree: Table, location: Sequence[str | int]) -> None:
        parent: Node = tree
        shape: Shape = Section(Config)
        for part in location[:-1]:
            inner = step(parent, part)
            shape_below = child_of(shape, part)
            assert inner is not None, f"the models name {location}, which the tree lacks"
            assert shape_below is not None, f"the models name {location}, which the shapes lack"
            parent, shape = inner, shape_below
        self._parent = parent
        self.section = shape
        self.name = location[-1]
        self.shape = child_of(shape, self.name)
        self.node = step(parent, self.name)

    @property
    def path(self) -> str:
        """As in the file: what came from `defaults` is named there."""
        return self.node.path if self.node is not None else inner_path(self._parent.path, self.name)

    @property
    def is_secret(self) -> bool:
        """Whether no message may show it."""
        leaf = None if self.shape is None else not_null(self.shape)
        return isinstance(leaf, Leaf) and leaf.type is SecretStr

    @property
    def parent_mark(self) -> Mark:
        return self._parent.mark

    @property
    def key_mark(self) -> Mark:
        keys = self._parent.keys if isinstance(self._parent, Table) else {}
        return keys.get(str(self.name), self._parent.mark)


def _unknown(name: str, found: _Found) -> str:
    known = known_names(found.section)
    guess = nearest(name, known)
    elsewhere = [
        inner_path(path, name)
        for path, model in sections_of(Config)
        if name in model.model_fields and path != found.path
    ]
    if elsewhere:
        return f"is not a setting; it belongs to {' or '.join(elsewhere)}"
    if guess:
        return f"is not a setting; did you mean {guess}?"
    return f"is not a setting; there are: {', '.join(known)}"


def _advice(details: ErrorDetails, found: _Found) -> str:
    unit = unit_of(str(found.name)) if isinstance(found.section, Section) else None
    is_number = details["type"].startswith(("int_", "float_"))
    if details["type"] in _BOUNDS:
        words, bound = _BOUNDS[details["type"]]
        limit = _context(details)[bound]
        return f"must be {words} {unit.format(limit) if unit else limit}"
    if unit is not None and is_number and isinstance(found.node, Scalar):
        return unit.advice(str(found.node.value))
    if details["type"] in {"enum", "literal_error"} and isinstance(found.node, Scalar):
        return _one_of(details, str(found.node.value))
    if details["type"] == "model_type":
        return f"write its settings below it: {', '.join(known_names(found.shape))}"
    return _allowed(details)


def _one_of(details: ErrorDetails, text: str) -> str:
    expected = _context(details)["expected"]
    guess = nearest(text, [word for word in str(expected).split("'") if word.strip(" ,or")])
    return f"write {expected}" + (f"; did you mean {guess}?" if guess else "")


def _context(details: ErrorDetails) -> Mapping[str, Any]:
    return details.get("ctx", {})


def _allowed(details: ErrorDetails) -> str:
    words = _ALLOWED.get(details["type"])
    return details["msg"] if words is None else words(_context(details))


_WHOLE = "write a whole number, in decimal digits, without quotes and leading zeros"
_TEXT = "write text; in quotes, if it looks like a number, true, false or null"

_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
"""Words, and where pydantic gives the bound, by its kind of error."""

_ALLOWED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "value_error": lambda context: str(context["error"]),
    "bool_type": lambda _: "write true or false, without quotes",
    "bool_parsing": lambda _: "write true or false, without quotes",
    "int_type": lambda _: _WHOLE,
    "int_parsing": lambda _: _WHOLE,
    "int_from_float": lambda _: _WHOLE,
    "float_type": lambda _: "write a number, without quotes",
    "float_parsing": lambda _: "write a number, without quotes",
    "string_type": lambda _: _TEXT,
    "path_type": lambda _: _TEXT,
    "too_short": lambda context: f"needs at least {context['min_length']}",
    "tuple_type": lambda _: "write a list: [one, two], or a line with `- ` for each",
    "dict_type": lambda _: "write a mapping: lines of `name: value` below it",
}
"""What is allowed, by pydantic's kind of error; any other kind speaks for itself."""
