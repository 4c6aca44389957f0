"""Cookies of a request, as sent: nothing is decoded, and no name is better than another."""

from __future__ import annotations

from proxy.http.fields import Fields


def cookie_values(fields: Fields, name: bytes) -> tuple[bytes, ...]:
    """The values of the cookies of this name, in order."""
    pairs = (pair.partition(b"=") for line in fields.get_all(b"cookie") for pair in line.split(b";"))
    return tuple(value.strip(b" \t") for found, _, value in pairs if found.strip(b" \t") == name)
