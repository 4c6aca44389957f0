from __future__ import annotations

import asyncio

import pytest

from origin_stub import Stub
from origin_stub.raw import RAW_KINDS
from tests.origin_stub.raw_client import exchange


@pytest.mark.parametrize("kind", [kind for kind in RAW_KINDS if kind != "extra-response"])
async def test_a_raw_answer_comes_octet_by_octet_and_closes(stub: Stub, kind: str) -> None:
    octets = await exchange(stub, f"GET /a?size=20&raw={kind} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert octets == RAW_KINDS[kind](stub.body_of("/a", 20))


async def test_an_extra_response_waits_on_the_open_connection(stub: Stub) -> None:
    reader, writer = await asyncio.open_connection(stub.host, stub.port)
    writer.write(b"GET /a?size=20&raw=extra-response HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await reader.readuntil(b"poison")
    writer.write(b"GET /b?size=0 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.transport.abort()
