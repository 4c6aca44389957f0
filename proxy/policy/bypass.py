"""Which requests a route passes through: neither answered from the cache nor stored nor coalesced."""

from __future__ import annotations

import re
from functools import lru_cache

from proxy.config.settings import BypassRules
from proxy.http.messages import RequestHead


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


def is_bypassed(request: RequestHead, *, rules: BypassRules) -> bool:
    """Whether one of the rules is met."""
    if request.method in rules.methods:
        return True
    if rules.paths and any(_compiled(pattern).search(request.path) for pattern in rules.paths):
        return True
    for name, pattern in rules.headers.items():
        values = request.fields.get_all(name.lower().encode())
        if any(_compiled(pattern).search(value) for value in values):
            return True
    return bool(rules.cookies) and not cookie_names(request).isdisjoint(rules.cookies)


def cookie_names(request: RequestHead) -> frozenset[str]:
    """Names of the request's cookies; they are case-sensitive (RFC 6265 §4.2)."""
    pairs = (pair for line in request.fields.get_all(b"cookie") for pair in line.split(b";"))
    return frozenset(pair.partition(b"=")[0].strip(b" \t").decode("latin-1") for pair in pairs)
