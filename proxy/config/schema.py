"""The JSON Schema of the configuration file, for editors (`lockgate schema`).

Made from the models, widened by what a file may write beside the bare value: `16MiB` and `2s`,
`${NAME}` in place of a number, and a section whose lines are all commented out.
"""

from __future__ import annotations

import copy
from typing import Any

from proxy.config.arranging import NOT_IN_DEFAULTS
from proxy.config.settings import Config
from proxy.config.units import Unit, unit_of

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_FROM_ENVIRONMENT = {"$ref": "#/$defs/FromEnvironment"}
_NULL = {"type": "null"}


def schema() -> dict[str, Any]:
    """The schema, draft 2020-12; the caller owns it."""
    made = Config.model_json_schema()
    definitions = made.pop("$defs")
    definitions["RouteDefaults"] = _route_defaults(definitions["RouteSettings"])
    made["properties"]["defaults"] = {
        "$ref": "#/$defs/RouteDefaults",
        "description": made["properties"]["defaults"]["description"],
    }
    choices = {name for name, definition in definitions.items() if "enum" in definition}
    for definition in (made, *definitions.values()):
        for name, found in definition.get("properties", {}).items():
            definition["properties"][name] = _widened(found, unit_of(name), choices)
    definitions["FromEnvironment"] = {
        "type": "string",
        "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}",
        "description": "A value from the environment: `${NAME}` or `${NAME:-default}`.",
    }
    return {"$schema": DRAFT, **made, "title": "Lockgate configuration", "$defs": definitions}


def _route_defaults(route: dict[str, Any]) -> dict[str, Any]:
    defaults = copy.deepcopy(route)
    defaults["properties"] = {
        name: found for name, found in route["properties"].items() if name not in NOT_IN_DEFAULTS
    }
    del defaults["required"]
    return {**defaults, "title": "RouteDefaults", "description": "What routes have in common."}


def _widened(found: dict[str, Any], unit: Unit | None, choices: set[str]) -> dict[str, Any]:
    """The property with the file's other notations; its description and default stay outside."""
    found.pop("title", None)  # "Shutdown Timeout S" tells an editor's user nothing
    outer: dict[str, Any] = {name: found.pop(name) for name in ("description", "default") if name in found}
    forms: list[dict[str, Any]] = found.get("anyOf", [found])
    for form in forms:
        if "items" in form:
            form["items"] = _with_more(form["items"], _of_value(form["items"], None, choices))
        if isinstance(of_each := form.get("additionalProperties"), dict) and unit is not None:
            form["additionalProperties"] = _with_more(of_each, _of_value(of_each, unit, choices))
    more: list[dict[str, Any]] = []
    for form in forms:
        more += _of_value(form, unit, choices) or _of_section(form)
    return {**_with_more(found, more), **outer}


def _with_more(found: dict[str, Any], more: list[dict[str, Any]]) -> dict[str, Any]:
    forms: list[dict[str, Any]] = found.get("anyOf", [found])
    new = [form for form in more if form not in forms]
    return {"anyOf": [*forms, *new]} if new else found


def _of_value(form: dict[str, Any], unit: Unit | None, choices: set[str]) -> list[dict[str, Any]]:
    """What may stand for a number, boolean or choice; text holds a `${NAME}` anyway."""
    if form.get("type") in {"integer", "number"}:
        notation = [] if unit is None else [{"type": "string", "pattern": unit.pattern}]
        return [*notation, _FROM_ENVIRONMENT]
    if form.get("type") == "boolean" or "enum" in form or _referred(form) in choices:
        return [_FROM_ENVIRONMENT]
    return []


def _of_section(form: dict[str, Any]) -> list[dict[str, Any]]:
    """Null, where a section, list or mapping may be empty."""
    may_be_empty = "minItems" not in form and "minProperties" not in form
    is_section = form.get("type") in {"object", "array"} or _referred(form)
    return [_NULL] if is_section and may_be_empty else []


def _referred(form: dict[str, Any]) -> str:
    return str(form.get("$ref", "")).rpartition("/")[2]
