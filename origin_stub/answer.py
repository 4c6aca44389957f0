"""One answer under its behaviour: fields, 304, ranges, and the body with its accidents."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha1

from aiohttp import web

from origin_stub.barriers import Barriers
from origin_stub.behaviour import Behaviour
from origin_stub.body import body_slice
from origin_stub.conditional import Part, Unsatisfiable, Validators, is_not_modified, select_range
from origin_stub.raw import RawResponse

_PIECE_BYTES = 64 * 1024
_DRIPS_PER_S = 20
_LINGER_RESET = struct.pack("ii", 1, 0)
_BODILESS = frozenset({204, 205, 304})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request with all that its answer depends on.

    `version` counts the touches of the path, `changed_at` is when the last one was (Unix seconds).
    """

    request: web.BaseRequest
    path: str
    number: int
    behaviour: Behaviour
    version: int = 0
    changed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Representation:
    """The whole body that a 200 carries; `octets(start, stop)` makes a part of it."""

    size: int
    octets: Callable[[int, int], bytes]
    content_type: str


async def answer(asked: Asked, barriers: Barriers) -> web.StreamResponse:
    """Send the answer to its end, or to the accident that was asked for."""
    behaviour = asked.behaviour
    if behaviour.reset:
        reset_connection(asked.request)
        return RawResponse("empty", b"")
    representation = _representation(asked)
    if behaviour.raw is not None:
        return RawResponse(behaviour.raw, representation.octets(0, representation.size))
    if behaviour.hints:
        _send_hints(asked.request)
    validators = _validators(asked)
    response = web.StreamResponse(status=behaviour.status)
    _set_fields(response, asked, representation, validators)
    part = _select_part(asked, response, representation, validators)
    await response.prepare(asked.request)
    if part is not None and asked.request.method != "HEAD":
        await _send_body(asked, response, representation, part, barriers)
    return response


def reset_connection(request: web.BaseRequest) -> None:
    """End the connection so that its peer sees a reset, where the socket knows such a thing."""
    transport = request.transport
    if transport is None:
        return
    underlying = transport.get_extra_info("socket")
    if underlying is not None and underlying.family != socket.AF_UNIX:
        underlying.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    transport.abort()


def _representation(asked: Asked) -> _Representation:
    behaviour = asked.behaviour
    if behaviour.status in _BODILESS:
        return _Representation(0, lambda start, stop: b"", behaviour.type or "application/octet-stream")
    if behaviour.unique:
        octets = _unique_body(asked)
        return _Representation(
            len(octets), lambda start, stop: octets[start:stop], behaviour.type or "application/json"
        )
    path, size, version = asked.path, behaviour.size, asked.version
    return _Representation(
        size,
        lambda start, stop: body_slice(path, size, start, stop, version=version),
        behaviour.type or "application/octet-stream",
    )


def _unique_body(asked: Asked) -> bytes:
    """JSON that says whose answer this is, padded to the size asked for."""
    headers = asked.request.headers
    varying = [name.strip() for name in (asked.behaviour.vary or "").split(",") if name.strip()]
    told = {
        "number": asked.number,
        "path": asked.path,
        "who": headers.get("X-Who"),
        "cookie": headers.get("Cookie"),
        "authorization": headers.get("Authorization"),
        "vary": {name: headers.get(name) for name in varying},
    }
    return json.dumps(told).encode().ljust(asked.behaviour.size)


def _validators(asked: Asked) -> Validators:
    behaviour = asked.behaviour
    etag = behaviour.etag
    if etag in ("1", "weak"):
        text = f"{asked.path}\n{behaviour.size}\n{asked.version}"
        strong = f'"{sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]}"'
        etag = strong if etag == "1" else f"W/{strong}"
    elif etag is not None and not etag.endswith('"'):
        etag = f'"{etag}"'
    return Validators(etag, asked.changed_at - behaviour.lm if behaviour.lm is not None else None)


def _set_fields(
    response: web.StreamResponse, asked: Asked, representation: _Representation, validators: Validators
) -> None:
    behaviour = asked.behaviour
    fields = {
        "Content-Type": representation.content_type,
        "Cache-Control": behaviour.cc,
        "Vary": behaviour.vary,
        "ETag": validators.etag,
        "X-Request-Number": str(asked.number),
    }
    if validators.last_modified_at is not None:
        fields["Last-Modified"] = formatdate(validators.last_modified_at, usegmt=True)
    if behaviour.cookie is not None:
        # The number makes it another cookie each time: a shared one would be seen.
        fields["Set-Cookie"] = f"{behaviour.cookie}={asked.number}; Path=/"
    for name, value in fields.items():
        if value is not None:
            response.headers[name] = value
    for name, value in behaviour.header:
        response.headers.add(name, value)


def _select_part(
    asked: Asked, response: web.StreamResponse, representation: _Representation, validators: Validators
) -> Part | None:
    """Set status, framing and range fields; give what is to be sent, None for no body at all."""
    behaviour, request = asked.behaviour, asked.request
    if behaviour.status == 200 and request.method in ("GET", "HEAD"):
        if is_not_modified(
            validators,
            if_none_match=request.headers.get("If-None-Match"),
            if_modified_since=request.headers.get("If-Modified-Since"),
        ):
            response.set_status(304)
            del response.headers["Content-Type"]
            return None
        if request.method == "GET" and not behaviour.chunked and not behaviour.unique:
            response.headers["Accept-Ranges"] = "bytes"
            part = select_range(
                validators,
                representation.size,
                range_field=request.headers.get("Range"),
                if_range=request.headers.get("If-Range"),
            )
            if part is not None:
                return _set_range(response, representation.size, part)
    if behaviour.status in _BODILESS:
        return None
    if not behaviour.chunked:
        response.content_length = representation.size
    elif request.version >= (1, 1):
        response.enable_chunked_encoding()
    return Part(0, representation.size)


def _set_range(response: web.StreamResponse, size: int, part: Part | Unsatisfiable) -> Part | None:
    if isinstance(part, Unsatisfiable):
        response.set_status(416)
        response.headers["Content-Range"] = f"bytes */{size}"
        response.content_length = 0
        return None
    response.set_status(206)
    response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    response.content_length = part.stop - part.start
    return part


def _send_hints(request: web.BaseRequest) -> None:
    if request.transport is not None and request.version >= (1, 1):
        request.transport.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")


def _piece_bytes(behaviour: Behaviour, size: int) -> int:
    if behaviour.chunks:
        return max(1, -(-size // behaviour.chunks))
    if behaviour.drip:
        return max(1, int(behaviour.drip / _DRIPS_PER_S))
    return _PIECE_BYTES


async def _send_body(
    asked: Asked,
    response: web.StreamResponse,
    representation: _Representation,
    part: Part,
    barriers: Barriers,
) -> None:
    """Send the part piece by piece; positions of barrier and cut count from the body's begin."""
    behaviour = asked.behaviour
    cut_at = behaviour.cut.after_bytes if behaviour.cut is not None else None
    piece_bytes = _piece_bytes(behaviour, representation.size)
    loop = asyncio.get_running_loop()
    began_mono = loop.time()
    position = part.start
    while True:
        if barriers.position(asked.path) == position:
            await response.write(b"")
            await barriers.pass_body(asked.path)
        if behaviour.cut is not None and position >= behaviour.cut.after_bytes:
            _cut(asked.request, reset=behaviour.cut.reset)
            return
        if position >= part.stop:
            return
        upcoming = min(position + piece_bytes, part.stop)
        for place in (barriers.position(asked.path), cut_at):
            if place is not None and position < place < upcoming:
                upcoming = place
        if behaviour.drip:
            due_mono = began_mono + (upcoming - part.start) / behaviour.drip
            await asyncio.sleep(max(0.0, due_mono - loop.time()))
        await response.write(representation.octets(position, upcoming))
        position = upcoming


def _cut(request: web.BaseRequest, *, reset: bool) -> None:
    if reset:
        reset_connection(request)
    elif request.transport is not None:
        request.transport.close()
