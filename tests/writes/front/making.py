"""Tokens for tests."""

from __future__ import annotations

import base64
import json

from proxy.http.fields import Fields


def token(payload: object, *, scheme: str = "Bearer") -> bytes:
    """The value of Authorization for a JWT with these claims (or these octets), whose signature is none."""
    octets = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    parts = [base64.urlsafe_b64encode(one).rstrip(b"=") for one in (b'{"alg":"HS256"}', octets, b"signature")]
    return scheme.encode() + b" " + b".".join(parts)


def bearing(payload: object, *, scheme: str = "Bearer") -> Fields:
    """Fields with such a token."""
    return Fields([(b"Authorization", token(payload, scheme=scheme))])
