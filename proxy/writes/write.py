"""A write as it is queued, and its end: values that every backend stores and hands on.

They are never changed. Here, and wherever values are made for each write, they are not declared frozen:
freezing costs 0.2 us a field, and sixty fields are filled on a write's way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.http.fields import Fields
from proxy.writes.problem import Problem
from proxy.writes.states import State

_NO_FIELDS = Fields()


class Mode(StrEnum):
    """Whether the client waits for the origin's answer or was told 202."""

    SYNC = "sync"
    ASYNC = "async"


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The client's Idempotency-Key within its scope, and a digest of the request it came with.

    `scope` names route and principal, never the entity: one key is one operation, wherever it leads.
    """

    scope: str
    key: str
    fingerprint: bytes


@dataclass(slots=True)
class Write:
    """One accepted write.

    `keys` are the entities it changes, sorted, each once, at least one; `shard` is that of the first.
    `target` is what the client sent, with `scheme` and `authority` (RequestHead has the terms);
    `forward_target` and `fields` are what the origin is to get, Host included, framing, connection fields
    and Idempotency-Key excepted. `client_key` is the Idempotency-Key as the client wrote it; the origin
    gets that one, else the id. `changed_targets` and `changed_tags` are what it makes untrue beside its own
    target, by the route's templates, filled in when it was accepted. `principal` is who may see and cancel
    it; empty where routes name none. `accepted_at` and `not_after` are wall clock: it is never started
    after `not_after`. `ingress` is the proxy that holds the client.
    """

    id: str
    route: str
    keys: tuple[str, ...]
    shard: int
    method: str
    target: bytes
    forward_target: bytes
    fields: Fields
    body: bytes
    mode: Mode
    accepted_at: float
    not_after: float
    changed_targets: tuple[bytes, ...] = ()
    changed_tags: tuple[bytes, ...] = ()
    scheme: str = "http"
    authority: bytes = b""
    ingress: str = ""
    principal: str = ""
    client_key: bytes | None = None
    idempotency: Idempotency | None = None

    @property
    def durable(self) -> bool:
        """Whether something was promised that must outlive the process."""
        return self.mode is Mode.ASYNC or self.idempotency is not None

    def pack(self) -> None:
        """Take less memory from now on: the same fields, as those are packed that are kept."""
        self.fields = self.fields.packed()


@dataclass(slots=True)
class Result:
    """How a write ended: its final state, and the origin's last answer.

    `status` is None without an answer; `fields` and `body` are as the origin sent them. `complete` is
    False where the body was cut or is above what is kept: it cannot be replayed. `taken` tells whether the
    origin may have taken it, or refused it for good: else the same may be asked of it anew.
    """

    state: State
    attempts: int
    taken: bool
    finished_at: float
    status: int | None = None
    fields: Fields = _NO_FIELDS
    body: bytes = b""
    complete: bool = True
    problem: Problem | None = None
