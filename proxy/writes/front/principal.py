"""Whose a write is: others neither see nor cancel it, and their Idempotency-Keys are others.

Nobody is let in or kept out by it: that is the origin's, which gets the credentials with the write. A forged
claim is worth nothing without the write's id, which cannot be guessed; and to be given somebody's stored
answer under his Idempotency-Key, it takes that key and the same request.

A cookie is mostly a credential, and a principal is kept and shown: so of a cookie it is a digest, as of
anything too long. The empty principal is nobody's in particular.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from proxy.http.cookies import cookie_values
from proxy.http.fields import Fields
from proxy.policy.hop_by_hop import hop_by_hop_names
from proxy.writes.front.bearer_token import claim, claims_of

MAX_CHARACTERS: Final = 256
_DIGEST_MARK: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class PrincipalRule:
    """What names the principal; one of the three."""

    header: str | None = None
    cookie: str | None = None
    claim: str | None = None


def principal_of(fields: Fields, rule: PrincipalRule) -> str:
    """The principal of a request; empty if it names none. Never raises.

    A field or cookie that is there more than once makes a principal of all its values, in order: none of
    those whom it names, since nobody can tell whom the origin takes.
    """
    if rule.header is not None:
        return _of_header(fields, rule.header.lower().encode())
    if rule.cookie is not None:
        return _digest(cookie_values(fields, rule.cookie.encode()))
    if rule.claim is not None:
        return _of_claim(fields, rule.claim)
    return ""


def _of_header(fields: Fields, name: bytes) -> str:
    if name in hop_by_hop_names(fields):  # the origin does not see it, and a client can name any field
        return ""
    values = tuple(value.strip(b" \t") for value in fields.get_all(name))
    return _shown(values[0]) if len(values) == 1 else _digest(values)


def _of_claim(fields: Fields, name: str) -> str:
    """A string or an integer: others name nobody."""
    value = claim(claims_of(fields), name)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    try:
        return _shown(str(value).encode("utf-8", "surrogatepass"))
    except ValueError:  # an integer of thousands of digits
        return ""


def _shown(value: bytes) -> str:
    """As it is, if it is short and readable; else a digest, and so for whatever could pass for one."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _digest((value,))
    if len(text) > MAX_CHARACTERS or not text.isprintable() or text.startswith(_DIGEST_MARK):
        return _digest((value,))
    return text


def _digest(values: Sequence[bytes]) -> str:
    """Of the values one by one, each with its length; empty if all are."""
    if not any(values):
        return ""
    return _DIGEST_MARK + sha256(b"".join(b"%d:%b" % (len(value), value) for value in values)).hexdigest()
