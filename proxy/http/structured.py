"""Structured fields (RFC 9651) as plain values. What cannot be read is empty: such a field is ignored whole.

Parameters are dropped, none that we read has any that means something. Inner lists become tuples.
"""

from __future__ import annotations

from collections.abc import Mapping

import http_sf

_MAX_OCTETS = 16_384


def parse_dictionary(value: bytes) -> Mapping[str, object]:
    """The members of a dictionary; empty if it has none or cannot be read. Never raises."""
    members = _parsed(value, "dictionary")
    if not isinstance(members, dict):
        return {}
    return {name: _bare(member) for name, member in members.items()}


def parse_list(value: bytes) -> tuple[object, ...]:
    """The members of a list; empty if it has none or cannot be read. Never raises."""
    members = _parsed(value, "list")
    return tuple(_bare(member) for member in members) if isinstance(members, list) else ()


def parse_item(value: bytes) -> object:
    """The value of an item; None if there is none or it cannot be read. Never raises."""
    item = _parsed(value, "item")
    return None if item is None else _bare(item)


def _parsed(value: bytes, kind: str) -> object:
    if len(value) > _MAX_OCTETS:
        return None
    try:
        return http_sf.parse(value, tltype=kind)
    except (http_sf.StructuredFieldError, ValueError):
        return None


def _bare(member: object) -> object:
    """An item or inner list without its parameters, which the library gives as a pair."""
    assert isinstance(member, tuple), f"{member!r} has no parameters"
    value = member[0]
    return tuple(_bare(item) for item in value) if isinstance(value, list) else value
