"""Surrogate keys: the labels that an origin puts on a response, for purging as a group."""

from __future__ import annotations

from proxy.http.fields import Fields


def surrogate_keys(fields: Fields) -> frozenset[bytes]:
    """Labels from `Surrogate-Key` (separated by spaces) and `Cache-Tag` (by commas)."""
    if b"surrogate-key" not in fields and b"cache-tag" not in fields:
        return frozenset()
    spaced = b" ".join(fields.get_all(b"surrogate-key")).split()
    return frozenset(spaced) | frozenset(fields.members(b"cache-tag"))
