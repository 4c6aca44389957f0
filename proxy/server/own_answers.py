"""Answers of our own: errors as a short text, with what the client may do about it."""

from __future__ import annotations

from proxy.errors import (
    ClientError,
    NotStored,
    OriginError,
    OriginTimeout,
    ProxyError,
    RouteNotFound,
    WaitTimedOut,
)
from proxy.http.fields import Pair
from proxy.http.rendering import phrase_of, render_fields

_TOLD = {
    RouteNotFound: "no route of this proxy takes this host and path",
    NotStored: "only-if-cached was asked for, and nothing stored may answer it",
    OriginTimeout: "the origin did not answer in time",
    WaitTimedOut: "the origin did not answer in time",
    OriginError: "the origin gave no answer that can be passed on",
}


def explanation(error: ProxyError) -> str:
    """What a client is told. Of its own mistakes all, of the origin's side only the kind."""
    if isinstance(error, ClientError):
        return str(error)
    for kind, told in _TOLD.items():
        if isinstance(error, kind):
            return told
    return "the request could not be answered now" if error.retryable else "internal error"


def own_answer(error: ProxyError, *, retry_after_s: int, extra: tuple[Pair, ...] = ()) -> tuple[bytes, bytes]:
    """Field lines and body of the answer for this error."""
    body = f"{error.status} {phrase_of(error.status)}: {explanation(error)}\n".encode()
    pairs: list[Pair] = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Cache-Control", b"no-store")]
    if error.retryable:
        pairs.append((b"Retry-After", b"%d" % retry_after_s))
    return render_fields([*pairs, *extra]), body
