"""Heads as octets, from validated parts. The last place where a field could split a message, so it looks."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from proxy.http.fields import Pair

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}


class UnsafeField(ValueError):
    """A field name or value with CR, LF or NUL: written out it would be more than one field."""


def render_fields(pairs: Iterable[Pair]) -> bytes:
    """The fields as lines, each with its CRLF.

    Raises: UnsafeField.
    """
    lines = [b"%b: %b\r\n" % pair for pair in pairs]
    block = b"".join(lines)
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines) or b"\0" in block:
        raise UnsafeField("a header field holds CR, LF or NUL")
    return block


def status_line(status: int, reason: bytes = b"") -> bytes:
    """The status line with its CRLF; always HTTP/1.1, our own version (RFC 9110 §2.5)."""
    return b"HTTP/1.1 %d %b\r\n" % (status, reason or _PHRASES.get(status, b""))


def shared_phrase(status: int, reason: bytes) -> bytes:
    """The reason phrase; the same object for all heads that have the registered one."""
    registered = _PHRASES.get(status, b"")
    return registered if reason == registered else reason


def phrase_of(status: int) -> str:
    """The registered reason phrase; empty if unknown."""
    return _PHRASES.get(status, b"").decode()
