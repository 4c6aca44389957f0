"""The least that a server on asyncio could do: answer everybody with a constant after the delay.

No cache, no parsing, no fill: the first request of a target starts a timer, and when it ends all who
asked are answered. What a herd takes against this is the price of the sockets, the loop and the load
generator, and nobody measured by the same generator can be much below it.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import cast

import uvloop

from origin_stub import body_of


class _Floor(asyncio.Protocol):
    """One connection; requests are told apart by their target alone."""

    waiting: dict[bytes, list[asyncio.Transport]] = {}  # noqa: RUF012 - shared by all connections on purpose
    delay_s = 0.0
    size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        target = data.split(b" ", 2)[1]
        waiting = self.waiting.get(target)
        if waiting is None:
            waiting = self.waiting[target] = []
            asyncio.get_running_loop().call_later(self.delay_s, self._answer, target)
        waiting.append(self._transport)

    def _answer(self, target: bytes) -> None:
        body = body_of(target.partition(b"?")[0].decode(), self.size)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        for transport in self.waiting.pop(target):
            transport.write(answer)


async def _serve(port: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    server = await asyncio.get_running_loop().create_server(_Floor, "127.0.0.1", port, backlog=4096)
    await stopped.wait()
    server.close()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, required=True)
    parser.add_argument("--size", type=int, required=True)
    arguments = parser.parse_args()
    _Floor.delay_s = arguments.delay
    _Floor.size = arguments.size
    uvloop.run(_serve(arguments.port))


if __name__ == "__main__":
    main()
