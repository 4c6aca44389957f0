"""Octets to the stub and everything that comes back."""

from __future__ import annotations

import asyncio

from origin_stub import Stub


async def exchange(stub: Stub, octets: bytes) -> bytes:
    """Send and read until the stub closes. Raises: ConnectionResetError."""
    reader, writer = await asyncio.open_connection(stub.host, stub.port)
    try:
        writer.write(octets)
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.transport.abort()
