"""Members of a JSON text that name something: read strictly, where a second reading could name another thing.

The origin reads the text, too, and with another parser. What it may take for the member that is meant is
refused, not chosen among: the same name twice (RFC 8259 §4: "unpredictable"), and names that lenient readers
take for the same, as those do that ignore case, or end a name at a control character or half a surrogate
pair. Members beside the way are the origin's own affair.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

MAX_INTEGER: Final = 10**20
"""Integers below are read exactly; 64 bits are."""
_EXACT: Final = 2.0**53
"""Integers up to here are what a float says (RFC 7493 §2.2)."""
_OVERLOOKED: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


Members = tuple[tuple[str, object], ...]
"""An object: its members as they stand, repeated names included. A plain tuple, since a class of our own
takes six times as long where a text has many objects; arrays are lists."""


def parse_json(octets: bytes) -> object:
    """The value of a JSON text in UTF-8; objects are `Members`, arrays lists.

    Raises: ValueError, with words that continue "the text ...".
    """
    try:
        return _DECODER.decode(octets.decode())
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from None


def member_at(document: object, names: tuple[str, ...]) -> object:
    """The member under these names, one in the other.

    Raises: ValueError, with words that continue "the text ...".
    """
    value = document
    for depth, name in enumerate(names, start=1):
        value = _member(value, name, shown=".".join(names[:depth]))
    return value


def _member(value: object, name: str, *, shown: str) -> object:
    if not isinstance(value, tuple):
        raise ValueError(f"has no object around {shown!r}")
    folded = _folded(name)
    found = [
        (other, member)
        for other, member in value
        if other.casefold() == folded or (not other.isprintable() and _folded(other) == folded)
    ]
    if len(found) > 1:
        raise ValueError(f"has {shown!r} more than once, or names that can be taken for it")
    if not found or found[0][0] != name:
        raise ValueError(f"has no member {shown!r}")
    return found[0][1]


def _folded(name: str) -> str:
    return _OVERLOOKED.sub("", name).casefold()


def scalar_text(value: object) -> str:
    """A string, an integer or a truth value as text; `1`, `1.0` and `"1"` are the same text.

    Origins take them for the same in a path, in a database, in a weakly typed language; and where they name
    an entity, two spellings of one must meet. A string is never read as a number: `"1.0"` and `"01"` are
    names of their own. Not empty.

    Raises: ValueError, with words that continue "it is ...".
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int() if abs(value) < MAX_INTEGER:
            return str(value)
        case float() if abs(value) <= _EXACT and value.is_integer():
            return str(int(value))
        case int() | float():
            raise ValueError("a number that not every reader takes for the same; write it as a string")
        case str():
            return _text(value)
        case None:
            raise ValueError("null")
        case _:
            raise ValueError("an object or array; a string, an integer or a truth value names something")


def _text(value: str) -> str:
    if not value:
        raise ValueError("an empty string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("a string with half a surrogate pair") from None
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_no_constant)
