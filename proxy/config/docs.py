"""Prints what is made from the models: `docs/settings.md` and `config/reference.yaml`.

`python -m proxy.config.docs [DIRECTORY]` writes both below a checkout (the current directory by
default); a test fails while either is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from proxy.config.base import Settings
from proxy.config.reference import reference_file, sentence, settings_with_shapes, written
from proxy.config.settings import Config
from proxy.config.shape import (
    Leaf,
    ListOf,
    MapOf,
    Nullable,
    Section,
    Shape,
    sections_of,
)
from proxy.config.units import unit_of

SETTINGS_PAGE = Path("docs/settings.md")
REFERENCE_FILE = Path("config/reference.yaml")

_PAGE_HEAD = """\
# Settings

<!-- Made from proxy/config/settings.py by `python -m proxy.config.docs`; edit there. -->

One YAML file holds every setting. `lockgate check FILE` tells what is wrong in it, with line and fix, and
what it will do; `lockgate schema` prints a JSON Schema for editors;
[`config/reference.yaml`](../config/reference.yaml) lists every setting with its default.

- **Durations** (names ending in `_s`) are seconds, or carry a unit: `500ms`, `2s`, `5m`, `1h`, `1d`.
- **Sizes** (names ending in `_bytes`) are bytes, or carry a unit: `64KiB`, `16MiB`, `1GiB`.
- **Environment**: `${NAME}` and `${NAME:-default}` stand for a variable in any value; `$$` is a dollar sign.
  Inside `[ ]` and `{ }` such a value needs quotes.
- **Booleans** are `true` and `false` alone; `yes`, `on`, `12:30` and `010` are text. Numbers are decimal.
- **`defaults`** is merged below each route: mappings key by key; a list or value of the route replaces it.
- An unknown or repeated key is an error.

In the headings `[]` stands for each item of a list, `.NAME` for a name of your choice.
"""


def settings_page() -> str:
    """The Markdown page: a table for each section."""
    return _PAGE_HEAD + "".join(_table(path, model) for path, model in sections_of(Config))


def _table(path: str, model: type[Settings]) -> str:
    heading = f"`{path}`" if path else "The file"
    rows = (_row(name, field, shape) for name, field, shape in settings_with_shapes(model))
    return (
        f"\n## {heading}\n\n{sentence(model.__doc__)}\n\n"
        "| setting | type | unit | default | |\n| --- | --- | --- | --- | --- |\n" + "".join(rows)
    )


def _row(name: str, field: FieldInfo, shape: Shape) -> str:
    unit = unit_of(name)
    cells = (
        f"`{name}`",
        _kind(shape),
        unit.name if unit else "",
        _default(name, field, shape),
        field.description,
    )
    return "| " + " | ".join(sentence(cell).replace("|", "\\|") for cell in cells) + " |\n"


def _kind(shape: Shape) -> str:
    match shape:
        case Nullable(inner):
            return f"{_kind(inner)} or null"
        case Section():
            return "section"
        case ListOf(inner):
            return f"list of {_kind(inner)}"
        case MapOf(inner):
            return f"mapping of {_kind(inner)}"
        case Leaf(found):
            return _leaf_kind(found)


_KINDS: Mapping[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "boolean",
    Path: "path",
    object: "any value",
    SecretStr: "text",
}


def _leaf_kind(found: object) -> str:
    if isinstance(found, type) and issubclass(found, StrEnum):
        return " or ".join(f"`{member.value}`" for member in found)
    if get_origin(found) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(found))
    return _KINDS[found]


def _default(name: str, field: FieldInfo, shape: Shape) -> str:
    if field.is_required():
        return "**required**"
    if isinstance(shape, Section):
        return "see below"
    return f"`{written(name, field.default)}`"


def main(arguments: list[str]) -> int:
    """Write both files below the directory named, or the current one."""
    root = Path(arguments[0]) if arguments else Path()
    for path, text in ((SETTINGS_PAGE, settings_page()), (REFERENCE_FILE, reference_file())):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
        print(root / path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
