"""HTTP/1.1 for the lists: one protocol object for a connection, and nothing between it and the socket.

A framework would take ten times the time of a write, and the origin shares its core with what it measures.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple, cast

import httptools

from origin_stub.lists.ledger import Ledger
from origin_stub.lists.lists import Lists, is_name

_MAX_BODY_BYTES = 1 << 20
_PIECE_BYTES = 1 << 18
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HEADS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\nServer: lists\r\n" for status in HTTPStatus
}


class _Request(NamedTuple):
    method: str
    target: str
    write: str
    idem: str | None
    body: bytes


class Connection(asyncio.Protocol):
    """One connection: requests are answered in the order in which they came."""

    def __init__(self, lists: Lists, ledger: Ledger, max_age_s: int, open_ones: set[Connection]) -> None:
        self._lists = lists
        self._ledger = ledger
        self._max_age_s = max_age_s
        self._open_ones = open_ones
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[_Request] = deque()
        self._busy = False
        self._history: Iterator[bytes] | None = None
        self._writable = True
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._write = ""
        self._idem: str | None = None
        self._body = b""

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._open_ones.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._open_ones.discard(self)
        self._lists.left(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._send_history()

    # httptools

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"x-write":
                self._write = value.decode("latin-1")
            case b"idempotency-key":
                self._idem = value.decode("latin-1")
            case b"expect" if self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > _MAX_BODY_BYTES:
            self.close()

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode("latin-1")
        request = _Request(method, self._url.decode("latin-1"), self._write, self._idem, self._body)
        self._begin()
        if self._busy:
            self._waiting.append(request)
        else:
            self._serve(request)

    # Asker

    @property
    def is_open(self) -> bool:
        """Whether an answer could still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be answered."""
        return not self._busy

    def answer(self, status: int, body: str, *lines: str) -> None:
        """Send an answer with these further field lines, and see to the next request."""
        self._busy = False
        if self._transport is None or self._transport.is_closing():
            return
        fields = "".join(f"{line}\r\n" for line in lines or ("Cache-Control: no-store",))
        octets = body.encode()
        self._transport.write(
            f"{_HEADS[status]}Date: {formatdate(usegmt=True)}\r\nContent-Type: application/json\r\n{fields}"
            f"Content-Length: {len(octets)}\r\n\r\n".encode()
            + octets
        )
        if self._waiting:
            self._serve(self._waiting.popleft())

    def close(self) -> None:
        """Close without an answer."""
        self._waiting.clear()
        if self._transport is not None:
            self._transport.close()

    # The way of a request.

    def _serve(self, request: _Request) -> None:
        self._busy = True
        path, _, query = request.target.partition("?")
        match path.split("/"):
            case ["", "lists", key] if is_name(key):
                self._list(request, (key,), query)
            case ["", "pairs", first, second] if is_name(first) and is_name(second) and first != second:
                self._list(request, (first, second), query)
            case ["", "counters", key] if is_name(key):
                self._counter(request, key)
            case ["", "_lists", "history"] if request.method == "GET":
                self._begin_history()
            case _:
                self.answer(404, '{"error":"no such list"}')

    def _list(self, request: _Request, keys: tuple[str, ...], query: str) -> None:
        if request.method in _UNSAFE:
            write = request.write or _write_in(request.body)
            if is_name(write):
                self._lists.write(self, keys, write, request.idem)
            else:
                self.answer(400, '{"error":"name the write in X-Write, or as `write` in a JSON body"}')
        elif request.method == "GET" and len(keys) == 1:
            self._read(keys[0], query)
        else:
            self.answer(405, '{"error":"not so"}')

    def _read(self, key: str, query: str) -> None:
        version = self._lists.version(key)
        told: dict[str, object] = {"key": key, "version": version, "last": self._lists.last(key)}
        if query == "all":
            told["writes"] = self._lists.writes(key)
        self.answer(200, json.dumps(told), f"Cache-Control: max-age={self._max_age_s}", f'ETag: "{version}"')

    def _counter(self, request: _Request, key: str) -> None:
        if request.method == "POST":
            self._lists.add(self, key)
            return
        value, additions = self._lists.counter(key)
        self.answer(200, json.dumps({"value": value, "additions": additions}))

    def _begin_history(self) -> None:
        """Send the history as it is now; it may be larger than the memory, so piece by piece."""
        assert self._transport is not None, "the request came over it"
        self._ledger.flush()
        self._transport.write(
            f"{_HEADS[200]}Content-Type: application/jsonl\r\nCache-Control: no-store\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        self._history = _pieces(self._ledger.path, "".join(self._lists.finals()).encode())
        self._send_history()

    def _send_history(self) -> None:
        while self._history is not None and self._transport is not None and self._writable:
            piece = next(self._history, b"")
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if not piece:
                self._history = None
                self._busy = False


def _pieces(path: Path, rest: bytes) -> Iterator[bytes]:
    with path.open("rb") as file:
        left = path.stat().st_size  # what is written from now on is not in it
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece
    if rest:
        yield rest


def _write_in(body: bytes) -> str:
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    write = told.get("write") if isinstance(told, dict) else None
    return write if isinstance(write, str) else ""
