"""What matters in a request head for a plain hit: two heads with the same fold get the same answer.

Every field matters but those of `INDIFFERENT`, of which policy reads no value, and of Cookie it matters that
there is one. Such a field matters all the same where the configuration looks at it. Where the responses of
a key vary on one, the fold is split by its value (`values_of`).

The list names what differs between clients that ask for the same, and nothing that could turn an answer: a
field that is missing here costs speed, one too many would be a wrong answer.
"""

from __future__ import annotations

from collections.abc import Hashable

from aiohttp.http_parser import RawRequestMessage

from proxy.config.settings import Config, CookieRule, RouteSettings
from proxy.http.fields import Pair

INDIFFERENT = frozenset(
    {
        b"accept", b"accept-language", b"cookie", b"dnt", b"priority", b"referer", b"sec-ch-ua",
        b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site",
        b"sec-fetch-user", b"sec-gpc", b"traceparent", b"tracestate", b"upgrade-insecure-requests",
        b"user-agent", b"x-amzn-trace-id", b"x-b3-sampled", b"x-b3-spanid", b"x-b3-traceid",
        b"x-correlation-id", b"x-request-id",
    }
)  # fmt: skip

_MATTERS, _INDIFFERENT, _BY_PRESENCE = 1, 2, 3

_MEMO_NAMES = 1024
"""Names as clients spell them, of which is remembered what they are."""


class Folding:
    """Folds heads under one configuration."""

    def __init__(self, config: Config) -> None:
        looked_at = {name for route in config.routes for name in _looked_at(route)}
        self.indifferent = INDIFFERENT - looked_at
        self._longest = config.limits.max_field_bytes - max(map(len, INDIFFERENT))
        self._max_fields = config.limits.max_fields
        self._kinds: dict[bytes, int] = {}

    def __repr__(self) -> str:
        return f"<Folding but for {len(self.indifferent)} fields>"

    def fold(self, message: RawRequestMessage) -> tuple[Hashable, int] | None:
        """What matters in the head, and how many octets the lines have that do not.

        None if the head is left to `check_request`, which may refuse it.
        """
        kept: list[Pair] = []
        indifferent_bytes = 0
        with_cookie = False
        memo = self._kinds
        for pair in message.raw_headers:
            name, value = pair
            kind = memo.get(name) or self._learn(name)
            if kind == _MATTERS:
                kept.append(pair)
                continue
            if len(value) > self._longest:
                return None
            indifferent_bytes += len(name) + len(value) + 4
            if kind == _BY_PRESENCE:
                with_cookie = True
        if len(message.raw_headers) > self._max_fields:
            return None
        return (message.path, with_cookie, tuple(kept), message.method, message.version), indifferent_bytes

    def _learn(self, name: bytes) -> int:
        lower = name.lower()
        if lower not in self.indifferent:
            kind = _MATTERS
        else:
            kind = _BY_PRESENCE if lower == b"cookie" else _INDIFFERENT
        if len(self._kinds) < _MEMO_NAMES:
            self._kinds[name] = kind
        return kind


def values_of(message: RawRequestMessage, names: frozenset[bytes]) -> tuple[Pair, ...]:
    """The lines of these fields, which are named in lower case."""
    return tuple(pair for pair in message.raw_headers if pair[0].lower() in names)


def _looked_at(route: RouteSettings) -> set[bytes]:
    """The fields whose values decide on this route about more than what is sent to the origin."""
    names = {name.lower().encode() for name in (*route.key.fields, *route.bypass.headers)}
    if route.key.cookies or route.bypass.cookies or route.cookies is not CookieRule.FORWARD:
        names.add(b"cookie")
    return names
