from __future__ import annotations

import re
from hashlib import sha256

import aiohttp
import pytest

from origin_stub import Stub
from tests.origin_stub.raw_client import exchange


async def test_a_browser_finds_page_style_and_image(session: aiohttp.ClientSession) -> None:
    async with session.get("/") as answer:
        assert answer.content_type == "text/html"
        page = await answer.text()
    for reference, content_type in (("/style.css", "text/css"), ("/lock.svg", "image/svg+xml")):
        assert re.search(f'(href|src)="{reference}"', page)
        async with session.get(reference) as answer:
            assert answer.status == 200
            assert answer.content_type == content_type


async def test_events_tick_and_go_on_after_the_last_one_seen(session: aiohttp.ClientSession) -> None:
    async with session.get("/events?interval=0&count=2", headers={"Last-Event-ID": "41"}) as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.text() == "id: 42\ndata: tick 42\n\nid: 43\ndata: tick 43\n\n"


async def test_events_need_numbers(session: aiohttp.ClientSession) -> None:
    async with session.get("/events?interval=often") as answer:
        assert answer.status == 400


async def test_the_websocket_echoes_text_and_octets(session: aiohttp.ClientSession) -> None:
    async with session.ws_connect("/ws") as websocket:
        await websocket.send_str("a")
        assert await websocket.receive_str() == "a"
        await websocket.send_bytes(b"\x00")
        assert await websocket.receive_bytes() == b"\x00"


async def test_an_ordinary_request_for_the_websocket_is_told_to_upgrade(
    session: aiohttp.ClientSession,
) -> None:
    async with session.get("/ws") as answer:
        assert answer.status == 426


async def test_an_upload_is_counted_and_hashed(session: aiohttp.ClientSession) -> None:
    octets = b"u" * 300_000
    async with session.put("/upload", data=octets) as answer:
        assert await answer.json() == {"bytes": 300_000, "sha256": sha256(octets).hexdigest()}


@pytest.mark.parametrize("target", ["/upload", "/anything", "/entities/1"])
async def test_a_body_is_asked_for_where_the_client_expects_it(stub: Stub, target: str) -> None:
    head = f"PUT {target} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n"
    octets = await exchange(stub, f"{head}Content-Length: 3\r\n\r\nabc".encode())
    assert octets.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert octets.count(b"100 Continue") == 1
