"""Surrogate keys: the labels that an origin puts on a response, for purging as a group."""

from __future__ import annotations

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.http.structured import parse_list
from proxy.policy.authority import normal_authority

MAX_GROUPS = 128
"""Of one field; more are left out. RFC 9875 §2 asks for at least 32."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110 §9.2.1."""


def surrogate_keys(fields: Fields, *, origin: bytes = b"") -> frozenset[bytes]:
    """Labels from `Surrogate-Key` (separated by spaces), `Cache-Tag` (by commas) and `Cache-Groups`.

    Groups are labels within their URI origin, see `uri_origin`; without it they are left out.
    """
    labels: frozenset[bytes] = frozenset()
    if b"surrogate-key" in fields:
        labels = frozenset(b" ".join(fields.get_all(b"surrogate-key")).split())
    if b"cache-tag" in fields:
        labels |= frozenset(fields.members(b"cache-tag"))
    if b"cache-groups" in fields and origin:
        labels |= {group_label(group, origin=origin) for group in _groups(fields, b"cache-groups")}
    return labels


def group_label(group: str, *, origin: bytes) -> bytes:
    """The label of a cache group: equal only for the same group of the same origin (RFC 9875 §2.1).

    It holds a comma and a space, which no label of the other two fields does both.
    """
    return b"group, %b %b" % (origin, group.encode())


def _groups(fields: Fields, name: bytes) -> tuple[str, ...]:
    """The groups of a list of strings; none if any member is something else (RFC 9651 §4.2)."""
    members = parse_list(fields.get(name) or b"")
    groups = tuple(member for member in members if isinstance(member, str))
    return groups[:MAX_GROUPS] if len(groups) == len(members) else ()


def plain_groups(fields: Fields) -> frozenset[bytes]:
    """The names of the response's cache groups, of any origin; less those that a label is made like."""
    groups = _groups(fields, b"cache-groups")
    return frozenset(group.encode() for group in groups if ", " not in group)


def uri_origin(request: RequestHead) -> bytes:
    """Scheme and authority that two targets share if they are of one origin (RFC 9110 §4.3.1)."""
    authority = normal_authority(request.authority, scheme=request.scheme)
    return b"%b://%b" % (request.scheme.encode(), authority)


def invalidated_groups(request: RequestHead, response: ResponseHead) -> frozenset[bytes]:
    """Labels of the groups that a response to an unsafe request invalidates, all of the target's origin.

    It goes no further: what shares other groups with the responses invalidated stays (RFC 9875 §2.2.1).

    Source: RFC 9875 §3.
    """
    if request.method in SAFE_METHODS or b"cache-group-invalidation" not in response.fields:
        return frozenset()
    origin = uri_origin(request)
    groups = _groups(response.fields, b"cache-group-invalidation")
    return frozenset(group_label(group, origin=origin) for group in groups)
