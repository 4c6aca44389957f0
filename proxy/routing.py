"""Which route a request takes, and whether the route passes it through.

Among the routes whose host and path both match, the most specific wins: an exact host before
`*.suffix` (the longest suffix first) before `*`, then the longest path prefix. A host for which no path
matches falls through to the next wider one.

- The host is compared without port, in lower case, and without the dot that may end a full name.
- A path prefix matches whole segments: `/api` matches `/api` and `/api/x`, not `/apix`; `/api/` matches
  `/api/x`, not `/api`. `/` matches everything, also the `*` of OPTIONS.
- The path is compared as its bytes are. Nothing is decoded or resolved, because the origin gets the same
  bytes and the cache key is made of them: `/public/../admin` takes the route of `/public`, `/%61pi` does
  not take that of `/api`, and an origin that resolves them afterwards sees another path than we matched.
  So a route's path chooses policy, it is no fence: what must not be reached through us, the origin
  refuses, or another origin holds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from proxy.config.settings import BypassRules, RouteSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead


class BypassReason(StrEnum):
    """Which kind of rule passes a request through."""

    METHOD = "method"
    PATH = "path"
    HEADER = "header"
    COOKIE = "cookie"


class Bypass:
    """A route's bypass rules, compiled."""

    __slots__ = ("_cookies", "_fields", "_methods", "_paths")

    def __init__(self, rules: BypassRules) -> None:
        self._methods = frozenset(rules.methods)
        self._paths = tuple(re.compile(pattern.encode()) for pattern in rules.paths)
        self._fields = tuple(
            (name.lower().encode(), re.compile(pattern.encode())) for name, pattern in rules.headers.items()
        )
        self._cookies = frozenset(name.encode() for name in rules.cookies)

    def __repr__(self) -> str:
        return (
            f"Bypass({len(self._methods)} methods, {len(self._paths)} paths, "
            f"{len(self._fields)} fields, {len(self._cookies)} cookies)"
        )

    def reason(self, request: RequestHead) -> BypassReason | None:
        """Why the request is passed through: not from the cache, not stored, not coalesced.

        None if no rule says so.
        """
        if request.method in self._methods:
            return BypassReason.METHOD
        if self._paths and any(pattern.search(request.path) for pattern in self._paths):
            return BypassReason.PATH
        if self._fields and self._matches_a_field(request.fields):
            return BypassReason.HEADER
        if self._cookies and not self._cookies.isdisjoint(_cookie_names(request.fields)):
            return BypassReason.COOKIE
        return None

    def _matches_a_field(self, fields: Fields) -> bool:
        return any(
            pattern.search(value) is not None
            for name, pattern in self._fields
            if (value := fields.get(name)) is not None
        )


def _cookie_names(fields: Fields) -> Iterable[bytes]:
    """The names in every Cookie line, RFC 6265 §5.4."""
    for line in fields.get_all(b"cookie"):
        for pair in line.split(b";"):
            yield pair.partition(b"=")[0].strip(b" \t")


@dataclass(frozen=True, slots=True)
class Route:
    """A route in use. `index` is its place in the configuration, `name` is stable across reloads."""

    index: int
    name: str
    settings: RouteSettings
    bypass: Bypass


class Router:
    """Chooses among routes.

    `routes` has them in the order of the configuration, `in_match_order` as they are tried.
    """

    __slots__ = ("_any_host", "_exact", "_suffixes", "in_match_order", "routes")

    def __init__(self, routes: Iterable[RouteSettings]) -> None:
        self.routes = tuple(
            Route(index, route_name(settings), settings, Bypass(settings.bypass))
            for index, settings in enumerate(routes)
        )
        self.in_match_order = tuple(sorted(self.routes, key=_specificity))
        self._exact: dict[bytes, list[tuple[bytes, Route]]] = {}
        self._suffixes: dict[bytes, list[tuple[bytes, Route]]] = {}
        self._any_host: list[tuple[bytes, Route]] = []
        for route in self.in_match_order:
            self._paths_of(route.settings.host).append((route.settings.path.encode(), route))

    def __repr__(self) -> str:
        return f"Router({[route.name for route in self.in_match_order]!r})"

    def _paths_of(self, host: str) -> list[tuple[bytes, Route]]:
        if host == "*":
            return self._any_host
        if host.startswith("*."):
            return self._suffixes.setdefault(host[1:].lower().encode(), [])
        return self._exact.setdefault(host.lower().encode(), [])

    def match(self, authority: bytes, path: bytes) -> Route | None:
        """The route of a request, `path` without its query; None if no route matches.

        `authority` is as in `RequestHead`: empty matches `*` only.
        """
        if self._exact or self._suffixes:
            host = host_of(authority)
            found = _first(self._exact.get(host, ()), path)
            if found is None and self._suffixes:
                found = self._match_suffix(host, path)
            if found is not None:
                return found
        return _first(self._any_host, path)

    def _match_suffix(self, host: bytes, path: bytes) -> Route | None:
        """Longest suffix first: `.b.example.org` before `.example.org` for `a.b.example.org`."""
        dot = host.find(b".", 1)  # a suffix needs something before it
        while dot != -1:
            found = _first(self._suffixes.get(host[dot:], ()), path)
            if found is not None:
                return found
            dot = host.find(b".", dot + 1)
        return None


def route_name(settings: RouteSettings) -> str:
    """How logs and metrics call a route: host and path, as in the configuration."""
    return f"{settings.host.lower()}{settings.path}"


def host_of(authority: bytes) -> bytes:
    """The host of an authority: without port, in lower case, without the final dot of a full name."""
    host = authority.lower()
    if host.startswith(b"["):
        return host.partition(b"]")[0] + b"]"
    return host.partition(b":")[0].removesuffix(b".")


def _specificity(route: Route) -> tuple[int, int, int, int]:
    """Sorts the most specific first; equal ones stay in the order of the configuration."""
    host, path = route.settings.host, route.settings.path
    rank = 2 if host == "*" else 1 if host.startswith("*.") else 0
    return (rank, -len(host) if rank == 1 else 0, -len(path), route.index)


def _first(paths: Iterable[tuple[bytes, Route]], path: bytes) -> Route | None:
    """The route of the longest prefix; `paths` has the longest first."""
    for prefix, route in paths:
        if path.startswith(prefix) and (
            len(path) == len(prefix) or prefix.endswith(b"/") or path[len(prefix)] == 0x2F
        ):
            return route
        if prefix == b"/":
            return route
    return None
