"""What the admin listener reads and writes: JSON either way, errors as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web

from proxy.errors import ClientError
from proxy.http.rendering import phrase_of


class NotJson(ClientError):
    """The body is of another type (RFC 9110 §15.5.16)."""

    status = 415


async def ordered(request: web.Request) -> object:
    """The body's JSON value. It must be said to be JSON, which no page of another site makes a browser say.

    Raises: ClientError.
    """
    if request.content_type != "application/json":
        raise NotJson(f"the body is {request.content_type}; send JSON, as `Content-Type: application/json`")
    try:
        return json.loads(await request.read(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ClientError(f"the body is not JSON: {error}") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Raises: ClientError for a name that is there twice: one of its values would be overlooked."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ClientError("the body has a name twice; write it once")
    return found


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """A problem document (RFC 9457)."""
    document = {"type": "about:blank", "title": phrase_of(status), "status": status, "detail": detail}
    response = _answer(status, document, "application/problem+json")
    response.headers.update(headers or {})
    return response


def document_answer(document: Mapping[str, object]) -> web.Response:
    """200 with this document."""
    return _answer(200, document, "application/json")


def _answer(status: int, document: Mapping[str, object], content_type: str) -> web.Response:
    text = json.dumps(document, indent=2) + "\n"
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    return web.Response(status=status, body=text.encode(), headers=headers)
