"""Which protocol switch of a request is passed through (RFC 9110 §7.8)."""

from __future__ import annotations

from proxy.config.settings import RouteSettings
from proxy.http.messages import RequestHead


def passed_upgrade(request: RequestHead, *, route: RouteSettings) -> bytes | None:
    """The first protocol asked for that the route passes through, as sent; None if there is none.

    Upgrade counts only where Connection names it, and never on HTTP/1.0. A protocol that is not passed
    through is treated as not asked for, which RFC 9110 §7.8 allows.
    """
    if b"upgrade" not in request.fields or request.minor_version == 0:
        return None
    if b"upgrade" not in {option.lower() for option in request.fields.members(b"connection")}:
        return None
    for protocol in request.fields.members(b"upgrade"):
        if protocol.lower().decode("latin-1") in route.upgrades:
            return protocol
    return None
