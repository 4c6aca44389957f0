"""What a configuration will do, in words, and what in it deserves a second look (`lockgate check`)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from proxy.config.base import Settings
from proxy.config.reference import written
from proxy.config.settings import (
    Config,
    CookieRule,
    ListenSettings,
    OriginSettings,
    RouteSettings,
    SetCookieRule,
)
from proxy.routing import Router


def explained(config: Config) -> list[str]:
    """The lines of a short explanation: listeners, origins, routes in the order they are tried."""
    return [
        *_titled("Listens on", (_listener(listen) for listen in config.listen)),
        *_titled("Admin", [_admin(config)]),
        *_titled("Origins", (_origin(name, origin) for name, origin in config.origins.items())),
        *_titled("Routes, most specific first", _routes(config)),
        *_titled("Cache", [_cache(config)]),
    ]


def _titled(title: str, lines: Iterator[str] | list[str]) -> Iterator[str]:
    yield f"{title}:"
    yield from (f"  {line}" for line in lines)


def _listener(listen: ListenSettings) -> str:
    scheme = "https" if listen.tls else "http"
    trusted = ", ".join(listen.trusted_proxies)
    return f"{listen.address} ({scheme})" + (f", trusting X-Forwarded-* from {trusted}" if trusted else "")


def _admin(config: Config) -> str:
    return config.admin.address if config.admin.enabled else "off"


def _origin(name: str, origin: OriginSettings) -> str:
    backup = f", backup {', '.join(origin.backup)}" if origin.backup else ""
    return f"{name}: {', '.join(origin.addresses)}{backup}; at most {origin.max_concurrency} requests at once"


def _routes(config: Config) -> Iterator[str]:
    for route in Router(config.routes).in_match_order:
        settings = route.settings
        changed = ", ".join(_changes(settings))
        yield f"{route.name} -> {settings.origin}" + (f" ({changed})" if changed else "")


def _changes(route: RouteSettings) -> Iterator[str]:
    """What a route does otherwise than by default, as `name: value`."""
    for name, value in _differences(route, ""):
        if name not in {"origin", "host", "path"}:
            yield f"{name}: {written(name, value)}"


def _differences(settings: Settings, path: str) -> Iterator[tuple[str, object]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value == field.default:
            continue
        if isinstance(value, Settings):
            yield from _differences(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _cache(config: Config) -> str:
    cache = config.cache
    total, one = written("max_bytes", cache.max_bytes), written("max_bytes", cache.max_entry_bytes)
    return f"{total} in memory, bodies up to {one}, {cache.policy.value}"


def warnings_of(config: Config) -> list[str]:
    """What is allowed but deserves a second look, each with the setting's path."""
    return [
        *_exposure(config),
        *_missing_files(config),
        *(line for name, origin in config.origins.items() for line in _origin_warnings(name, origin)),
        *(line for index, route in enumerate(config.routes) for line in _route_warnings(index, route)),
        *_unused(config),
    ]


def _exposure(config: Config) -> Iterator[str]:
    if config.admin.enabled and not _is_local(config.admin.address):
        yield (
            f"admin.address is {config.admin.address}, which others may reach: it shows what is asked for; "
            "use 127.0.0.1"
        )
    for index, listen in enumerate(config.listen):
        if config.admin.enabled and listen.address == config.admin.address:
            yield f"listen[{index}].address and admin.address are both {listen.address}: one will fail"
        everybody = [network for network in listen.trusted_proxies if network in {"0.0.0.0/0", "::/0"}]
        if everybody:
            yield (
                f"listen[{index}].trusted_proxies has {everybody[0]}: any client can claim any address; "
                "name your proxies' networks"
            )


def _is_local(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _missing_files(config: Config) -> Iterator[str]:
    for index, listen in enumerate(config.listen):
        if listen.tls is not None:
            yield from _missing(f"listen[{index}].tls.certificate", listen.tls.certificate)
            yield from _missing(f"listen[{index}].tls.key", listen.tls.key)
    for name, origin in config.origins.items():
        for setting in ("ca_file", "client_certificate", "client_key"):
            yield from _missing(f"origins.{name}.tls.{setting}", getattr(origin.tls, setting))


def _missing(setting: str, path: Path | None) -> Iterator[str]:
    if path is not None and not path.is_file():
        yield f"{setting} is {path}, and there is no such file here: serving will fail until there is"


def _origin_warnings(name: str, origin: OriginSettings) -> Iterator[str]:
    if not origin.tls.verify:
        yield f"origins.{name}.tls.verify is false: anybody on the way can play the origin; for tests only"
    schemes = {urlsplit(address).scheme for address in (*origin.addresses, *origin.backup)}
    if origin.tls.model_fields_set and "https" not in schemes:
        yield f"origins.{name}.tls has no effect: no address is https"
    if (origin.tls.client_certificate is None) != (origin.tls.client_key is None):
        yield f"origins.{name}.tls has one of client_certificate and client_key; both are needed"


def _route_warnings(index: int, route: RouteSettings) -> Iterator[str]:
    place = f"routes[{index}] ({route.host}{route.path})"
    cache = route.cache
    if cache.lifetime_s is not None:
        yield (
            f"{place}: cache.lifetime_s is {written('lifetime_s', cache.lifetime_s)}: it replaces what the "
            f"origin says, for statuses {', '.join(map(str, cache.lifetime_statuses))}"
        )
    if route.set_cookie is SetCookieRule.IGNORE:
        yield f"{place}: set_cookie is ignore: one client's cookie is given to everybody; strip removes it"
    if route.cookies is CookieRule.KEY:
        yield f"{place}: cookies is key: clients share only if all of their cookies are equal"
    if cache.grace_s > cache.max_stale_s:
        yield f"{place}: cache.grace_s is above cache.max_stale_s, which caps it"
    if not cache.enabled and route.coalesce.model_fields_set:
        yield f"{place}: coalesce has no effect while cache.enabled is false"


def _unused(config: Config) -> Iterator[str]:
    used = {route.origin for route in config.routes}
    for name in config.origins:
        if name not in used:
            yield f"origins.{name} is used by no route"
