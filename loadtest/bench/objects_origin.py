"""An origin of very many objects, each with the head that a site's pages have: twelve fields."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import signal
from email.utils import formatdate
from typing import cast

import uvloop

_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: %b\r\n"
    b"Server: Apache/2.4.62 (Debian)\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Length: %d\r\n"
    b"Last-Modified: %b\r\n"
    b'ETag: "%b"\r\n'
    b"Cache-Control: public, max-age=86400\r\n"
    b"Accept-Ranges: bytes\r\n"
    b"X-Request-Id: %b\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
    b"Content-Language: en\r\n"
    b"\r\n"
)
_A_YEAR_AGO_S = 1_750_000_000


def head_of(target: bytes, length: int) -> bytes:
    """The head for this target, the same at each call but for its Date."""
    digest = hashlib.sha256(target).hexdigest().encode()
    modified = formatdate(_A_YEAR_AGO_S + int(digest[:6], 16), usegmt=True).encode()
    date = formatdate(usegmt=True).encode()
    return _HEAD % (date, length, modified, digest[:20], digest[:32])


def body_for(target: bytes, length: int) -> bytes:
    """The body for this target: no two are the same, so that nobody can keep them as one."""
    return (target + b" ") * (length // (len(target) + 1)) + target[: length % (len(target) + 1)]


class _Origin(asyncio.Protocol):
    """One connection."""

    size = 0

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            target = request.split(b" ", 2)[1]
            self._transport.write(head_of(target, self.size) + body_for(target, self.size))


async def _serve(port: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    server = await asyncio.get_running_loop().create_server(_Origin, "127.0.0.1", port, backlog=1024)
    await stopped.wait()
    server.close()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    arguments = parser.parse_args()
    _Origin.size = arguments.size
    uvloop.run(_serve(arguments.port))


if __name__ == "__main__":
    main()
