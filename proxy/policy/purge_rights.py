"""Who may take things out of the cache with the method PURGE."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from functools import lru_cache

from proxy.config.settings import PurgeSettings
from proxy.http.fields import Fields


class PurgeRefusal(StrEnum):
    """Why a PURGE is not answered."""

    DISABLED = "disabled"
    """The route does not take it."""
    NETWORK = "network"
    """The client is in none of the route's networks."""


def may_purge(fields: Fields, *, settings: PurgeSettings, peer: str, trusted: bool) -> PurgeRefusal | None:
    """Whether the client may purge; None if it may.

    `peer` is the address of the connection, empty on a Unix socket. A trusted proxy has clients of its own,
    and the last one that it names in X-Forwarded-For is the one that asks; if it names none there, but does
    elsewhere, nobody can tell.
    """
    if not settings.enabled:
        return PurgeRefusal.DISABLED
    client: str | None = peer
    if trusted and (b"x-forwarded-for" in fields or b"forwarded" in fields):
        members = fields.members(b"x-forwarded-for")
        client = members[-1].decode("latin-1") if members else None
        if not client:
            return PurgeRefusal.NETWORK
    return None if client is not None and in_networks(client, settings.networks) else PurgeRefusal.NETWORK


@lru_cache(maxsize=1024)
def in_networks(address: str, networks: tuple[str, ...]) -> bool:
    """Whether the address is in one of the networks; an empty one is a Unix socket's."""
    if not address:
        return "unix" in networks
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(one, strict=False) for one in networks if one != "unix")
