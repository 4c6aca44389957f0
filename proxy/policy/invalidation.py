"""What a successful unsafe request makes untrue of what is stored (RFC 9111 §4.4)."""

from __future__ import annotations

import re
from dataclasses import replace

from proxy.config.settings import RouteSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.authority import normal_authority, split_authority
from proxy.policy.surrogate_keys import SAFE_METHODS

_REFERENCE = re.compile(rb"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(?:#.*)?")
_TARGET = re.compile(rb"/[!\"$-~]*")  # visible ASCII less #

_NAMING_FIELDS = (b"location", b"content-location")


def invalidated_targets(
    request: RequestHead, response: ResponseHead, *, route: RouteSettings
) -> tuple[RequestHead, ...]:
    """GET heads of the targets that are to be invalidated, the request's own first, each once.

    Empty for safe methods, and for errors: nobody can tell what they changed, and an attacker could clear
    the cache by asking for failures. Location and Content-Location count only on the origin of the target.
    The heads have no fields: what each client adds to a key is not known.
    """
    if request.method in SAFE_METHODS or not 200 <= response.status < 400:
        return ()
    own = own_target(request)
    targets = [own]
    if route.cache.invalidate_locations:
        for name in _NAMING_FIELDS:
            values = response.fields.get_all(name)
            target = same_origin_target(own, values[0]) if len(values) == 1 else None
            if target is not None:
                targets.append(replace(own, target=target))
    return tuple(dict.fromkeys(targets))


def own_target(request: RequestHead) -> RequestHead:
    """A GET of the request's own target, without any field."""
    return replace(request, method="GET", fields=Fields())


def same_origin_target(request: RequestHead, reference: bytes) -> bytes | None:
    """The target that a URI reference names on the request's own origin; None if it is another's, or none.

    The fragment goes, percent-encoded octets stay as they are.

    Source: RFC 3986 §5.2, RFC 9110 §4.3.1.
    """
    match = _REFERENCE.fullmatch(reference.strip(b" \t"))
    if match is None or not request.target.startswith(b"/"):
        return None
    scheme, authority, path, query = match.groups()
    if scheme is not None and (authority is None or scheme.lower() != request.scheme.encode()):
        return None
    if authority is not None and not _is_own(request, authority):
        return None
    base_path, _, base_query = request.target.partition(b"?")
    if authority is not None:
        target = _without_dots(path or b"/") + (query or b"")
    elif not path:
        target = base_path + (query or (b"?" + base_query if b"?" in request.target else b""))
    else:
        merged = path if path.startswith(b"/") else base_path[: base_path.rindex(b"/") + 1] + path
        target = _without_dots(merged) + (query or b"")
    return target if _TARGET.fullmatch(target) else None


def _is_own(request: RequestHead, authority: bytes) -> bool:
    if split_authority(authority) is None:
        return False
    own = normal_authority(request.authority, scheme=request.scheme)
    return normal_authority(authority, scheme=request.scheme) == own


def _without_dots(path: bytes) -> bytes:
    """An absolute path without its segments `.` and `..` (RFC 3986 §5.2.4)."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    ends_with_slash = segments[-1] in (b".", b"..")
    return b"/" + b"/".join(kept) + (b"/" if ends_with_slash and kept else b"")
