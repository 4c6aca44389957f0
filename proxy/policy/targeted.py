"""Targeted cache control: fields that take the place of Cache-Control for the caches they name (RFC 9213).

Such a field is a structured dictionary (RFC 9651), so a value that cannot be read is no value: the next
one on the list is asked, and in the end Cache-Control and Expires. A directive that is there with a type
it cannot have counts as in Cache-Control what cannot be read: it forbids, or sets 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from proxy.config.settings import RouteCacheSettings
from proxy.http.fields import Fields
from proxy.http.structured import parse_dictionary
from proxy.policy.cache_control import MAX_DELTA_S, ResponseDirectives


def response_directives(fields: Fields, *, cache: RouteCacheSettings) -> ResponseDirectives:
    """The directives that govern a response here: of the first valid targeted field, else Cache-Control's.

    Never raises. `targeted` says which of the two, since a targeted field silences Expires as well.

    Source: RFC 9213 §2.2.
    """
    for name in _field_names(cache.targets):
        value = fields.get(name)
        found = None if value is None else _read(value)
        if found is not None:
            return found
    return ResponseDirectives.parse(fields)


@lru_cache(maxsize=64)  # lists of the configuration: a few
def _field_names(targets: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(name.lower().encode() for name in targets)


@lru_cache(maxsize=256)
def _read(value: bytes) -> ResponseDirectives | None:
    """None if the value is empty or no dictionary."""
    members = parse_dictionary(value)
    return ResponseDirectives.of(_TargetedDirectives(members), targeted=True) if members else None


class _TargetedDirectives:
    """The members of a targeted field, asked as those of a Cache-Control are."""

    well_formed = True

    def __init__(self, members: Mapping[str, object]) -> None:
        self._members = members

    def has(self, name: bytes) -> bool:
        return name.decode() in self._members

    def has_plain(self, name: bytes) -> bool:
        return self._members.get(name.decode()) is True

    def names_in(self, name: bytes) -> tuple[bytes, ...]:
        value = self._members.get(name.decode())
        if not isinstance(value, str):
            return ()
        parts = (part.strip(" \t").lower() for part in value.split(","))
        return tuple(part.encode() for part in parts if part)

    def seconds(self, name: bytes) -> int | None:
        value = self._members.get(name.decode())
        if value is None:
            return None
        if type(value) is not int or value < 0:  # not isinstance: a boolean is an int to Python
            return 0
        return min(value, MAX_DELTA_S)
