"""What made a cache key other than the URL that was asked for: told, to explain a miss."""

from __future__ import annotations

from proxy.config.settings import CookieRule, RouteSettings
from proxy.http.messages import RequestHead
from proxy.policy.key_parts import KeyParts


def key_changes(
    request: RequestHead, seen: RequestHead, parts: KeyParts, *, route: RouteSettings
) -> tuple[str, ...]:
    """A sentence for each difference; `seen` is the request as the origin sees it."""
    return (*_of_url(request, parts), *_of_additions(parts, route), *_of_fields(request, seen))


def _of_url(request: RequestHead, parts: KeyParts) -> list[str]:
    told = []
    if request.authority != parts.authority:
        told.append(f"host {_text(request.authority)} counts as {_text(parts.authority)}")
    path, _, query = request.target.partition(b"?")
    keyed_path, _, keyed_query = parts.target.partition(b"?")
    if path != keyed_path:
        told.append(f"path {_text(path)} is asked as {_text(keyed_path)}: the route's rewrite")
    if query != keyed_query or (b"?" in request.target) != (b"?" in parts.target):
        told.append(f"query {_text(query)!r} is asked as {_text(keyed_query)!r}: the route's query")
    return told


def _of_additions(parts: KeyParts, route: RouteSettings) -> list[str]:
    told = [f"field {_text(name)} is part of it: the route's key.fields" for name, _ in parts.fields]
    told += [f"cookie {_text(name)} is part of it: the route's key.cookies" for name, _ in parts.cookies]
    if route.cookies is CookieRule.KEY:
        told.append("the whole Cookie field is part of it: the route's cookies")
    return told


def _of_fields(request: RequestHead, seen: RequestHead) -> list[str]:
    """Fields that do not reach the origin as they came select no variant."""
    changed = sorted(
        _text(name)
        for name in request.fields.names()
        if name != b"host" and request.fields.get_all(name) != seen.fields.get_all(name)
    )
    return [f"field {name} does not reach the origin as it came" for name in changed]


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")
