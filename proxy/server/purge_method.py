"""Answers the method PURGE: the URL that it asks for is taken out of the cache, under all its keys.

As Varnish and nginx have it, and as the purging plugins of content systems send it; `Fastly-Soft-Purge: 1`
makes stale instead. Anything that covers more than one URL is for the admin listener.
"""

from __future__ import annotations

import json

from proxy.coalesce.answer import Outcome
from proxy.errors import Forbidden, MethodNotAllowed, ProxyError
from proxy.http.fields import Pair
from proxy.http.rendering import phrase_of, render_fields
from proxy.policy.purge_rights import PurgeRefusal, may_purge
from proxy.policy.request_checks import KNOWN_METHODS
from proxy.server.exchange import Exchange
from proxy.server.own_answers import explanation
from proxy.server.prepared import Prepared
from proxy.server.purger import Purger

SOFT_FIELD = b"fastly-soft-purge"

_ALLOW: Pair = (b"Allow", ", ".join(sorted(KNOWN_METHODS - {"PURGE"})).encode())


class PurgeMethod:
    """Answers PURGE under one configuration."""

    def __init__(self, purger: Purger) -> None:
        self._purger = purger

    async def answer(self, exchange: Exchange, prepared: Prepared) -> None:
        """Purge and answer with the count. Raises: ClientGone."""
        try:
            self._check(exchange, prepared)
            soft = prepared.request.fields.get(SOFT_FIELD) == b"1"
            receipt = self._purger.purge_target(prepared.request, soft=soft)
            entries = await self._purger.settled(receipt)
        except ProxyError as error:
            exchange.reason = str(error)
            extra = (_ALLOW,) if isinstance(error, MethodNotAllowed) else ()
            _write(exchange, error.status, problem(error), b"application/problem+json", extra)
            return
        exchange.outcome = Outcome.ANSWERED
        answer = {"kind": "url", "soft": soft, "entries": entries}
        _write(exchange, 200, answer, b"application/json")

    def _check(self, exchange: Exchange, prepared: Prepared) -> None:
        settings = prepared.route.settings.purge
        fields, peer = prepared.request.fields, exchange.client
        refusal = may_purge(fields, settings=settings, peer=peer, trusted=exchange.trusted)
        if refusal is PurgeRefusal.DISABLED:
            raise MethodNotAllowed("PURGE is not answered here; the route's purge.enabled switches it on")
        if refusal is PurgeRefusal.NETWORK:
            raise Forbidden("this client may not purge; the route's purge.networks say who may")


def problem(error: ProxyError) -> dict[str, object]:
    """The error as a problem document (RFC 9457)."""
    return {
        "type": "about:blank",
        "title": phrase_of(error.status),
        "status": error.status,
        "detail": explanation(error),
    }


def _write(
    exchange: Exchange,
    status: int,
    document: dict[str, object],
    content_type: bytes,
    extra: tuple[Pair, ...] = (),
) -> None:
    text = json.dumps(document).encode() + b"\n"
    pairs = ((b"Content-Type", content_type), (b"Cache-Control", b"no-store"), *extra)
    exchange.writer.whole(status, render_fields(pairs), (text,), length=len(text))
