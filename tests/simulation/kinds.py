"""What the origin may answer, and who may have it: the rules once more, in a few plain facts.

This is the oracle. It knows nothing of `proxy.policy`: each kind of answer is written by hand with what
follows from DESIGN.md, D3, so that a mistake there is not repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.http.fields import Pair


class For(StrEnum):
    """Whom an answer is for, besides the client whose request it answers."""

    ALL = "all"
    WITHOUT_AUTHORIZATION = "without-authorization"
    WITHOUT_CREDENTIALS = "without-credentials"
    """Neither Cookie nor Authorization, on either side."""
    THOSE_WAITING = "those-waiting"
    """The same, and only if they had asked when the head came."""
    THOSE_WAITING_WITHOUT_AUTHORIZATION = "those-waiting-without-authorization"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Kind:
    """An answer: its fields, and what they mean.

    `lifetime_s` counts from the request for it. `stale_s` is how far past that it may be served: (while a
    revalidation runs behind, when the origin fails, when the client says so). `marks` says that the next
    requests for the key do not wait.
    """

    name: str
    fields: tuple[Pair, ...] = ()
    status: int = 200
    whom: For = For.NOBODY
    lifetime_s: float = 0.0
    age_s: float = 0.0
    stale_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stored: bool = False
    validator: bool = True
    varies: bool = False
    marks: bool = False
    closes: bool = False
    on_validation: str = "same"
    """What a revalidation of it is told: `same`, `private` (304 and private), `other` (304 for another)."""

    def __repr__(self) -> str:
        return f"kinds.{self.name.upper().replace('-', '_')}"


def _control(value: bytes) -> tuple[Pair, ...]:
    return ((b"Cache-Control", value),)


ROUTE_STALE_IF_ERROR_S = 30.0
MAX_STALE_S = 100.0
_BY_ROUTE = (0.0, ROUTE_STALE_IF_ERROR_S, MAX_STALE_S)
LIVELY = b"public, max-age=4, stale-while-revalidate=3, stale-if-error=20"

FRESH = Kind(
    "fresh",
    _control(b"max-age=5"),
    whom=For.WITHOUT_AUTHORIZATION,
    lifetime_s=5,
    stale_s=_BY_ROUTE,
    stored=True,
)
LIVE = Kind("live", _control(LIVELY), whom=For.ALL, lifetime_s=4, stale_s=(3, 20, MAX_STALE_S), stored=True)
STRICT = Kind("strict", _control(b"s-maxage=3, must-revalidate"), whom=For.ALL, lifetime_s=3, stored=True)
VARY = Kind(
    "vary",
    (*_control(b"max-age=5"), (b"Vary", b"X-Lang")),
    whom=For.WITHOUT_AUTHORIZATION,
    lifetime_s=5,
    stale_s=_BY_ROUTE,
    stored=True,
    varies=True,
)
HEURISTIC = Kind("heuristic", whom=For.WITHOUT_CREDENTIALS, lifetime_s=5, stale_s=_BY_ROUTE, stored=True)
"""Last-Modified 50 seconds before the answer."""
ZERO = Kind("zero", _control(b"public, max-age=0"), whom=For.THOSE_WAITING, stale_s=_BY_ROUTE, stored=True)
PRIVATE = Kind("private", _control(b"private, max-age=5"), marks=True)
NO_STORE = Kind("no-store", _control(b"no-store"), marks=True)
SET_COOKIE = Kind("set-cookie", (*_control(b"max-age=5"), (b"Set-Cookie", b"id=1")), marks=True)
VARY_STAR = Kind("vary-star", (*_control(b"max-age=5"), (b"Vary", b"*")), marks=True)
UNMARKED = Kind("unmarked", validator=False, marks=True)
CLOSE = Kind("close", _control(b"max-age=5"), marks=True, closes=True)
NO_CACHE = Kind("no-cache", _control(b"no-cache, max-age=5"), stored=True, marks=True)
OLD = Kind(
    "old",
    (*_control(b"max-age=5"), (b"Age", b"10")),
    whom=For.THOSE_WAITING_WITHOUT_AUTHORIZATION,
    lifetime_s=5,
    age_s=10,
    stale_s=_BY_ROUTE,
    stored=True,
)
"""Stale when it comes."""
ERROR = Kind("error", status=503, validator=False)
ERROR_NO_STORE = Kind("error-no-store", _control(b"no-store"), status=500, validator=False)
ERROR_FRESH = Kind(
    "error-fresh",
    _control(b"max-age=2"),
    status=503,
    whom=For.WITHOUT_AUTHORIZATION,
    lifetime_s=2,
    stale_s=_BY_ROUTE,
    stored=True,
    validator=False,
)
UNAUTHORIZED = Kind("unauthorized", status=401, validator=False)
FORBIDDEN = Kind("forbidden", _control(b"no-store"), status=403, validator=False)
MISSING = Kind("missing", status=404, validator=False)
TURNED_PRIVATE = Kind(
    "turned-private",
    _control(b"max-age=5, stale-while-revalidate=5"),
    whom=For.WITHOUT_AUTHORIZATION,
    lifetime_s=5,
    stale_s=(5, ROUTE_STALE_IF_ERROR_S, MAX_STALE_S),
    stored=True,
    on_validation="private",
)
MISMATCHED = Kind(
    "mismatched",
    _control(b"max-age=5"),
    whom=For.WITHOUT_AUTHORIZATION,
    lifetime_s=5,
    stale_s=_BY_ROUTE,
    stored=True,
    on_validation="other",
)
REFUSES = Kind("refuses", status=0)
HANGS = Kind("hangs", status=0)
CLOSES_AT_ONCE = Kind("closes-at-once", status=0)

SHARED = (FRESH, LIVE, STRICT, VARY, HEURISTIC, TURNED_PRIVATE, MISMATCHED)
ALONE = (PRIVATE, NO_STORE, SET_COOKIE, VARY_STAR, UNMARKED, CLOSE, NO_CACHE, OLD)
ERRORS = (ERROR, ERROR_NO_STORE, ERROR_FRESH, UNAUTHORIZED, FORBIDDEN, MISSING)
FAILURES = (REFUSES, HANGS, CLOSES_AT_ONCE)
KINDS = (*SHARED, ZERO, *ALONE, *ERRORS, *FAILURES)
BY_NAME = {kind.name: kind for kind in KINDS}
