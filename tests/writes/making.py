"""Writes for tests: every part has a default."""

from __future__ import annotations

from itertools import count

from proxy.http.fields import Fields
from proxy.writes.write import Idempotency, Mode, Write

_numbers = count(1)


def make_write(
    *keys: str,
    write_id: str = "",
    route: str = "*/",
    shard: int = 0,
    method: str = "PUT",
    target: bytes = b"/posts/1",
    fields: Fields | None = None,
    body: bytes = b"body",
    mode: Mode = Mode.ASYNC,
    accepted_at: float = 0.0,
    not_after: float = 4e9,
    principal: str = "",
    client_key: bytes | None = None,
    idempotency: Idempotency | None = None,
) -> Write:
    """A write of `keys`, of `/posts/1` without any."""
    return Write(
        id=write_id or f"w{next(_numbers):08}",
        route=route,
        keys=tuple(sorted(set(keys))) or ("/posts/1",),
        shard=shard,
        method=method,
        target=target,
        forward_target=target,
        fields=Fields([(b"Host", b"origin.example")]) if fields is None else fields,
        body=body,
        mode=mode,
        accepted_at=accepted_at,
        not_after=not_after,
        authority=b"example.org",
        principal=principal,
        client_key=client_key,
        idempotency=idempotency,
    )
