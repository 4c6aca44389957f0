"""Every setting: its unit, its default, one sentence. No other module reads YAML or the environment.

The models are nested as in the YAML file. The settings page (`docs/settings.md`), the JSON Schema
(`lockgate schema`) and `config/reference.yaml` are made from, or checked against, these docstrings.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from proxy.config.base import GiB, MiB, Settings
from proxy.config.values import (
    BearerToken,
    CookieName,
    FieldName,
    FieldValue,
    Host,
    HostHeader,
    ListenAddress,
    Method,
    Network,
    OriginAddress,
    ParameterPattern,
    PathPrefix,
    Protocol,
    Regex,
    RuleFieldName,
    StatusPattern,
    TypePattern,
)
from proxy.config.write_settings import RouteWritesSettings, WriteMode, WritesSettings


class TlsListenSettings(Settings):
    """The certificate of a TLS listener; both files are read again when they change."""

    certificate: Path
    """PEM file with the certificate chain."""
    key: Path
    """PEM file with the private key."""
    check_interval_s: PositiveFloat = 10.0
    """How often the files are looked at for a new certificate."""


class ListenSettings(Settings):
    """One listening socket."""

    address: ListenAddress
    """`HOST:PORT`, `[IPV6]:PORT` or `unix:/path`; port 0 takes a free one."""
    tls: TlsListenSettings | None = None
    """Serve HTTPS with this certificate."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks (or `unix`) whose `X-Forwarded-*` and `Forwarded` are believed and extended; from others they are dropped."""
    backlog: PositiveInt = 4096
    """Connections the kernel queues before we accept them."""


class AdminSettings(Settings):
    """The admin listener: health, metrics, statistics, purging, explain. Keep it off public networks."""

    enabled: bool = True
    """Whether it runs at all."""
    address: ListenAddress = "127.0.0.1:9901"
    """Where it listens."""
    token: BearerToken | None = None
    """Bearer token that purging, explain and writes ask for, from the environment as `${LOCKGATE_ADMIN_TOKEN}`; without one they are refused where others can reach the address."""
    request_rate: PositiveFloat = 100.0
    """Purges, explanations and orders about writes that are taken a second; more get 429."""


class AccessLogSettings(Settings):
    """One JSON line an exchange."""

    enabled: bool = True
    """Whether exchanges are logged."""
    path: Path | None = None
    """File to append to; standard output when absent. Opened again on SIGHUP."""
    hit_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the fresh hits that are logged, evenly spread; everything else always is. Counters are whole."""


class LimitsSettings(Settings):
    """What clients may ask of us."""

    max_line_bytes: Annotated[int, Field(ge=256, le=1 * MiB)] = 8190
    """Longest request target; longer ones get 414. Keep it at or below the origin's limit."""
    max_field_bytes: Annotated[int, Field(ge=256, le=1 * MiB)] = 8190
    """Longest header field; longer ones get 431."""
    max_fields: PositiveInt = 100
    """Header fields in one head; more get 431."""
    max_head_bytes: Annotated[int, Field(ge=1024, le=1 * MiB)] = 65536
    """Octets of one whole head; more get 431."""
    head_timeout_s: PositiveFloat = 15.0
    """Time for a client to send a whole head, from its first octet (from the accept for the first one); then 408."""
    idle_timeout_s: PositiveFloat = 75.0
    """A connection without a request is closed after this."""
    body_timeout_s: PositiveFloat = 60.0
    """Longest pause while a client sends its body; then 408."""
    write_timeout_s: PositiveFloat = 60.0
    """A client that takes nothing of its answer for this long is cut off."""
    max_connections: PositiveInt = 20_000
    """Client connections in all; further ones are closed at once."""
    max_connections_per_client: NonNegativeInt = 0
    """Connections of one client address; 0 sets no limit."""
    max_pipelined: PositiveInt = 64
    """Requests of one connection that are read ahead before reading pauses."""


class OriginTlsSettings(Settings):
    """How an https origin is verified."""

    verify: bool = True
    """Whether certificate and name are checked; switch off for tests only."""
    ca_file: Path | None = None
    """PEM file of the authorities to trust; the system's when absent."""
    server_name: str | None = None
    """Name for SNI and verification, where it is not the address's host."""
    client_certificate: Path | None = None
    """PEM file with our certificate, for origins that ask for one."""
    client_key: Path | None = None
    """PEM file with our private key."""


class OriginSettings(Settings):
    """One origin: where it is, how much it may be asked at once, how long we wait."""

    addresses: Annotated[tuple[OriginAddress, ...], Field(min_length=1)]
    """`http://host:port`, `https://host:port` or `unix:/path`; requests go to the one with the fewest outstanding."""
    backup: tuple[OriginAddress, ...] = ()
    """Addresses used only while every one in `addresses` is left out."""
    tls: OriginTlsSettings = OriginTlsSettings()
    """Verification of https addresses."""
    max_concurrency: PositiveInt = 100
    """Requests at the origin at one time, from sending to the end of the answer; upgrades and event streams count until their head."""
    max_queue: NonNegativeInt = 20_000
    """Requests that wait for a free slot; the next one is refused with 503."""
    queue_timeout_s: PositiveFloat = 60.0
    """Longest wait for a free slot; then 503."""
    max_idle_connections: NonNegativeInt = 256
    """Kept connections over all its addresses."""
    idle_timeout_s: PositiveFloat = 15.0
    """A kept connection is closed after this; keep it below the origin's own limit."""
    connect_timeout_s: PositiveFloat = 5.0
    """Time to connect, TLS included."""
    first_byte_timeout_s: PositiveFloat = 60.0
    """Time from the request (its last octet) to the response head."""
    between_bytes_timeout_s: PositiveFloat = 60.0
    """Longest pause inside a response body."""
    expect_timeout_s: PositiveFloat = 1.0
    """An origin that does not answer `Expect: 100-continue` for this long is sent the body."""
    retry: bool = True
    """Repeat a request without a body that is safe to repeat, once, when a kept connection died before any octet of the answer."""
    resolve_interval_s: PositiveFloat = 30.0
    """Host names are looked up again after this."""
    fail_after: PositiveInt = 3
    """Connection failures in a row after which an address is left out."""
    fail_for_s: PositiveFloat = 10.0
    """How long it is left out; then one request tries it."""
    max_head_bytes: Annotated[int, Field(ge=1024, le=1 * MiB)] = 65536
    """Longest response head; a longer one is an origin error (502)."""


class CookieRule(StrEnum):
    """What becomes of the client's Cookie on its way to the origin, and of sharing."""

    FORWARD = "forward"
    STRIP = "strip"
    KEY = "key"
    BYPASS = "bypass"


class SetCookieRule(StrEnum):
    """What a Set-Cookie in a response means for sharing it."""

    PRIVATE = "private"
    STRIP = "strip"
    IGNORE = "ignore"


class OnWaitTimeout(StrEnum):
    """What a waiter gets whose deadline passed and who may not have a stale copy."""

    ERROR = "error"
    FETCH = "fetch"


class CoalesceSettings(Settings):
    """How concurrent requests for one key share a forward request."""

    enabled: bool = True
    """Whether misses wait for each other."""
    wait_timeout_s: PositiveFloat = 30.0
    """A waiter that waited this long for the head gets a stale copy where allowed, else what `on_wait_timeout` says."""
    on_wait_timeout: OnWaitTimeout = OnWaitTimeout.ERROR
    """`error` answers 504; `fetch` sends the waiter's own request, paced by `release_rate`."""
    release_rate: NonNegativeFloat = 0.0
    """Released waiters that go to the origin per second and route, beside the origin's own limit; 0 sets none (timed-out waiters: 100)."""
    max_waiters: PositiveInt = 50_000
    """Waiters that one flight takes; the next request gets a stale copy or 503. Guards memory."""
    retry_after_s: PositiveInt = 2
    """Retry-After of our own 503."""
    not_shareable_for_s: NonNegativeFloat = 10.0
    """How long a key whose answer was not for sharing is not waited for (hit-for-miss)."""
    unreachable_for_s: NonNegativeFloat = 1.0
    """How long a failed connection answers the next requests for the key at once."""
    abandoned_fill_max_bytes: NonNegativeInt = 16 * MiB
    """When every client has left, a cacheable fill goes on if at most this much is still to come."""
    range_ahead_bytes: NonNegativeInt = 1 * MiB
    """A Range that begins further ahead than this of what a fill has received goes to the origin by itself."""
    window_bytes: PositiveInt = 16 * MiB
    """What is held of a body too large to store in memory; a client that falls further behind the fastest is cut off, or reads the disk."""


class CacheProfile(StrEnum):
    """How the choices that RFC 9111 leaves to taste are made; `policy.profile` lists them."""

    PRAGMATIC = "pragmatic"
    STRICT_RFC = "strict-rfc"


class ContentCoding(StrEnum):
    """A content coding that we can make (RFC 9110 §8.4.1, RFC 7932, RFC 8878)."""

    GZIP = "gzip"
    BR = "br"
    ZSTD = "zstd"


class PartialRule(StrEnum):
    """How a response is fetched and stored of which clients may want parts."""

    WHOLE = "whole"
    SLICES = "slices"


class RouteCacheSettings(Settings):
    """What may be stored and how long it is served."""

    enabled: bool = True
    """Whether responses of this route are stored and shared at all."""
    lifetime_s: NonNegativeFloat | None = None
    """Replaces the freshness lifetime of answers that may be shared (never of private, no-store or Set-Cookie)."""
    lifetime_statuses: tuple[Annotated[int, Field(ge=200, le=599)], ...] = (200, 203, 301, 308, 404, 410)
    """Statuses that `lifetime_s` applies to."""
    heuristic: bool = True
    """Whether answers with Last-Modified and no lifetime get one of `heuristic_fraction` of their age (RFC 9111 §4.2.2)."""
    heuristic_fraction: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Fraction of the time since Last-Modified."""
    heuristic_max_s: NonNegativeFloat = 86_400.0
    """Upper bound of a heuristic lifetime."""
    grace_s: NonNegativeFloat = 0.0
    """Stale is served this long while one flight revalidates behind it, where the answer has no stale-while-revalidate of its own and does not forbid stale."""
    stale_if_error_s: NonNegativeFloat = 3600.0
    """Stale is served this long when the origin fails, where the answer has no stale-if-error of its own and does not forbid stale."""
    max_stale_s: NonNegativeFloat = 86_400.0
    """Cap on every kind of stale service, whatever the answer says."""
    share_lifetime_zero: bool = False
    """Give an answer with lifetime 0 and no `public` to those who already waited for it."""
    honour_no_cache: bool = True
    """Whether a client's `no-cache` or `max-age=0` forces revalidation."""
    max_variants: PositiveInt = 32
    """Variants kept of one key; the oldest goes first."""
    profile: CacheProfile = CacheProfile.PRAGMATIC
    """`pragmatic` guards against what origins get wrong; `strict-rfc` keeps to the letter of RFC 9111 (docs/http-caching.md lists the differences)."""
    targets: tuple[FieldName, ...] = ("CDN-Cache-Control",)
    """Targeted fields, most specific first: the first that is valid takes the place of Cache-Control and Expires (RFC 9213)."""
    negative_lifetimes_s: dict[StatusPattern, NonNegativeFloat] = {}
    """Lifetimes of error answers that name none themselves, by status or class, as `404: 5s` or `5xx: 1s`."""
    refresh_ahead: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Last part of the lifetime in which a hit refreshes a popular answer, so that no crowd finds it expired; 0.1 stands for the last tenth, 0 switches it off."""
    refresh_ahead_uses: PositiveInt = 10
    """Hits since it was stored or refreshed that make an answer popular."""
    min_uses: PositiveInt = 1
    """An answer is stored from this many requests for its key on."""
    invalidate_locations: bool = True
    """Whether an unsafe request that succeeds invalidates what its answer's Location and Content-Location name on this origin, too."""
    accept_encoding: tuple[ContentCoding, ...] | None = None
    """What the origin distinguishes: Accept-Encoding is reduced to those of these that the client takes, for the variant and for the origin; `[]` asks for identity, null leaves it as it came."""
    partial: PartialRule = PartialRule.WHOLE
    """`whole` fetches and stores an object in one piece, whatever range is asked for; `slices` fetches and stores large ones in parts, each for itself, where the origin gives ranges and strong validators."""
    slice_bytes: Annotated[int, Field(ge=1024, le=1 * GiB)] = 1 * MiB
    """Size of a slice; what is no larger is stored in one piece."""
    slices_ahead: Annotated[int, Field(ge=0, le=16)] = 1
    """Slices that are fetched ahead of the one that a client is being sent."""
    whole_for_s: NonNegativeFloat = 300.0
    """How long a URL is fetched in one piece whose origin gave no usable slice."""

    @model_validator(mode="after")
    def _strict_is_strict(self) -> Self:
        if self.profile is CacheProfile.STRICT_RFC:
            against = {
                "lifetime_s": self.lifetime_s is not None,
                "negative_lifetimes_s": bool(self.negative_lifetimes_s),
                "share_lifetime_zero": self.share_lifetime_zero,
                "honour_no_cache": not self.honour_no_cache,
            }
            for name, holds in against.items():
                if holds:
                    raise ValueError(f"profile strict-rfc and {name} contradict each other: leave one out")
        return self


class KeySettings(Settings):
    """What belongs to the cache key beside scheme, host and target."""

    fields: tuple[FieldName, ...] = ()
    """Request fields whose values are part of the key; for answers that depend on them without saying so in Vary."""
    cookies: tuple[CookieName, ...] = ()
    """Cookies whose values are part of the key; answers to requests with Cookie are still shared only with an explicit lifetime."""


class QuerySettings(Settings):
    """Normalises the query of GET and HEAD, in the cache key and on its way to the origin alike."""

    sort: bool = False
    """Whether parameters are put in the order of their names; those of one name keep theirs."""
    drop: tuple[ParameterPattern, ...] = ()
    """Names of parameters that are removed, `*` for any octets, as `utm_*`."""
    keep: tuple[ParameterPattern, ...] | None = None
    """Names of the only parameters that are kept; null keeps all that `drop` does not name."""


class CompressionSettings(Settings):
    """Compression of stored answers that came without content coding."""

    enabled: bool = False
    """Whether they are compressed for clients that accept it."""
    types: tuple[TypePattern, ...] = (
        "text/*",
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/wasm",
        "application/xml",
        "image/svg+xml",
        "*/*+json",
        "*/*+xml",
    )
    """Media types that are; `*` stands for any octets."""
    codings: Annotated[tuple[ContentCoding, ...], Field(min_length=1)] = (ContentCoding.GZIP,)
    """Codings to choose from, the preferred first; `br` and `zstd` need the extra `compression`."""
    min_bytes: NonNegativeInt = 1024
    """Shorter bodies stay as they are."""
    max_bytes: PositiveInt = 4 * MiB
    """Longer ones, too."""
    gzip_level: Annotated[int, Field(ge=1, le=9)] = 6
    """Effort of gzip."""
    br_level: Annotated[int, Field(ge=0, le=11)] = 5
    """Effort of br; above 9 it takes seconds for a megabyte."""
    zstd_level: Annotated[int, Field(ge=1, le=19)] = 6
    """Effort of zstd."""
    with_cookies: bool = False
    """Whether requests with Cookie or Authorization get compressed answers: the size of one that holds a secret beside what an attacker chose tells of the secret (BREACH)."""


class HeaderRules(Settings):
    """Header fields added, replaced and removed; framing and connection fields cannot be named."""

    add: dict[RuleFieldName, FieldValue] = {}
    """Added beside what is there."""
    set: dict[RuleFieldName, FieldValue] = {}
    """Replaces what is there."""
    remove: tuple[RuleFieldName, ...] = ()
    """Removed first."""


class BypassRules(Settings):
    """Requests that are passed through: neither answered from the cache nor stored nor coalesced."""

    methods: tuple[Method, ...] = ()
    """Methods, upper case; unsafe ones are always passed through."""
    paths: tuple[Regex, ...] = ()
    """Regular expressions searched in the path."""
    headers: dict[FieldName, Regex] = {}
    """Field name to a regular expression searched in its value."""
    cookies: tuple[CookieName, ...] = ()
    """Names of cookies whose presence bypasses."""


class RewriteSettings(Settings):
    """Changes the path on its way to the origin; the query stays as it is."""

    strip_prefix: PathPrefix | None = None
    """Taken off the front, where the path begins with it."""
    add_prefix: PathPrefix | None = None
    """Put in front afterwards."""
    pattern: Regex | None = None
    """Regular expression that must match the whole path; applied instead of the prefixes."""
    replacement: str | None = None
    r"""What takes its place, with \1 or \g<name> for groups."""

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.pattern is None) != (self.replacement is None):
            raise ValueError("pattern and replacement go together")
        if self.pattern is not None and self.replacement is not None:
            try:
                re.compile(self.pattern).sub(self.replacement, "")
                re.compile(self.pattern.encode()).sub(self.replacement.encode(), b"")
            except (re.error, IndexError) as error:
                raise ValueError(f"replacement does not fit pattern: {error}") from None
        return self


class PurgeSettings(Settings):
    """The method PURGE, by which clients take a URL out of the cache; tags and patterns are for the admin listener."""

    enabled: bool = False
    """Whether PURGE is answered here; else it gets 405. No origin is ever asked to purge."""
    networks: tuple[Network, ...] = ("127.0.0.0/8", "::1/128", "unix")
    """Networks (or `unix`) that may purge; others get 403. A trusted proxy purges only for the client that it names."""


class RouteSettings(Settings):
    """Requests that match host and path go to one origin under one policy; the most specific route wins."""

    origin: str
    """Name of the origin, as under `origins`."""
    host: Host = "*"
    """Host to match without port: exact, `*.example.org`, or `*` for any."""
    path: PathPrefix = "/"
    """Path prefix to match, by whole segments."""
    host_header: HostHeader = "keep"
    """Host sent to the origin: `keep` the client's, `origin` for the address's own, or a literal."""
    upgrades: tuple[Protocol, ...] = ("websocket",)
    """Protocols whose Upgrade is passed through, lower case; any other is answered as if it had not been asked for."""
    max_request_body_bytes: NonNegativeInt = 0
    """Largest request body; larger ones get 413. 0 sets no limit."""
    rewrite: RewriteSettings = RewriteSettings()
    """The path on its way to the origin."""
    request_headers: HeaderRules = HeaderRules()
    """Fields of the request on its way to the origin."""
    response_headers: HeaderRules = HeaderRules()
    """Fields of the response on its way to the client."""
    bypass: BypassRules = BypassRules()
    """What is passed through."""
    cookies: CookieRule = CookieRule.FORWARD
    """`forward` sends them and shares explicitly fresh answers only, `strip` removes them, `key` makes them part of the key, `bypass` passes such requests through."""
    set_cookie: SetCookieRule = SetCookieRule.PRIVATE
    """A response with Set-Cookie is `private` (not shared); `strip` removes the field and shares; `ignore` shares it with everybody as it is."""
    cache: RouteCacheSettings = RouteCacheSettings()
    """Storing and freshness."""
    coalesce: CoalesceSettings = CoalesceSettings()
    """Sharing of forward requests."""
    key: KeySettings = KeySettings()
    """More in the cache key."""
    query: QuerySettings = QuerySettings()
    """Normalising of the query."""
    compression: CompressionSettings = CompressionSettings()
    """Compression at the edge."""
    purge: PurgeSettings = PurgeSettings()
    """Purging by clients."""
    writes: RouteWritesSettings | None = None
    """Queue writes by entity; null passes them through as they come."""

    @model_validator(mode="after")
    def _key_cookies_reach_the_origin(self) -> Self:
        if self.key.cookies and self.cookies is CookieRule.STRIP:
            raise ValueError(
                "key.cookies would split the cache by what `cookies: strip` keeps from the origin"
            )
        return self


class EvictionPolicy(StrEnum):
    """Which entry goes when the memory tier is full."""

    LRU = "lru"
    LFU = "lfu"
    FIFO = "fifo"
    RANDOM = "random"


class DiskSettings(Settings):
    """The disk tier below the memory tier: it outlives restarts and holds what is too much for memory."""

    directory: Path
    """Where the files lie: a directory of its own on a local file system, used by one Lockgate at a time."""
    max_bytes: PositiveInt = 10 * GiB
    """All files, counted in whole blocks of the file system."""
    max_entry_bytes: PositiveInt = 1 * GiB
    """Largest body that is stored on disk."""
    min_free_bytes: NonNegativeInt = 1 * GiB
    """Room that is left free on the file system; entries go when others have filled it."""
    promote_max_bytes: NonNegativeInt = 1 * MiB
    """Bodies up to this are taken into memory when they are asked for; larger ones are read from disk for each client."""
    max_head_bytes: NonNegativeInt = 16 * MiB
    """Heads of small responses kept in memory, some 3 KiB each: a hit that only the disk has takes half the time with one."""
    max_open_files: PositiveInt = 512
    """Files of larger bodies held open at a time; what is asked for beyond that is fetched from the origin."""
    max_queue_bytes: PositiveInt = 64 * MiB
    """Bodies waiting to be written; what comes beyond that is not written, so that the disk never slows the origin."""
    check_interval_s: PositiveFloat = 10.0
    """How often the room left on the file system is looked at."""
    retry_after_s: PositiveFloat = 30.0
    """After a disk error the tier is left alone for this long, and memory serves alone."""
    fsync: bool = False
    """Whether each file is forced to the disk before it counts; without it a power loss costs the last files, never a wrong answer."""

    @model_validator(mode="after")
    def _an_entry_fits(self) -> Self:
        if self.max_bytes < self.max_entry_bytes:
            raise ValueError(
                f"cache.disk.max_bytes is {self.max_bytes}, below cache.disk.max_entry_bytes "
                f"({self.max_entry_bytes}): such an entry would never fit. Raise max_bytes or lower max_entry_bytes."
            )
        return self


class CacheSettings(Settings):
    """The memory tier, shared by all routes."""

    max_bytes: PositiveInt = 256 * MiB
    """All entries: bodies, heads and bookkeeping."""
    max_entry_bytes: PositiveInt = 64 * MiB
    """Largest body that is stored in memory; with a disk tier a larger one is spooled there, without one its flight takes no new waiters."""
    max_fill_bytes: PositiveInt = 256 * MiB
    """Bodies on their way into the tier, all together; a fill that would exceed it is passed on at its clients' pace and not stored."""
    policy: EvictionPolicy = EvictionPolicy.LRU
    """Which entry goes first."""
    max_refreshes: PositiveInt = 16
    """Answers that are refreshed ahead of their end at one time, over all routes."""
    max_keys_remembered: PositiveInt = 100_000
    """Keys whose Vary or not-shareable mark is remembered beyond their entries."""
    cache_status: bool = True
    """Whether responses carry `Cache-Status` (RFC 9211)."""
    cache_status_key: bool = False
    """Whether it names the cache key; for debugging, as it shows what is in the key."""
    cache_name: FieldName = "Lockgate"
    """Our name in `Cache-Status` and `Via`."""
    disk: DiskSettings | None = None
    """Keep responses on disk, too."""

    @model_validator(mode="after")
    def _an_entry_fits(self) -> Self:
        if self.max_bytes < self.max_entry_bytes:
            raise ValueError(
                f"cache.max_bytes is {self.max_bytes}, below cache.max_entry_bytes ({self.max_entry_bytes}): "
                "such an entry would never fit. Raise max_bytes or lower max_entry_bytes."
            )
        return self


class CompressorSettings(Settings):
    """The threads that compress, shared by all routes."""

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """How many bodies are compressed at one time."""
    max_queue: PositiveInt = 64
    """Bodies that are compressed or wait for it; further answers go out as they are."""
    max_queue_bytes: PositiveInt = 32 * MiB
    """Their octets in all."""
    max_bytes: PositiveInt = 64 * MiB
    """Compressed bodies kept; the least recently used goes first."""


class WorkersSettings(Settings):
    """The processes that serve, and how the supervisor keeps them in step."""

    count: Annotated[int, Field(ge=1, le=1024)] | None = 1
    """How many; null starts one for each core. Bounds on memory, disk and connections are divided among them."""
    purge_timeout_s: PositiveFloat = 5.0
    """A worker that has not confirmed a purge after this is killed, and the purge acknowledged."""
    health_interval_s: PositiveFloat = 1.0
    """How often each worker is asked for its statistics."""
    health_timeout_s: PositiveFloat = 15.0
    """A worker that has not answered for this long is killed."""
    start_timeout_s: PositiveFloat = 60.0
    """A worker that is not ready after this is killed; a reload or an upgrade is given up."""
    owner_timeout_s: PositiveFloat = 2.0
    """A worker that asks another one, which owns a key, goes elsewhere when that has shown no sign of life for this long."""
    restart_delay_max_s: PositiveFloat = 10.0
    """Longest wait before a worker is started again that keeps failing; the first wait is 0.1 s and each is twice the last."""


class Config(Settings):
    """The whole file."""

    listen: Annotated[tuple[ListenSettings, ...], Field(min_length=1)] = (
        ListenSettings(address="127.0.0.1:8080"),
    )
    """Where clients connect."""
    admin: AdminSettings = AdminSettings()
    """Health, metrics, statistics, purging, explain."""
    access_log: AccessLogSettings = AccessLogSettings()
    """One JSON line an exchange."""
    limits: LimitsSettings = LimitsSettings()
    """What clients may ask of us."""
    cache: CacheSettings = CacheSettings()
    """The memory tier."""
    gate: bool = True
    """Answer plain hits from what was answered before to the same head. `false` answers the same, slower."""
    compressor: CompressorSettings = CompressorSettings()
    """Compression, where routes ask for it."""
    origins: Annotated[dict[str, OriginSettings], Field(min_length=1)]
    """Origins by name."""
    defaults: dict[str, object] = {}
    """Settings of a route, merged below each route's own; any key of a route but `origin`, `host` and `path`."""
    routes: Annotated[tuple[RouteSettings, ...], Field(min_length=1)]
    """Which requests go where, and under which policy."""
    shutdown_delay_s: NonNegativeFloat = 0.0
    """From SIGTERM on `/healthz` fails for this long before the listeners close, so that a balancer stops sending first."""
    shutdown_timeout_s: NonNegativeFloat = 30.0
    """SIGTERM and SIGINT let running exchanges end within this time."""
    writes: WritesSettings = WritesSettings()
    """Writes that routes queue."""
    workers: WorkersSettings = WorkersSettings()
    """The processes that serve."""
    event_loop: Literal["uvloop", "asyncio"] = "uvloop"
    """The event loop; uvloop is faster and needs less memory per waiter."""

    @model_validator(mode="after")
    def _slices_fit(self) -> Self:
        largest = self.cache.max_entry_bytes
        for index, route in enumerate(self.routes):
            if route.cache.partial is PartialRule.SLICES and route.cache.slice_bytes > largest:
                raise ValueError(
                    f"routes[{index}].cache.slice_bytes is {route.cache.slice_bytes}, above cache.max_entry_bytes "
                    f"({largest}): no slice would be stored. Lower slice_bytes or raise max_entry_bytes."
                )
        return self

    @model_validator(mode="after")
    def _promises_are_kept(self) -> Self:
        for index, route in enumerate(self.routes):
            if route.writes is None or self.writes.journal is not None:
                continue
            if route.writes.mode is WriteMode.ASYNC or route.writes.idempotency.required:
                name = "mode: async" if route.writes.mode is WriteMode.ASYNC else "idempotency.required"
                raise ValueError(
                    f"routes[{index}].writes has {name}, which promises what must outlive the process: "
                    "set writes.journal.directory, too"
                )
        return self

    @model_validator(mode="after")
    def _origins_exist(self) -> Self:
        for index, route in enumerate(self.routes):
            if route.origin not in self.origins:
                known = ", ".join(sorted(self.origins))
                raise ValueError(
                    f"routes[{index}].origin is {route.origin!r}, which is not under origins ({known})"
                )
        seen: dict[tuple[str, str], int] = {}
        for index, route in enumerate(self.routes):
            place = (route.host.lower(), route.path)
            if place in seen:
                raise ValueError(
                    f"routes[{index}] and routes[{seen[place]}] both match host {route.host!r}, path {route.path!r}"
                )
            seen[place] = index
        return self
