"""The settings as a tree of shapes: which model, list or mapping stands at a place of the file.

The loader, the settings page, the reference file and the JSON Schema walk the same tree.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Union, get_args, get_origin

from proxy.config.base import Settings


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with the settings of `model` as its keys."""

    model: type[Settings]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one shape."""

    item: Shape


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping whose keys the user chooses."""

    value: Shape


@dataclass(frozen=True, slots=True)
class Leaf:
    """A single value of a plain type: str, int, float, bool, a path, an enum, a literal."""

    type: object


@dataclass(frozen=True, slots=True)
class Nullable:
    """The shape, or null."""

    shape: Section | ListOf | MapOf | Leaf


Shape = Section | ListOf | MapOf | Leaf | Nullable


def shape_of(annotation: object) -> Shape:
    """The shape that a field's annotation describes."""
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        return shape_of(arguments[0])
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is tuple:
        return ListOf(shape_of(arguments[0]))
    if origin is dict:
        return MapOf(shape_of(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return Section(annotation)
    return Leaf(annotation)


def _union(arguments: tuple[object, ...]) -> Shape:
    present = [argument for argument in arguments if argument is not type(None)]
    assert len(present) == 1, f"a setting is of one type or null, not {arguments!r}"
    inner = shape_of(present[0])
    assert not isinstance(inner, Nullable), "a union within a union"
    return inner if len(present) == len(arguments) else Nullable(inner)


def not_null(shape: Shape) -> Section | ListOf | MapOf | Leaf:
    """The shape of the value when it is there."""
    return shape.shape if isinstance(shape, Nullable) else shape


def settings_of(model: type[Settings]) -> dict[str, Shape]:
    """The shape of each setting of a section, in the order of the model."""
    return {name: shape_of(field.annotation) for name, field in model.model_fields.items()}


def child_of(shape: Shape | None, key: str | int) -> Shape | None:
    """The shape one step further in; None where the settings have no such place."""
    match None if shape is None else not_null(shape):
        case Section(model) if isinstance(key, str):
            return settings_of(model).get(key)
        case ListOf(inner) if isinstance(key, int):
            return inner
        case MapOf(inner) if isinstance(key, str):
            return inner
        case _:
            return None


def sections_of(model: type[Settings], path: str = "") -> Iterator[tuple[str, type[Settings]]]:
    """Every section with its path, outer before inner: `("", Config)`, `("listen[]", ListenSettings)`, …

    A list is written `[]` and a user's key `.NAME`.
    """
    yield path, model
    for name, shape in settings_of(model).items():
        inner, ending = not_null(shape), ""
        if isinstance(inner, ListOf):
            inner, ending = not_null(inner.item), "[]"
        elif isinstance(inner, MapOf):
            inner, ending = not_null(inner.value), ".NAME"
        if isinstance(inner, Section):
            yield from sections_of(inner.model, f"{path}.{name}{ending}".lstrip("."))
