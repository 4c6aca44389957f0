"""Which route a request takes.

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

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.config.settings import RouteSettings


@dataclass(frozen=True, slots=True)
class Route:
    """A route in use. `index` is its place in the configuration, `name` is stable across reloads."""

    index: int
    name: str
    settings: RouteSettings


class Router:
    """Chooses among routes.

    `routes` has them in the order of the configuration, `in_match_order` as they are tried.
    """

    __slots__ = ("_any_host", "_exact", "_suffixes", "in_match_order", "routes")

    def __init__(self, routes: Iterable[RouteSettings]) -> None:
        self.routes = tuple(
            Route(index, route_name(settings), settings) for index, settings in enumerate(routes)
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
