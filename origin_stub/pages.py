"""What is not made from the query: a page for browsers, events, a WebSocket echo, an upload sink."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256

from aiohttp import WSMsgType, web

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Origin stub</title>
<link rel="stylesheet" href="/style.css">
<h1>Origin stub</h1>
<img src="/lock.svg" alt="A canal lock" width="320" height="160">
<p>An origin to try things on. Each request says how it wants to be answered:</p>
<ul>
<li><a href="/anything?delay=0.2&amp;size=10240&amp;cc=max-age=60">after 0.2 s, 10 KiB, fresh for a minute</a>
<li><a href="/mine?unique=1&amp;cc=private">for one user only</a>
<li><a href="/live/news/index.m3u8">the playlist of a live channel</a>
<li><a href="/events">an event stream</a>
<li><a href="/_stub/counters">what it was asked</a>
</ul>
</html>
"""
_STYLE = "body { font: 16px/1.5 sans-serif; margin: 3em auto; max-width: 40em; color: #234 }\n"
_IMAGE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 160">
<rect width="320" height="160" fill="#def"/>
<rect y="70" width="120" height="90" fill="#48b"/>
<rect x="120" y="70" width="100" height="90" fill="#6ad"/>
<rect x="220" y="120" width="100" height="40" fill="#48b"/>
<rect x="116" y="40" width="8" height="120" fill="#542"/>
<rect x="216" y="40" width="8" height="120" fill="#542"/>
<path d="M140 62h60l-10 14h-40z" fill="#b33"/>
</svg>
"""
_STATIC = {
    "/": ("text/html", _PAGE),
    "/style.css": ("text/css", _STYLE),
    "/lock.svg": ("image/svg+xml", _IMAGE),
}


def static_page(path: str) -> web.Response | None:
    """The page's files, fresh for a minute; None for any other path."""
    found = _STATIC.get(path)
    if found is None:
        return None
    content_type, text = found
    return web.Response(text=text, content_type=content_type, headers={"Cache-Control": "max-age=60"})


async def events(request: web.BaseRequest) -> web.StreamResponse:
    """Server-sent events, one every `interval` seconds (1), `count` of them (0: until the client leaves).

    Continues after Last-Event-ID. Source: WHATWG HTML, section 9.2.
    """
    try:
        interval_s = float(request.query.get("interval", "1"))
        count = int(request.query.get("count", "0"))
    except ValueError:
        return web.Response(status=400, text="interval is in seconds, count a whole number\n")
    last_id = request.headers.get("Last-Event-ID", "")
    number = int(last_id) + 1 if last_id.isdigit() else 0
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    sent = 0
    while not count or sent < count:
        await response.write(f"id: {number}\ndata: tick {number}\n\n".encode())
        number += 1
        sent += 1
        await asyncio.sleep(interval_s)
    return response


async def websocket_echo(request: web.BaseRequest) -> web.StreamResponse:
    """Every message back to its sender, until either side closes."""
    websocket = web.WebSocketResponse()
    if not websocket.can_prepare(request).ok:
        return web.Response(status=426, text="A WebSocket endpoint.\n", headers={"Upgrade": "websocket"})
    await websocket.prepare(request)
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
    return websocket


async def upload(request: web.BaseRequest) -> web.StreamResponse:
    """Octets and SHA-256 of the request body, read piece by piece and not kept."""
    digest = sha256()
    octets = 0
    async for piece in request.content.iter_any():
        digest.update(piece)
        octets += len(piece)
    return web.json_response(
        {"bytes": octets, "sha256": digest.hexdigest()}, headers={"Cache-Control": "no-store"}
    )


ENDPOINTS: dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {
    "/events": events,
    "/ws": websocket_echo,
    "/upload": upload,
}
"""Paths with a handler of their own."""
