"""Frozen dataclasses as JSON values, and back: how statistics go from one process to another."""

from __future__ import annotations

import dataclasses
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Made = TypeVar("Made")


def plain(value: Any) -> Any:
    """Dataclasses as objects, enum members as their text, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def made(type_: type[Made], value: Any) -> Made:
    """The value of this type that `plain` made `value` of."""
    found: Made = _made(type_, value)
    return found


@lru_cache(maxsize=64)
def hints_of(type_: type) -> dict[str, Any]:
    """The types of a dataclass's fields by their names."""
    return get_type_hints(type_)


def _made(type_: Any, value: Any) -> Any:
    origin, arguments = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType):
        present = [one for one in arguments if one is not NoneType]
        return None if value is None else _made(present[0], value)
    if origin is dict:
        return {_made(arguments[0], key): _made(arguments[1], item) for key, item in value.items()}
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_made(arguments[0], item) for item in value)
        return tuple(_made(one, item) for one, item in zip(arguments, value, strict=True))
    if origin is list:
        return [_made(arguments[0], item) for item in value]
    if dataclasses.is_dataclass(type_) and isinstance(type_, type):
        return type_(**{name: _made(hint, value[name]) for name, hint in hints_of(type_).items()})
    if isinstance(type_, type) and issubclass(type_, (Enum, int, float)) and not isinstance(value, bool):
        return type_(value)  # the key of a JSON object is text
    return value
