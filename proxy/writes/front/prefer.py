"""What a client would like: the field Prefer, read as leniently as it asks for (RFC 7240 §2).

The first instance of a preference counts, also where it cannot be read; what is unknown or malformed is as if
it were not there. Parameters mean nothing for those that we know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from proxy.http.fields import Fields

LONGEST_WAIT_S: Final = 2.0**31
"""A longer one is this one, as RFC 9111 §1.2.2 has it for other numbers of seconds."""

# An open quote runs to the end of the field: each octet is looked at once, whatever a client sends.
_PIECE: Final = re.compile(rb'[^",;]+|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[,;]', re.DOTALL)
_PREFERENCE: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:=[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+|\"(?:[^\"\\]|\\.)*\")?)?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences that matter to a write. `wait_s` is None if none was said."""

    respond_async: bool = False
    wait_s: float | None = None


_NONE: Final = Preferences()


def preferences(fields: Fields) -> Preferences:
    """What the request's Prefer says. Never raises.

    Source: RFC 7240 §2, §4.1, §4.3.
    """
    if b"prefer" not in fields:
        return _NONE
    found: dict[bytes, bytes] = {}
    for text in _preferences_of(b",".join(fields.get_all(b"prefer"))):
        match = _PREFERENCE.fullmatch(text)
        if match is not None:
            found.setdefault(match[1].lower(), _unquoted(match[2] or b""))
    return Preferences(respond_async=found.get(b"respond-async") == b"", wait_s=_seconds(found.get(b"wait")))


_OURS: Final = re.compile(rb"(?:respond-async|wait)(?![!#$%&'*+.^_`|~0-9A-Za-z-])", re.IGNORECASE)


def without_ours(fields: Fields) -> Fields:
    """The fields without the preferences that we heed in the origin's place; all others as they came."""
    if b"prefer" not in fields:
        return fields
    members = [member.strip(b" \t") for value in fields.get_all(b"prefer") for member in _members_of(value)]
    left = [member for member in members if member and not _OURS.match(member)]
    without = fields.without((b"prefer",))
    return without.with_added((b"Prefer", b", ".join(left))) if left else without


def _members_of(value: bytes) -> list[bytes]:
    """The members of the list, each with its parameters."""
    members = [b""]
    for match in _PIECE.finditer(value):
        if match[0] == b",":
            members.append(b"")
        else:
            members[-1] += match[0]
    return members


def _preferences_of(value: bytes) -> list[bytes]:
    """The members of the list, each without its parameters."""
    members = [b""]
    in_parameters = False
    for match in _PIECE.finditer(value):
        piece = match[0]
        if piece == b",":
            members.append(b"")
            in_parameters = False
        elif piece == b";":
            in_parameters = True
        elif not in_parameters:
            members[-1] += piece
    return [member.strip(b" \t") for member in members]


def _unquoted(word: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", word[1:-1], flags=re.DOTALL) if word.startswith(b'"') else word


def _seconds(digits: bytes | None) -> float | None:
    if digits is None or not digits.isdigit():
        return None
    return LONGEST_WAIT_S if len(digits) > 10 else min(float(digits), LONGEST_WAIT_S)
