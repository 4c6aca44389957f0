"""From a client's request to a write, and to what the client is promised.

Nothing is waited for here: between the last octet of a request and its write's place in the queue nobody else
comes in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from proxy.clock import Clock
from proxy.config.write_settings import RouteWritesSettings, WriteMode, WritesSettings
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest
from proxy.policy.forwarding import without_other_urls
from proxy.server.prepared import Prepared
from proxy.server.writes.home import WritesHome
from proxy.server.writes.routes import WriteRoute
from proxy.writes.front.bearer_token import expiry_of
from proxy.writes.front.idempotency_key import fingerprint, idempotency_key
from proxy.writes.front.prefer import Preferences, preferences, without_ours
from proxy.writes.front.principal import principal_of
from proxy.writes.front.write_ids import shard_of
from proxy.writes.write import Idempotency, Mode, Write


@dataclass(slots=True)
class Promise:
    """What the client is given: whether it waits for the end, and how long (None: as long as it takes)."""

    mode: Mode
    wait_s: float | None
    preferred: bool = False


class WriteMaker:
    """Makes writes of requests under one configuration."""

    def __init__(self, settings: WritesSettings, *, home: WritesHome, clock: Clock) -> None:
        self._settings = settings
        self._home = home
        self._clock = clock

    def __repr__(self) -> str:
        return f"<WriteMaker for {self._home!r}>"

    def make(
        self, prepared: Prepared, route: WriteRoute, octets: bytes, forward: ForwardRequest
    ) -> tuple[Write, Promise]:
        """A write accepted now. `octets` is the body, `forward` what the origin is to get but for that.

        Raises: EntityMissing, IdempotencyKeyMissing, IdempotencyKeyMalformed.
        """
        request = prepared.request
        entities = route.entities.entities_of(
            request.path, request.target.partition(b"?")[2], request.fields, octets
        )
        assert entities is not None, "the path was looked at before"
        now = self._clock.now()
        preferred = preferences(request.fields)
        promise = self._promise(route, preferred)
        shard = shard_of(entities.keys[0], self._home.shards)
        principal = principal_by(route, request)
        write = Write(
            id=self._home.ids.next_id(now=now, shard=shard),
            route=route.name,
            keys=entities.keys,
            shard=shard,
            method=request.method,
            target=request.target,
            forward_target=forward.target,
            # Another URL would be another entity's, in this one's lane.
            fields=without_other_urls(without_ours(forward.fields).without((b"idempotency-key",))),
            body=octets,
            mode=promise.mode,
            accepted_at=now,
            not_after=_not_after(request, route.settings, promise.mode, preferred, now=now),
            changed_targets=entities.changed_targets,
            changed_tags=entities.changed_tags,
            scheme=request.scheme,
            authority=request.authority,
            principal=principal,
            client_key=request.fields.get(b"idempotency-key"),
            idempotency=self._idempotency(route, request, principal, octets),
        )
        return write, promise

    def _promise(self, route: WriteRoute, preferred: Preferences) -> Promise:
        mode = route.settings.mode
        asks = preferred.respond_async and self._home.keeps
        if mode is WriteMode.SYNC or (mode is WriteMode.PREFER and not asks):
            return Promise(Mode.SYNC, None)
        wait_s = min(preferred.wait_s or 0.0, self._settings.longest_wait_s)
        return Promise(Mode.ASYNC, wait_s, preferred=preferred.respond_async)

    def _idempotency(
        self, route: WriteRoute, request: RequestHead, principal: str, octets: bytes
    ) -> Idempotency | None:
        key = idempotency_key(request.fields, required=route.settings.idempotency.required)
        if key is None or not self._home.keeps:
            return None
        return Idempotency(
            scope=json.dumps([route.name, request.authority.decode("latin-1").lower(), principal]),
            key=key,
            fingerprint=fingerprint(
                request.method, request.target, request.fields.get(b"content-type"), octets
            ),
        )


def _not_after(
    request: RequestHead, settings: RouteWritesSettings, mode: Mode, preferred: Preferences, *, now: float
) -> float:
    expires_s = settings.async_expires_s if mode is Mode.ASYNC else settings.sync_expires_s
    if mode is Mode.SYNC and preferred.wait_s:
        expires_s = min(expires_s, preferred.wait_s)
    not_after = now + expires_s
    credentials_end = expiry_of(request.fields)
    if credentials_end is not None and credentials_end > now:  # else the origin is to say so
        not_after = min(not_after, credentials_end)
    return not_after


def principal_by(route: WriteRoute, request: RequestHead) -> str:
    """Whose a request is, by the rule of this route; empty without one."""
    return "" if route.principal is None else principal_of(request.fields, route.principal)
