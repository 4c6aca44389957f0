"""An origin that logs every octet it receives, and answers what a test tells it to, or reflects.

Its default page is as careless as a page can be: it repeats in its body whatever a poisoner could wish
for, and says that everybody may keep it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self, cast

from tests.hostile.readings import Message, NotHttp, lenient_requests, strict_requests

Reply = Callable[[Message], bytes | None]

REFLECTED = (
    b"host", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-scheme",
    b"x-forwarded-server", b"x-forwarded-prefix", b"x-host", b"x-original-host", b"x-http-host-override",
    b"x-original-url", b"x-rewrite-url", b"x-http-method-override", b"x-http-method", b"x-method-override",
    b"x-original-uri", b"x-scheme", b"x-url-scheme", b"front-end-https", b"forwarded", b"range",
    b"if-none-match", b"expect", b"te", b"transfer-encoding", b"content-length", b"x-real-ip",
    b"true-client-ip", b"x-client-ip",
)  # fmt: skip


def answer(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A well-formed response."""
    head = b"".join(b"%b\r\n" % line for line in lines)
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, head, len(body), body)


def reflect(request: Message) -> bytes:
    """A cacheable page of everything in the request that an origin should not have believed."""
    method, target = request.start
    parts = [b"%b %b" % (method, target)]
    parts += [b"%b=%b" % (name, value) for name in REFLECTED if (value := request.get(name)) is not None]
    parts.append(b"body=%b" % request.body)
    return answer(b"\n".join(parts), b"Cache-Control: max-age=60")


class OriginSide(asyncio.Protocol):
    """One connection from the proxy."""

    def __init__(self, origin: RecordingOrigin) -> None:
        self.origin = origin
        self.received = bytearray()
        self._pending = b""
        self._requests: list[Message] = []
        self._defect: NotHttp | None = None
        self.lost = False
        self.switched = False
        """A 101 was sent: what comes is no HTTP."""
        self.keeps_open = False
        """An end of the proxy's direction is not answered with an end of ours."""
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set when it is made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.origin.sides.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def eof_received(self) -> bool:
        return self.keeps_open

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.switched:
            return
        try:
            requests, self._pending = strict_requests(self._pending + data)
        except NotHttp as defect:
            self._defect = self._defect or defect
            return
        self._requests += requests
        self.origin.log += requests
        for request in requests:
            reply = self.origin.reply_to(request)
            if reply is not None:
                self.send(reply)
            if request.start[1] in self.origin.cut_after:
                self.cut()

    def send(self, octets: bytes) -> None:
        """Send these octets, asked or not."""
        self.switched = self.switched or octets.startswith(b"HTTP/1.1 101 ")
        self.transport.write(octets)

    def cut(self) -> None:
        """Close after what was sent."""
        self.transport.close()

    @property
    def requests(self) -> list[Message]:
        """What a strict reader sees. Raises: NotHttp."""
        if self._defect is not None:
            raise self._defect
        return self._requests

    def check(self) -> None:
        """That no reader of what was received sees other requests than the strict one."""
        if self.switched:
            return
        strict = [request.start for request in self.requests]
        for believes in (b"content-length", b"transfer-encoding"):
            lenient = lenient_requests(bytes(self.received), believes=believes)
            # A head whose body is still on its way counts for the lenient reader.
            assert lenient[: len(strict)] == strict, (lenient, strict, self.received)
            assert len(lenient) <= len(strict) + 1, (lenient, strict, self.received)
        for _, target in strict:
            assert b"smuggled" not in target, self.received


class RecordingOrigin:
    """Listens on 127.0.0.1; `on(target, reply)` plans answers, everything else is reflected."""

    def __init__(self) -> None:
        self.sides: list[OriginSide] = []
        self.port = 0
        self.log: list[Message] = []
        """Every request in the order of its last octet."""
        self.otherwise: Reply = reflect
        """Answers what is not planned."""
        self.cut_after: set[bytes] = set()
        """Targets whose answer is the connection's last octets."""
        self._replies: dict[bytes, Reply] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: OriginSide(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._server is not None
        self._server.close()
        for side in self.sides:
            while not side.lost:
                side.transport.abort()
                await asyncio.sleep(0)

    def on(self, target: bytes, reply: Reply | bytes) -> None:
        """Answer this target so; a reply of None answers nothing."""
        self.cut_after.discard(target)
        self._replies[target] = (lambda _: reply) if isinstance(reply, bytes) else reply

    def hold(self, target: bytes) -> None:
        """Answer nothing: a test sends when it wants."""
        self._replies[target] = lambda _: None

    def reply_to(self, request: Message) -> bytes | None:
        """What is sent for this request."""
        return self._replies.get(request.start[1], self.otherwise)(request)

    @property
    def requests(self) -> list[Message]:
        """Every request, by connection. Raises: NotHttp."""
        return [request for side in self.sides for request in side.requests]

    def asked(self, target: bytes) -> list[Message]:
        """The requests for this target."""
        return [request for request in self.requests if request.start[1] == target]

    def side_of(self, target: bytes) -> OriginSide:
        """The connection that carried the newest request for this target."""
        return next(
            side
            for side in reversed(self.sides)
            if any(request.start[1] == target for request in side.requests)
        )
