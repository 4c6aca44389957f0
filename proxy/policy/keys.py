"""Cache keys and variants: which stored response answers which request (RFC 9111 §2, §4, §4.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from proxy.config.settings import CookieRule, KeySettings, RouteSettings
from proxy.http.cookies import cookie_values
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.authority import normal_authority
from proxy.policy.hop_by_hop import hop_by_hop_names
from proxy.policy.rewriting import keyed_target

CacheKey = bytes
Variant = tuple[bytes | None, ...]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CASELESS_LISTS = frozenset({b"accept-encoding", b"accept-language"})
"""Lists whose members are case-insensitive and take spaces around commas and semicolons (RFC 9110 §12.5)."""


def cache_key(route_name: str, request: RequestHead, *, route: RouteSettings) -> CacheKey:
    """What names the response to a GET of this target by this route; HEAD shares it.

    Scheme, authority as it is forwarded, target as a GET of it is forwarded, route; then what the route
    adds of fields and cookies, and the Cookie lines where they belong to the key: each as a netstring, so
    that no octets in one part pass for a part of their own. The route is in it, since two routes may send
    one target to different origins or rewrite it.

    Where the route adds fields, `request` must have only those that the origin sees
    (`forwarding.seen_by_origin`): by one that is dropped a stranger would choose whose answer he fills.
    """
    key = key_of_target(route_name, request, route=route)
    if route.key.fields or route.key.cookies:
        key += b"".join(_added_parts(request, route.key))
    if route.cookies is not CookieRule.KEY:
        return key
    return key + b"".join(_netstring(line) for line in request.fields.get_all(b"cookie"))


def key_of_target(route_name: str, request: RequestHead, *, route: RouteSettings) -> CacheKey:
    """What every key of this target begins with; the whole key unless `adds_to_key`."""
    return b"%b%b%b%b" % (
        _netstring(request.scheme.encode()),
        _netstring(normal_authority(request.authority, scheme=request.scheme)),
        _netstring(keyed_target(request, route=route)),
        _route_part(route_name, route.host, route.path),
    )


def adds_to_key(route: RouteSettings) -> bool:
    """Whether one target may have several keys on this route."""
    return route.cookies is CookieRule.KEY or bool(route.key.fields or route.key.cookies)


def _added_parts(request: RequestHead, settings: KeySettings) -> Iterator[bytes]:
    """Name and value of each, marked by its kind; a value that is absent differs from an empty one."""
    unseen = hop_by_hop_names(request.fields)
    for name in settings.fields:
        lower = name.lower().encode()
        value = None if lower in unseen else _normal_value(lower, request)
        yield b"f" + _netstring(lower) + (b"~" if value is None else _netstring(value))
    for name in settings.cookies:
        values = cookie_values(request.fields, name.encode())
        yield b"c" + _netstring(name.encode()) + b"~".join(map(_netstring, values)) + b";"


def _netstring(part: bytes) -> bytes:
    return b"%d:%b," % (len(part), part)


@lru_cache(maxsize=4096)
def _route_part(name: str, host: str, path: str) -> bytes:
    return _netstring(b"".join(_netstring(part.encode()) for part in (name, host.lower(), path)))


def vary_names(response: ResponseHead) -> tuple[bytes, ...] | None:
    """The request fields that the response varies on: lower case, sorted, each once.

    Empty if there are none; None for `*`, and for what cannot be read, which then matches nothing.

    Source: RFC 9110 §12.5.5, RFC 9111 §4.1.
    """
    if b"vary" not in response.fields:
        return ()
    names = {name.lower() for name in response.fields.members(b"vary")}
    if b"*" in names or not all(_TOKEN.fullmatch(name) for name in names):
        return None
    return tuple(sorted(names))


def variant_of(names: tuple[bytes, ...], request: RequestHead) -> Variant:
    """The request's values of the fields that a response varies on; None for an absent one.

    Normalised only as RFC 9111 §4.1 allows: lines are joined, space around them goes, and where the
    field's own rules make case and inner space meaningless, these go too. A field that Connection names
    is absent, since the origin does not see it: else a client could have the answer to a request without
    the field stored for those that have it. (For more of that kind see `forwarding.seen_by_origin`.)
    """
    if not names:
        return ()
    unseen = hop_by_hop_names(request.fields)
    return tuple(None if name in unseen else _normal_value(name, request) for name in names)


def _normal_value(name: bytes, request: RequestHead) -> bytes | None:
    lines = request.fields.get_all(name)
    if not lines:
        return None
    value = b", ".join(line.strip(b" \t") for line in lines)
    return _without_list_space(value.lower()) if name in _CASELESS_LISTS else value


def _without_list_space(value: bytes) -> bytes:
    """No space around commas and semicolons. By a pattern a run of spaces would take the square of it."""
    for separator in (b",", b";"):
        if separator in value:
            value = separator.join([part.strip(b" \t") for part in value.split(separator)])
    return value
