"""Heads of requests and responses as frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.http.fields import Fields


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request head that passed every check of `proxy.policy.request_checks`.

    `target` is the request target in origin form, the exact bytes that came (`/a?` stays `/a?`), or `*`.
    `authority` is the host the client means: that of an absolute-form target, else Host; empty if an
    HTTP/1.0 client sent none.
    """

    method: str
    target: bytes
    fields: Fields
    scheme: str = "http"
    authority: bytes = b""
    minor_version: int = 1

    @property
    def path(self) -> bytes:
        """The target up to the query."""
        return self.target.partition(b"?")[0]


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response head; `fields` as received, or as sent less framing and connection fields."""

    status: int
    fields: Fields
    reason: bytes = b""
    minor_version: int = 1
