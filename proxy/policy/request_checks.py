"""The checks that a request head passes before anything is done with it. Nothing is repaired.

Our parser and the origin's must not disagree about where a request ends or whom it is for (RFC 9112
§11.2). Whatever two careful parsers could read in two ways is refused here, although some of it is
allowed: that is the departure from RFC 9112 that this module makes throughout.
"""

from __future__ import annotations

import re

from proxy.config.settings import LimitsSettings
from proxy.errors import ClientError, HeadTooLarge, TargetTooLong, UnknownMethod, VersionNotSupported
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.authority import normal_authority, split_authority

KNOWN_METHODS = frozenset(
    {
        "ACL", "BIND", "CHECKOUT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "M-SEARCH", "MERGE",
        "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "OPTIONS", "PATCH", "POST", "PROPFIND",
        "PROPPATCH", "PURGE", "PUT", "QUERY", "REBIND", "REPORT", "SEARCH", "SUBSCRIBE", "TRACE", "UNBIND",
        "UNLINK", "UNLOCK", "UNSUBSCRIBE",
    }
)  # fmt: skip
"""The methods that llhttp knows, less those that are not requests to a gateway: CONNECT asks for a tunnel
(RFC 9110 §9.3.6), PRI is the preface of HTTP/2, SOURCE (Icecast) has a body without framing, and the rest
are RTSP's."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(rb"[!\"$-~]+")  # visible ASCII less #
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ABSOLUTE_FORM = re.compile(rb"(https?)://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)
_FRAMING_LOOKALIKES = frozenset({b"content-length", b"transfer-encoding", b"host"})
_LONGEST_CONTENT_LENGTH = 18  # digits; an exbibyte


def check_request(
    method: str,
    raw_target: bytes,
    version: tuple[int, int],
    fields: Fields,
    *,
    scheme: str,
    limits: LimitsSettings,
) -> RequestHead:
    """The head as a value, if there is nothing against it; `scheme` is the listener's.

    A target in absolute form becomes origin form. Names with underscores pass, but for those that an
    origin behind CGI would take for framing.

    Raises: VersionNotSupported, UnknownMethod, TargetTooLong, HeadTooLarge, ClientError.
    Source: RFC 9112 §2.3, §3.2, §5, §6; RFC 9110 §7.2.
    """
    if version not in ((1, 0), (1, 1)):
        raise VersionNotSupported(f"HTTP/{version[0]}.{version[1]} is not spoken here; use HTTP/1.1")
    if method not in KNOWN_METHODS:
        raise UnknownMethod(f"the method {method[:32]!r} is not passed on")
    if len(raw_target) > limits.max_line_bytes:
        raise TargetTooLong(
            f"the target has {len(raw_target)} octets, above limits.max_line_bytes ({limits.max_line_bytes})"
        )
    _check_size(head_bytes(method, raw_target, fields), fields, limits)
    _check_fields(fields)
    _check_framing(fields, version)
    host = _host(fields, version)
    target, authority = _target(method, raw_target, host, scheme)
    return RequestHead(method, target, fields, scheme=scheme, authority=authority, minor_version=version[1])


def head_bytes(method: str, raw_target: bytes, fields: Fields) -> int:
    """Octets of the head as it came."""
    return len(method) + len(raw_target) + len(b"  HTTP/1.1\r\n\r\n") + fields.size_bytes()


def _check_size(octets: int, fields: Fields, limits: LimitsSettings) -> None:
    if len(fields) > limits.max_fields:
        raise HeadTooLarge(f"{len(fields)} header fields, above limits.max_fields ({limits.max_fields})")
    if octets > limits.max_head_bytes:
        raise HeadTooLarge(
            f"the head has {octets} octets, above limits.max_head_bytes ({limits.max_head_bytes})"
        )
    if octets <= limits.max_field_bytes:
        return  # then no field is longer
    for name, value in fields:
        if len(name) + len(value) > limits.max_field_bytes:
            raise HeadTooLarge(
                f"the field {name[:32]!r} has {len(name) + len(value)} octets, above limits.max_field_bytes "
                f"({limits.max_field_bytes})"
            )


def _check_fields(fields: Fields) -> None:
    pairs = fields.pairs()
    names = [name for name, _ in pairs]
    all_names = b"".join(names)
    if (
        all(names)
        and _TOKEN.fullmatch(all_names)
        and b"_" not in all_names
        and not _CONTROL.search(b"".join([value for _, value in pairs]))
    ):
        return  # nothing to complain of in any: three searches, where field by field it is two for each
    for name, value in pairs:
        if not _TOKEN.fullmatch(name):
            raise ClientError(f"{name[:32]!r} is no field name")
        if _CONTROL.search(value):
            raise ClientError(f"the field {name[:32]!r} holds a control character")
        if b"_" in name and name.lower().replace(b"_", b"-") in _FRAMING_LOOKALIKES:
            raise ClientError(f"the field {name[:32]!r} would pass for framing behind CGI")


def _check_framing(fields: Fields, version: tuple[int, int]) -> None:
    """One way only to tell where the body ends (RFC 9112 §6.1, §6.3)."""
    codings = fields.get_all(b"transfer-encoding")
    lengths = fields.get_all(b"content-length")
    if codings:
        if version == (1, 0):
            raise ClientError("Transfer-Encoding in an HTTP/1.0 request")
        if lengths:
            raise ClientError("both Content-Length and Transfer-Encoding")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise ClientError("Transfer-Encoding other than exactly chunked")
    if len(lengths) > 1:
        raise ClientError("Content-Length more than once")
    if lengths and not (lengths[0].isdigit() and len(lengths[0]) <= _LONGEST_CONTENT_LENGTH):
        raise ClientError("Content-Length is not a number of octets")


def _host(fields: Fields, version: tuple[int, int]) -> bytes:
    """The one Host field's value; empty if an HTTP/1.0 client sent none (RFC 9112 §3.2)."""
    hosts = fields.get_all(b"host")
    if not hosts and version == (1, 0):
        return b""
    if len(hosts) != 1:
        raise ClientError("HTTP/1.1 wants exactly one Host" if not hosts else "Host more than once")
    if split_authority(hosts[0]) is None:
        raise ClientError(f"Host {hosts[0][:64]!r} is not a host with an optional port")
    return hosts[0]


def _target(method: str, raw: bytes, host: bytes, scheme: str) -> tuple[bytes, bytes]:
    """The target in origin form (or `*`), and the authority that is meant (RFC 9112 §3.2)."""
    if not _TARGET.fullmatch(raw):
        raise ClientError("the target is empty or holds a fragment, space, control or non-ASCII character")
    if raw.startswith(b"/"):
        return raw, host
    if raw == b"*":
        if method != "OPTIONS":
            raise ClientError(f"the target * with {method}, which only OPTIONS may have")
        return raw, host
    match = _ABSOLUTE_FORM.fullmatch(raw)
    if match is None:
        raise ClientError(f"the target {raw[:64]!r} is neither a path nor an http URI")
    return _of_absolute_form(match, method, host, scheme)


def _of_absolute_form(match: re.Match[bytes], method: str, host: bytes, scheme: str) -> tuple[bytes, bytes]:
    asked_scheme, authority, rest = match.groups()
    if asked_scheme.lower().decode() != scheme:
        raise ClientError(f"an {asked_scheme.lower().decode()} target on a listener for {scheme}")
    if split_authority(authority) is None:  # no userinfo either, RFC 9110 §4.2.4
        raise ClientError(f"the target's {authority[:64]!r} is not a host with an optional port")
    if host and normal_authority(host, scheme=scheme) != normal_authority(authority, scheme=scheme):
        raise ClientError(f"the target's host {authority[:64]!r} is not Host {host[:64]!r}")
    if rest.startswith(b"/"):
        return rest, authority
    if method == "OPTIONS" and not rest:
        return b"*", authority  # RFC 9112 §3.2.4
    return b"/" + rest, authority
