"""One connection of one client: a request, its answer, the next request. As little between as possible."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, cast

import httptools

RETRY_S = 0.02


class Broken(Exception):
    """The connection ended before the answer did."""


class Address(NamedTuple):
    """Whom to ask."""

    host: str
    port: int

    @property
    def name(self) -> str:
        """As it stands in Host."""
        return f"{self.host}:{self.port}"


class Reply(NamedTuple):
    """A whole answer; names of fields in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


class HttpConnection(asyncio.Protocol):
    """Opened again by `ready()` after it broke. One request at a time."""

    def __init__(self, address: Address, *, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._begin_answer()

    def _begin_answer(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._fields: dict[str, str] = {}
        self._body = b""

    async def ready(self, give_up_after_s: float = 120.0) -> None:
        """Be connected, however often that takes. Raises: Broken after so many seconds."""
        if self._transport is not None and not self._transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + give_up_after_s
        while True:
            try:
                await loop.create_connection(lambda: self, self._address.host, self._address.port)
            except OSError as error:
                if loop.time() > deadline:
                    raise Broken(f"cannot connect to {self._address.name}: {error}") from None
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def ask(self, method: str, target: str, lines: str = "", body: bytes = b"") -> Reply:
        """Send a request, in this very step, and wait for its answer; `lines` end in CRLF. Raises: Broken."""
        if self._transport is None or self._transport.is_closing():
            raise Broken("closed before the request")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        self._answer = answer
        length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
        self._transport.write(
            f"{method} {target} HTTP/1.1\r\nHost: {self._address.name}\r\n{lines}{length}\r\n".encode() + body
        )
        timer = loop.call_later(self._timeout_s, self._break, "no answer in time")
        try:
            return await answer
        finally:
            timer.cancel()
            if not answer.done() or answer.cancelled():
                self.close()
            self._answer = None

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _break(self, why: str) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Broken(why))

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._begin_answer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._break("closed" if exc is None else str(exc))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._break(f"no HTTP: {error}")

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._fields, self._body = {}, b""
            return
        reply = Reply(status, self._fields, self._body)
        keeps = self._parser.should_keep_alive()
        self._fields, self._body = {}, b""
        if not keeps:
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(reply)
