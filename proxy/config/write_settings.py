"""The settings of writes: what is queued by entity, and what keeps it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from proxy.config.base import MiB, Settings
from proxy.config.values import CookieName, FieldName, Method, PathPrefix
from proxy.writes.front.entities import compile_rule
from proxy.writes.policy import AfterDead

_NEVER_QUEUED: Final = frozenset({"GET", "HEAD", "TRACE", "CONNECT", "PURGE"})
"""Answered from what is stored, or by ourselves: an order of theirs would hold for some of them only."""


def _queued_method(method: str) -> str:
    if method in _NEVER_QUEUED:
        raise ValueError(f"{method} requests are never queued; name methods that change something, as POST")
    return method


QueuedMethod = Annotated[Method, AfterValidator(_queued_method)]


class WriteMode(StrEnum):
    """What a client of a write waits for."""

    PREFER = "prefer"
    SYNC = "sync"
    ASYNC = "async"


class Unmatched(StrEnum):
    """What becomes of a write whose path no entity has."""

    PASS = "pass"
    REFUSE = "refuse"


class OnRunning(StrEnum):
    """What a repetition of a write that has not ended gets."""

    CONFLICT = "conflict"
    ATTACH = "attach"


class ClientGoneRule(StrEnum):
    """What becomes of a write whose client left before it was sent."""

    KEEP = "keep"
    CANCEL = "cancel"


class EntitySettings(Settings):
    """What a write changes, told by its path: writes of one entity are applied one by one, in their order."""

    path: str = "/**"
    """Which paths: `{name}` is one whole segment, `**` at the end any rest."""
    keys: tuple[str, ...] = ()
    """The entities, as text with `{name}` of the path, `{path}`, `{host}`, `{query:name}`, `{header:Name}`, `{json:a.b}`; when empty, the path as far as `path` names it."""
    invalidates: tuple[str, ...] = ()
    """Targets that such a write makes untrue beside its own URL; one whose variables the request does not have is left out."""
    tags: tuple[str, ...] = ()
    """Tags of answers (`Surrogate-Key`, `Cache-Tag`) that it makes untrue; likewise."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        compile_rule(self.path, keys=self.keys, invalidates=self.invalidates, tags=self.tags)
        return self


class RetrySettings(Settings):
    """When a write is tried again, in its place: later ones of its entity wait behind it."""

    max_attempts: PositiveInt = 5
    """Attempts in all."""
    first_s: NonNegativeFloat = 0.2
    """Pause after the first attempt, of which chance takes a part."""
    factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    """Each pause is this many times the last."""
    longest_s: NonNegativeFloat = 30.0
    """No pause is longer, unless the origin's Retry-After is."""
    budget_s: NonNegativeFloat = 60.0
    """No attempt begins later than this after the first one."""


class IdempotencySettings(Settings):
    """The field Idempotency-Key, by which a client may repeat a request without repeating what it does."""

    required: bool = False
    """Whether a write without one is refused with 400."""
    retention_s: PositiveFloat = 86_400.0
    """How long a key is known, and its answer given again."""
    concurrent: OnRunning = OnRunning.CONFLICT
    """A repetition while the first request still runs gets 409 (`conflict`), or its answer when it is there (`attach`)."""


class PrincipalSettings(Settings):
    """Whose a write is: others neither see nor cancel it, and their Idempotency-Keys are others. One of the three."""

    header: FieldName | None = None
    """The value of this request field, which something before us has verified."""
    cookie: CookieName | None = None
    """The value of this cookie."""
    claim: str | None = None
    """This claim of a bearer JWT, as `sub`; its signature is not checked here but by the origin."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.header, self.cookie, self.claim)) != 1:
            raise ValueError("name one of header, cookie and claim")
        return self


class RouteWritesSettings(Settings):
    """Requests that change something, queued by entity: first in, first out, one at a time at the origin."""

    entities: tuple[EntitySettings, ...] = (EntitySettings(),)
    """What a write changes; the first whose path matches counts. Without any, each path is an entity."""
    unmatched: Unmatched = Unmatched.PASS
    """Where none matches: `pass` passes the write through unqueued, `refuse` answers 400."""
    methods: Annotated[tuple[QueuedMethod, ...], Field(min_length=1)] = ("POST", "PUT", "PATCH", "DELETE")
    """Methods that are queued; others are passed through."""
    mode: WriteMode = WriteMode.PREFER
    """`sync` waits for the origin's answer, `async` answers 202 at once, `prefer` waits unless the client says `Prefer: respond-async`."""
    retry: RetrySettings = RetrySettings()
    """When a write is tried again."""
    retry_methods: dict[Method, RetrySettings] = {}
    """The same for single methods."""
    repeat_methods: tuple[Method, ...] = ("PUT", "DELETE")
    """Methods that may be sent again when nobody knows what became of an attempt (RFC 9110 §9.2.2)."""
    origin_idempotent: bool = False
    """Whether the origin knows our Idempotency-Key again and applies such a write once; then every method may."""
    send_key: bool = True
    """Whether the origin is sent an Idempotency-Key: the client's, or the write's id."""
    after_dead: AfterDead = AfterDead.CONTINUE
    """After a write was given up: `continue` with the next of its entity, or `halt` until an operator resumes it."""
    max_concurrency: PositiveInt = 100
    """Writes at the origin at one time."""
    max_lane: PositiveInt = 1000
    """Writes of one entity that may wait; the next one gets 429."""
    max_sync_lane: PositiveInt = 100
    """Of these, those that clients wait for."""
    max_queued: PositiveInt = 100_000
    """Writes of this route that may wait; the next one gets 503."""
    max_body_bytes: PositiveInt = 1 * MiB
    """Largest body of a write, which is held as a whole; a larger one gets 413."""
    max_answer_bytes: NonNegativeInt = 1 * MiB
    """Of an origin's answer, this much is kept to be given again."""
    origin_timeout_s: PositiveFloat = 60.0
    """Longest time from a write's first octet to its answer, and longest that it may still take effect without one."""
    settle_s: NonNegativeFloat | None = None
    """After an attempt of which nobody knows what became, its entity waits this long; null waits `origin_timeout_s`."""
    origin_lag_s: NonNegativeFloat = 0.0
    """After a write the origin's replicas may answer with what was before for this long: such answers are not stored."""
    stale_reads_s: NonNegativeFloat = 0.0
    """How old a stored answer may be beside a write that was answered: 0 is read-your-writes, more spares the origin fetches of hot entities."""
    sync_expires_s: PositiveFloat = 30.0
    """A write that its client waits for and that was not sent within this time gets 503, and never is."""
    async_expires_s: PositiveFloat = 3600.0
    """The same for one that was answered 202; its state is then `expired`."""
    idempotency: IdempotencySettings = IdempotencySettings()
    """Idempotency-Key of clients; needs `writes.journal`."""
    principal: PrincipalSettings | None = None
    """Whose a write is; without it whoever has its id, which cannot be guessed, may see and cancel it."""
    client_gone: ClientGoneRule = ClientGoneRule.KEEP
    """A client that leaves before its write was sent: `keep` sends it all the same (`sendBeacon` leaves at once), `cancel` does not."""


class JournalSettings(Settings):
    """The journal of queued writes: what was promised to a client outlives the process in it."""

    directory: Path
    """Where it lies: a directory of its own on a local disk, used by one Lockgate at a time."""
    key_file: Path | None = None
    """The key that requests and answers are encrypted with, 64 hexadecimal digits; else one is made beside the journal."""
    shards: Annotated[int, Field(ge=1, le=4096)] = 64
    """Into how many numbered sequences of events the keys are divided; fixed for the life of a journal."""
    spool_above_bytes: PositiveInt = 1 * MiB
    """A larger body gets a file of its own."""
    min_free_bytes: NonNegativeInt = 256 * MiB
    """Room that is left free on the file system; below it no write is taken in, so that those that run can end."""
    retry_after_s: PositiveFloat = 5.0
    """When the disk is full, one write may try again after this long."""
    retention_s: PositiveFloat = 86_400.0
    """How long the end of a write can be asked for."""
    max_results: PositiveInt = 1_000_000
    """Ends that are kept; the oldest goes first."""
    event_retention_s: PositiveFloat = 86_400.0
    """How long an event can be read again."""
    max_events: PositiveInt = 1_000_000
    """Events that are kept; the oldest goes first."""
    max_dead_letters: PositiveInt = 10_000
    """Dead letters that are kept for an operator; the oldest goes first, and the log says so."""


class WritesSettings(Settings):
    """Writes of all routes together, and what keeps them."""

    path: PathPrefix = "/_writes"
    """Where clients ask what became of a write, on every listener: `{path}/ID`."""
    max_queued: PositiveInt = 100_000
    """Writes that have not ended, in all; the next one gets 503."""
    max_bytes: PositiveInt = 256 * MiB
    """Bodies of these writes, all together, which are held in memory, those that are still being received
    included; what comes on top gets 503."""
    max_running: PositiveInt = 1000
    """Writes at origins at one time, in all."""
    max_waits: PositiveInt = 10_000
    """Clients that may wait for the end of a write by `GET {path}/ID?wait=S` at one time."""
    longest_wait_s: PositiveFloat = 60.0
    """Longest such wait; also of `Prefer: respond-async, wait=S`."""
    shutdown_timeout_s: NonNegativeFloat = 10.0
    """At the end, writes at origins get this long to be answered; what is kept in the journal goes on at the next start."""
    journal: JournalSettings | None = None
    """Keep writes on disk: then clients may be answered 202 and repeat by Idempotency-Key. Without it they live in memory, each as long as its client waits."""
