"""The field Idempotency-Key of a client, and what tells its request from another one.

Source: draft-ietf-httpapi-idempotency-key-header-07 (a draft, expired in April 2026). It wants a String of
structured fields, in quotes; most clients send the key bare, and so may it be here: `"k"` and `k` are one.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from proxy.errors import IdempotencyKeyMalformed, IdempotencyKeyMissing
from proxy.http.fields import Fields
from proxy.http.structured import parse_item

MAX_CHARACTERS: Final = 255

_BARE: Final = re.compile(
    rb"[!#-+\--:<-\[\]-~]+"
)  # visible ASCII less the quote, comma, semicolon and backslash
_FIELD: Final = b"idempotency-key"


def idempotency_key(fields: Fields, *, required: bool = False) -> str | None:
    """The client's key, without quotes; None if it sent none.

    Raises: IdempotencyKeyMalformed; IdempotencyKeyMissing, if one is required.
    """
    values = fields.get_all(_FIELD)
    if not values:
        if required:
            raise IdempotencyKeyMissing(
                'a write must have an Idempotency-Key here: a new one for each, as "8e03978e-40d5-43dd-bc93"'
            )
        return None
    if len(values) > 1:
        raise IdempotencyKeyMalformed("Idempotency-Key is there more than once; send one")
    key = _key_of(values[0].strip(b" \t"))
    if not key:
        raise IdempotencyKeyMalformed(
            'Idempotency-Key cannot be read or is empty; send a string of visible ASCII in quotes, as "k-1"'
        )
    if len(key) > MAX_CHARACTERS:
        raise IdempotencyKeyMalformed(
            f"Idempotency-Key has {len(key)} characters; at most {MAX_CHARACTERS} are taken"
        )
    return key


def _key_of(value: bytes) -> str:
    """Empty if it is none."""
    if _BARE.fullmatch(value):
        return value.decode()
    item = parse_item(value)
    # A Token is a string to the library, too; one with parameters is no bare key.
    return item if type(item) is str else ""


def fingerprint(method: str, target: bytes, content_type: bytes | None, body: bytes) -> bytes:
    """A digest of a request: equal only for requests that are equal in these four, whatever they hold."""
    head = method.encode()
    kind = b"~" if content_type is None else b"%d:%b" % (len(content_type), content_type)
    digest = sha256(b"%d:%b%d:%b%b" % (len(head), head, len(target), target, kind))
    digest.update(body)  # the last one needs no length
    return digest.digest()
