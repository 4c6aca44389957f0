"""`config/reference.yaml`: every setting with its default and its sentence, made from the models."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from pydantic.fields import FieldInfo

from proxy.config.base import Settings
from proxy.config.settings import Config
from proxy.config.shape import ListOf, MapOf, Nullable, Section, Shape, settings_of
from proxy.config.units import unit_of

_WIDTH = 100

_HEAD = """\
# Every setting of Lockgate with its default. Made from proxy/config/settings.py by
# `python -m proxy.config.docs`; copy from it what you change, and leave out the rest.
#
# Only `origins` and `routes` are required, and of these only `addresses` and `origin`.
# A line that is commented out belongs to something that is absent by default.
"""

_EXAMPLES: Mapping[str, str] = {
    "listen[].address": "127.0.0.1:8080",
    "listen[].tls.certificate": "/etc/lockgate/certificate.pem",
    "listen[].tls.key": "/etc/lockgate/key.pem",
    "cache.disk.directory": "/var/cache/lockgate",
    "origins.NAME.addresses": "[http://127.0.0.1:9000]",
    "routes[].origin": "app",
    "writes.journal.directory": "/var/lib/lockgate",
}
"""What stands for a setting that has no default."""
_EXAMPLE_NAMES: Mapping[str, str] = {"origins": "app", "routes[].writes.retry_methods": "POST"}


def reference_file() -> str:
    """The YAML file; it loads, to the defaults of everything that has one."""
    lines = _section(Config, "")
    return _HEAD + "".join(f"{line}\n" for line in lines)


def sentence(text: str | None) -> str:
    """A docstring on one line."""
    return " ".join((text or "").split())


def settings_with_shapes(model: type[Settings]) -> Iterator[tuple[str, FieldInfo, Shape]]:
    """The settings of a section in the order of the model."""
    for name, shape in settings_of(model).items():
        yield name, model.model_fields[name], shape


def _section(model: type[Settings], path: str) -> Iterator[str]:
    for name, field, shape in settings_with_shapes(model):
        if not path:
            yield ""
        yield from textwrap.wrap(
            sentence(field.description),
            _WIDTH,
            initial_indent="# ",
            subsequent_indent="# ",
            break_on_hyphens=False,
        )
        yield from _setting(name, field, shape, f"{path}.{name}".lstrip("."))


def _setting(name: str, field: FieldInfo, shape: Shape, path: str) -> Iterator[str]:
    match shape:
        case Section(model):
            yield f"{name}:"
            yield from _indented("  ", _section(model, path))
        case Nullable(Section(model)):
            yield f"{name}: null"
            yield f"# {name}:"
            yield from _indented("#   ", _section(model, path))
        case ListOf(Section(model)):
            yield f"{name}:"
            yield from _indented("  ", _as_item(_section(model, f"{path}[]")))
        case MapOf(Section(model)):
            yield f"{name}:"
            yield f"  {_EXAMPLE_NAMES[path]}:"
            yield from _indented("    ", _section(model, f"{path}.NAME"))
        case _:
            value = _EXAMPLES[path] if field.is_required() else written(name, field.default)
            yield f"{name}: {value}"


def _indented(margin: str, lines: Iterable[str]) -> Iterator[str]:
    return (f"{margin}{line}" for line in lines)


def _as_item(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a section as an item of a list: a dash before the first setting."""
    margin = ""
    for line in lines:
        if not margin and not line.startswith("#"):
            yield f"- {line}"
            margin = "  "
        else:
            yield f"{margin}{line}"


def written(name: str, value: object) -> str:
    """A default as it may stand in the file."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            unit = unit_of(name)
            return f"{value:g}" if unit is None and isinstance(value, float) else _number(value, name)
        case StrEnum():
            return value.value
        case str():
            return f'"{value}"' if value[:1] in "*[:" else value
        case tuple():
            return f"[{', '.join(written('', item) for item in value)}]"
        case dict():
            assert not value, "a default mapping is empty"
            return "{}"
        case Settings():
            given = (f"{key}: {written(key, getattr(value, key))}" for key in value.model_fields_set)
            return f"{{{', '.join(given)}}}"
        case _:
            raise AssertionError(f"no notation for {value!r}")


def _number(value: float, name: str) -> str:
    unit = unit_of(name)
    return str(value) if unit is None else unit.format(value)
