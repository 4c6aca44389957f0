"""A client's request as one worker tells another of it: what a head on their connection cannot carry.

Host and the version are those of the connection between them there, and the client's address is nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.policy.forwarding import ClientAddress


def told_of(request: RequestHead, client: ClientAddress) -> dict[str, Any]:
    """What is told beside the head, as JSON values."""
    host = request.fields.get(b"host")
    return {
        "ip": client.ip,
        "scheme": client.scheme,
        "trusted": client.trusted,
        "authority": request.authority.decode("latin-1"),
        "host": None if host is None else host.decode("latin-1"),
        "version": request.minor_version,
    }


def request_told(
    told: Mapping[str, Any], *, method: str, target: str, fields: Sequence[Pair]
) -> tuple[RequestHead, ClientAddress]:
    """The request and who sent it; `fields` are those that the head carried, without Host.

    Raises: KeyError, TypeError, AttributeError if something is missing.
    """
    host: tuple[Pair, ...] = ()
    if told["host"] is not None:
        host = ((b"Host", told["host"].encode("latin-1")),)
    request = RequestHead(
        method,
        target.encode("utf-8", "surrogateescape"),
        Fields((*host, *fields)),
        scheme=str(told["scheme"]),
        authority=told["authority"].encode("latin-1"),
        minor_version=int(told["version"]),
    )
    return request, ClientAddress(told["ip"], request.scheme, bool(told["trusted"]))
