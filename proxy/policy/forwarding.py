"""The fields of the forward request and of the response: what goes on, what stays, what we add.

Everything is taken away before anything is added, so that no peer can take away what we add. Names with
underscores are passed on, but where fields are dropped `_` counts as `-`: origins behind CGI or WSGI
cannot tell `X_Forwarded_For` from `X-Forwarded-For`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from proxy.config.settings import CookieRule, HeaderRules, RouteSettings, SetCookieRule
from proxy.errors import OriginProtocolError
from proxy.http.dates import format_http_date
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.authority import normal_authority
from proxy.policy.cache_control import without_directives
from proxy.policy.content_coding import conditions_for_origin, reduced_accept_encoding
from proxy.policy.hop_by_hop import end_to_end
from proxy.policy.profile import choices_of

_UNSAFE = re.compile(rb"[\r\n\0]")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_CLIENT_CLAIMS = frozenset(
    {
        b"forwarded",
        b"front-end-https",
        b"true-client-ip",
        b"x-client-ip",
        b"x-host",
        b"x-http-host-override",
        b"x-original-host",
        b"x-original-uri",
        b"x-real-ip",
        b"x-scheme",
        b"x-url-scheme",
    }
)
"""What origins believe about the client and what it asked for; from strangers they are claims, outside the
cache key, and dropped with `X-Forwarded-*`."""

_OTHER_URLS = frozenset({b"x-original-url", b"x-rewrite-url"})

_OTHER_TARGETS = _OTHER_URLS | frozenset({b"x-http-method", b"x-http-method-override", b"x-method-override"})
"""They make some origins answer for another target or method than the one in the cache key."""

_NEVER_COPIED = frozenset({b"host", b"expect"})
"""Host is written anew, Expect by the adapter."""

_TAGGED = frozenset({b"if-match", b"if-none-match"})
"""What may hold entity tags of ours, of which the origin knows its own."""

_LEADERS_OWN = _OTHER_TARGETS | {
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
    b"if-range",
    b"range",
}
"""What a flight does not carry of its leader: the others did not ask for it (DESIGN.md, D3)."""

_LEADERS_OWN_DIRECTIVES = frozenset({b"max-stale", b"only-if-cached", b"stale-if-error"})
"""A tier behind us would answer with less than the others asked for. A departure: RFC 9111 §5.2 passes
cache directives on, whatever they say."""

MAX_LOOPS = 8
"""Lockgates that a request may have passed: several tiers are meant, this many are a circle."""


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """Who sent the request, as the listener saw it.

    `ip` is None on a Unix socket. `scheme` is the listener's, `http` or `https`. `trusted` says that the
    peer is one of the listener's `trusted_proxies`: what it says about its own client is believed.
    """

    ip: str | None
    scheme: str
    trusted: bool = False


def forward_fields(
    request: RequestHead,
    *,
    route: RouteSettings,
    client: ClientAddress,
    via_name: str,
    leader_of_flight: bool,
    revalidate: tuple[Pair, ...] = (),
) -> Fields:
    """The fields of the forward request, Host first, without framing and connection fields.

    A Host of `b""` means the authority of the address that is asked: the adapter, which chooses the
    address, fills it in. `revalidate` are the conditions of a revalidation, see `conditional`; they take
    the place of the client's own.

    Raises: OriginProtocolError if a field cannot be written.
    """
    host = (b"Host", forward_host(request, route=route))
    # beside our own conditions the client's would make a 304 ambiguous: whose validator did it match?
    kept = _kept_of_request(request, route, client, leader_of_flight or bool(revalidate))
    added = (*_client_fields(request, kept, client), *revalidate, _via(request.minor_version, via_name))
    fields = Fields((host, *kept, *added))
    if route.compression.enabled and (revalidate or not _TAGGED.isdisjoint(request.fields.names())):
        fields = conditions_for_origin(fields)
    fields = apply_rules(fields, route.request_headers)  # rules cannot name Host
    assert_safe(fields)
    return fields


def with_conditions(plain: Fields, conditions: tuple[Pair, ...], *, route: RouteSettings) -> Fields | None:
    """The fields of a flight's forward request with these conditions, from those of one without any.

    None where the route's own rules might have to do with them: then `forward_fields` has to be asked.

    Raises: OriginProtocolError if a field cannot be written.
    """
    rules = route.request_headers
    if rules.remove or rules.set or rules.add:
        return None
    added = Fields(conditions)
    assert_safe(added)
    return plain.with_added(*(conditions_for_origin(added) if route.compression.enabled else added))


def seen_by_origin(request: RequestHead, *, route: RouteSettings, client: ClientAddress) -> RequestHead:
    """The request less the fields that will not reach the origin; for GET and HEAD.

    What is stored is selected by what the origin saw. By a field that we drop, a stranger's
    `X-Forwarded-Proto`, say, the answer to a request without it would be stored for those of trusted
    proxies that have it.
    """
    dropped = _dropped_of_request(request, route, leader_of_flight=False) - {b"host"}  # which is in the key
    names = [_canonical(name) for name in request.fields.names()]
    reduced = route.cache.accept_encoding is not None
    if not reduced and dropped.isdisjoint(names) and (client.trusted or not any(map(_is_claim, names))):
        return request  # the usual case, on the way of every hit
    kept = _kept_of_request(request, route, client, leader_of_flight=False)
    return replace(request, fields=Fields(kept))


def fields_for_owner(
    request: RequestHead, *, route: RouteSettings, leader_of_flight: bool, revalidate: tuple[Pair, ...] = ()
) -> Fields:
    """The client's own fields, for a worker of this machine that will make a forward request of them itself.

    A flight's carry nothing of its leader that others did not ask for, as those to the origin do not.
    """
    dropped = _LEADERS_OWN if leader_of_flight or revalidate else frozenset()
    cuts_directives = leader_of_flight and choices_of(route.cache).drops_leaders_directives
    kept = []
    for name, value in end_to_end(request.fields):
        canonical = name.lower().replace(b"_", b"-")
        if canonical in dropped or canonical == b"expect":
            continue
        if canonical == b"cache-control" and cuts_directives:
            value = without_directives(value, _LEADERS_OWN_DIRECTIVES)
            if not value:
                continue
        kept.append((name, value))
    return Fields((*kept, *revalidate))


def names_another_target(request: RequestHead) -> bool:
    """Whether some origins answer for another target or method than this request's, by a field of it."""
    return any(name.replace(b"_", b"-") in _OTHER_TARGETS for name in request.fields.names())


def without_other_urls(fields: Fields) -> Fields:
    """The fields without those by which some origins take another URL for the one that is meant."""
    named = [name for name in fields.names() if name.replace(b"_", b"-") in _OTHER_URLS]
    return fields.without(named) if named else fields


def forward_host(request: RequestHead, *, route: RouteSettings) -> bytes:
    """The Host that the origin gets; `b""` for the address's own authority.

    A kept one is written as it stands in the cache key: an origin that echoes it then echoes nothing that
    the key does not tell apart.
    """
    if route.host_header == "keep":
        return normal_authority(request.authority, scheme=request.scheme)
    return b"" if route.host_header == "origin" else route.host_header.encode()


def _kept_of_request(
    request: RequestHead, route: RouteSettings, client: ClientAddress, leader_of_flight: bool
) -> list[Pair]:
    dropped = _dropped_of_request(request, route, leader_of_flight)
    drops_directives = choices_of(route.cache).drops_leaders_directives
    accept_encoding = _accept_encoding(request, route)
    kept = []
    for name, value in end_to_end(request.fields):
        canonical = _canonical(name)
        if canonical in dropped or (not client.trusted and _is_claim(canonical)):
            continue
        if canonical == b"accept-encoding" and accept_encoding is not None:
            continue
        if canonical == b"cache-control" and leader_of_flight and drops_directives:
            value = without_directives(value, _LEADERS_OWN_DIRECTIVES)
            if not value:
                continue
        elif canonical == b"max-forwards" and request.method in _COUNTING_METHODS:
            value = _decremented(value)
        kept.append((name, value))
    if accept_encoding is not None:
        kept.append((b"Accept-Encoding", accept_encoding))
    return kept


def _accept_encoding(request: RequestHead, route: RouteSettings) -> bytes | None:
    """What takes the place of the client's Accept-Encoding; None where that stays."""
    codings = route.cache.accept_encoding
    if codings is None or request.method not in ("GET", "HEAD"):
        return None
    return reduced_accept_encoding(request.fields, codings)


def _dropped_of_request(
    request: RequestHead, route: RouteSettings, leader_of_flight: bool
) -> frozenset[bytes]:
    # an answer to GET or HEAD may be stored, although nobody else waits for it
    may_be_stored = route.cache.enabled and request.method in ("GET", "HEAD")
    return _dropped(leader_of_flight, may_be_stored, route.cookies is CookieRule.STRIP)


@cache
def _dropped(leader_of_flight: bool, may_be_stored: bool, strips_cookies: bool) -> frozenset[bytes]:
    dropped = _NEVER_COPIED
    if leader_of_flight:
        dropped |= _LEADERS_OWN
    if may_be_stored:
        dropped |= _OTHER_TARGETS
    return dropped | {b"cookie"} if strips_cookies else dropped


def _canonical(name: bytes) -> bytes:
    return name.lower().replace(b"_", b"-")


def _is_claim(canonical: bytes) -> bool:
    return canonical in _CLIENT_CLAIMS or canonical.startswith(b"x-forwarded-")


def _client_fields(request: RequestHead, kept: list[Pair], client: ClientAddress) -> list[Pair]:
    """What we say about the client, after what a trusted proxy has said.

    Lines of a list field are added, never merged (RFC 9110 §5.3); of the two single-valued ones the
    first to say it, nearest to the client, is right.
    """
    host = normal_authority(request.authority, scheme=request.scheme)
    said = {name.lower() for name, _ in kept} if client.trusted else set()
    added: list[Pair] = []
    if client.ip is not None:
        added.append((b"X-Forwarded-For", client.ip.encode()))
    if host and b"x-forwarded-host" not in said:
        added.append((b"X-Forwarded-Host", host))
    if b"x-forwarded-proto" not in said:
        added.append((b"X-Forwarded-Proto", client.scheme.encode()))
    added.append((b"Forwarded", _forwarded_element(client, host)))
    return added


@lru_cache(maxsize=4096)
def _forwarded_element(client: ClientAddress, host: bytes) -> bytes:
    """One element of Forwarded (RFC 7239 §4, §6)."""
    element = b"for=%b" % _node(client.ip)
    if host:
        element += b";host=%b" % _token_or_quoted(host)
    return element + b";proto=%b" % client.scheme.encode()


def _node(ip: str | None) -> bytes:
    if ip is None:
        return b"unknown"
    address = ip.partition("%")[0].encode()  # a zone means nothing elsewhere
    return b'"[%b]"' % address if b":" in address else address


def _token_or_quoted(value: bytes) -> bytes:
    if _TOKEN.fullmatch(value):
        return value
    return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


@cache
def _via(minor_version: int, via_name: str) -> Pair:
    return (b"Via", b"1.%d %b" % (minor_version, via_name.encode()))


def response_fields(
    response: ResponseHead, *, route: RouteSettings, via_name: str, received_at: float | None = None
) -> Fields:
    """The fields of an answer on its way to the client, 1xx ones too, without framing and connection fields.

    `received_at` fills in a Date that the origin left out (RFC 9110 §6.6.1 asks for it). Set-Cookie goes
    where the route strips it, but on routes that do not cache there is nothing to share and it stays.

    Raises: OriginProtocolError if a field cannot be written.
    """
    fields = end_to_end(response.fields)
    if route.set_cookie is SetCookieRule.STRIP and route.cache.enabled:
        fields = fields.without((b"set-cookie",))
    added = [_via(response.minor_version, via_name)]
    if received_at is not None and response.status >= 200 and b"date" not in response.fields:
        added.insert(0, (b"Date", format_http_date(received_at)))
    fields = apply_rules(fields.with_added(*added), route.response_headers)
    assert_safe(fields)
    return fields


def apply_rules(fields: Fields, rules: HeaderRules) -> Fields:
    """The fields after a route's rules: remove, then set, then add."""
    if not (rules.remove or rules.set or rules.add):
        return fields
    replaced = [name.lower().encode() for name in (*rules.remove, *rules.set)]
    if replaced:
        fields = fields.without(replaced)
    added = (*rules.set.items(), *rules.add.items())
    if added:
        fields = fields.with_added(*((name.encode(), value.encode()) for name, value in added))
    return fields


def assert_safe(fields: Fields) -> None:
    """See that no name and no value can end its line: the last check before fields are written.

    Raises: OriginProtocolError; on either leg, since such a field got past a parser that must not let it.
    """
    pairs = fields.pairs()
    names = [name for name, _ in pairs]
    if (
        all(names)
        and _TOKEN.fullmatch(b"".join(names))
        and not _UNSAFE.search(b"".join([value for _, value in pairs]))
    ):
        return
    name, value = next(pair for pair in fields if not _TOKEN.fullmatch(pair[0]) or _UNSAFE.search(pair[1]))
    raise OriginProtocolError(f"the field {name[:64]!r} cannot be written: {value[:64]!r}")


def loops(request: RequestHead, via_name: str) -> bool:
    """Whether the request came by here so often that it goes in a circle (RFC 9110 §7.6.3)."""
    if b"via" not in request.fields:
        return False
    ours = via_name.lower().encode()
    received_by = (member.split(maxsplit=2)[1:2] for member in request.fields.members(b"via"))
    return (
        sum(by == [ours] for by in ([part.lower() for part in parts] for parts in received_by)) >= MAX_LOOPS
    )


_COUNTING_METHODS = frozenset({"TRACE", "OPTIONS"})


def ends_here(request: RequestHead) -> bool:
    """Whether Max-Forwards makes us the final recipient: then it is not forwarded (RFC 9110 §7.6.2)."""
    value = request.fields.get(b"max-forwards")
    return request.method in _COUNTING_METHODS and value is not None and _count(value) == 0


def _count(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= 9 else None


def _decremented(value: bytes) -> bytes:
    count = _count(value)
    return b"%d" % (count - 1) if count else value
