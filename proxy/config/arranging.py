"""From the tree as written to the tree that the models check: units, empty sections, `defaults`.

Also the checks that need the whole file and would else come only after every single value is right.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace

from proxy.config.problems import Problems
from proxy.config.settings import Config, RouteSettings
from proxy.config.shape import Leaf, ListOf, MapOf, Nullable, Section, Shape, child_of, settings_of
from proxy.config.tree import Listing, Node, Scalar, Table, merged, step, without
from proxy.config.units import unit_of

NOT_IN_DEFAULTS = frozenset({"origin", "host", "path"})


def arranged(root: Table, problems: Problems) -> Table:
    """The tree with numbers for `16MiB` and `2s`, and with `defaults` laid below each route."""
    tree = _normal(root, Section(Config), "")
    assert isinstance(tree, Table), "a section stays a mapping"
    tree = _with_defaults(tree, problems)
    _check_origins(tree, problems)
    _check_places(tree, problems)
    return tree


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a mistyped one most likely means."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def _normal(node: Node, shape: Shape | None, name: str) -> Node:
    """Units become numbers; a section, list or mapping of which nothing is left but its name is empty."""
    match node:
        case Scalar(value=None):
            return _emptied(node, shape)
        case Scalar(value=str(text)):
            unit = unit_of(name) if isinstance(_bare(shape), Leaf) else None
            number = None if unit is None else unit.parse(text)
            return node if number is None else replace(node, value=number)
        case Scalar():
            return node
        case Listing(items=items):
            inner = (_normal(item, child_of(shape, index), "") for index, item in enumerate(items))
            return replace(node, items=tuple(inner))
        case Table(entries=entries):
            shapes = {key: _shape_below(node, shape, key) for key in entries}
            is_section = isinstance(_bare(shape), Section)
            inner_entries = {
                key: _normal(value, shapes[key], key if is_section else name)
                for key, value in entries.items()
            }
            return replace(node, entries=inner_entries)


def _bare(shape: Shape | None) -> Shape | None:
    return shape.shape if isinstance(shape, Nullable) else shape


def _shape_below(node: Table, shape: Shape | None, key: str) -> Shape | None:
    if node.path == "" and key == "defaults":  # typed as a free mapping, but read as a route
        return Section(RouteSettings)
    return child_of(shape, key)


def _emptied(node: Scalar, shape: Shape | None) -> Node:
    match shape:
        case Section() | MapOf():
            return Table(node.mark, node.path, {}, {})
        case ListOf():
            return Listing(node.mark, node.path, ())
        case _:
            return node


def _with_defaults(tree: Table, problems: Problems) -> Table:
    defaults, routes = step(tree, "defaults"), step(tree, "routes")
    if not isinstance(defaults, Table):
        return tree
    for name in NOT_IN_DEFAULTS & defaults.entries.keys():
        problems.add(
            defaults.keys[name], f"defaults.{name}", "belongs to a single route; write it under routes"
        )
    if not isinstance(routes, Listing):
        return tree
    below = without(defaults, NOT_IN_DEFAULTS)
    items = (merged(below, route) if isinstance(route, Table) else route for route in routes.items)
    return replace(tree, entries={**tree.entries, "routes": replace(routes, items=tuple(items))})


def _routes(tree: Table) -> list[Node]:
    routes = step(tree, "routes")
    return list(routes.items) if isinstance(routes, Listing) else []


def _check_origins(tree: Table, problems: Problems) -> None:
    origins = step(tree, "origins")
    if not isinstance(origins, Table) or not origins.entries:
        return
    for route in _routes(tree):
        origin = step(route, "origin")
        if (
            isinstance(origin, Scalar)
            and isinstance(origin.value, str)
            and origin.value not in origins.entries
        ):
            guess = nearest(origin.value, origins.entries)
            advice = f"did you mean {guess}? " if guess else ""
            known = ", ".join(origins.entries)
            problems.add(
                origin.mark,
                origin.path,
                f"is {origin.shown()}, not under origins: {advice}There are: {known}",
            )


def _check_places(tree: Table, problems: Problems) -> None:
    """Two routes for the same requests: the second would never be taken."""
    seen: dict[tuple[str, str], Node] = {}
    for route in _routes(tree):
        host, path = _text(route, "host"), _text(route, "path")
        if host is None or path is None:
            continue
        first = seen.setdefault((host.lower(), path), route)
        if first is not route:
            problems.add(
                route.mark,
                route.path,
                f"matches host {host!r} and path {path!r}, as {first.path} in line {first.mark.line} does: "
                "change host or path, or remove one",
            )


def _text(route: Node, name: str) -> str | None:
    """The setting's text, or its default; None if it is something else."""
    node = step(route, name)
    if node is None:
        return str(RouteSettings.model_fields[name].default) if isinstance(route, Table) else None
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None


def known_names(shape: Shape | None) -> list[str]:
    """The settings of a section; empty for any other shape."""
    bare = _bare(shape)
    return list(settings_of(bare.model)) if isinstance(bare, Section) else []
