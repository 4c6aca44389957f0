"""The control channel: questions and answers between the supervisor and one worker, both ways.

Theory of operation. Either end asks: `{"ask": 7, "verb": "purge", "body": ...}`, and is answered under the
same number: `{"answer": 7, "body": ...}` or `{"answer": 7, "error": ...}`. Questions are begun in the order
in which they were asked, and answered in any. A channel that ends fails everything that waits on it; who
asks decides how long to wait.

`hold`, `pause` and what it gives are for an upgrade: the process becomes another program in the middle of
the stream. Questions that it has begun are answered before; what it has read beyond them goes along.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from proxy.errors import ProxyError
from proxy.tasks import spawn
from proxy.workers.frames import FrameBroken, Message, Unframer, framed

logger = logging.getLogger(__name__)

Answer = Callable[[str, Message], Awaitable[Message]]
"""Answers a question; a ProxyError is told to who asked."""


class ChannelClosed(ProxyError):
    """The other end is gone."""


class AskRefused(ProxyError):
    """The other end answered with an error; the text is its."""


class Channel(asyncio.Protocol):
    """One end. `closed` is done when the other end is gone, or this one was closed."""

    def __init__(self, answer: Answer, *, name: str, asked: int = 0, held: bool = False) -> None:
        self._answer = answer
        self._name = name
        self._unframer = Unframer()
        self._transport: asyncio.Transport | None = None
        self.asked = asked
        """How many questions this end, or the program that it was before, has asked."""
        self._held: list[Message] | None = [] if held else None
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<Channel {self._name} {len(self._waiting)} asked closed={self.closed.done()}>"

    @classmethod
    async def over(
        cls, sock: socket.socket, answer: Answer, *, name: str, asked: int = 0, held: bool = False
    ) -> Channel:
        """A channel over one end of a socket pair, which it owns; `asked` is what it had asked before.

        `held` begins as with `hold`.
        """
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        make = functools.partial(cls, answer, name=name, asked=asked, held=held)
        _, channel = await loop.create_unix_connection(make, sock=sock)
        return channel

    # asking

    async def ask(self, verb: str, body: Message | None = None, *, timeout_s: float | None = None) -> Message:
        """Ask and wait. Raises: ChannelClosed, AskRefused, TimeoutError."""
        async with asyncio.timeout(timeout_s):
            return await self.asking(verb, body)

    def asking(self, verb: str, body: Message | None = None) -> asyncio.Future[Message]:
        """Ask, in this step; the answer later."""
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        if self._transport is None or self.closed.done():
            future.set_exception(ChannelClosed(f"{self._name} is gone"))
            return future
        self.asked += 1
        number = self.asked
        self._waiting[number] = future
        future.add_done_callback(lambda _done: self._waiting.pop(number, None))
        self._transport.write(framed({"ask": number, "verb": verb, "body": body or {}}))
        return future

    def hold(self) -> None:
        """Begin to answer no question; those that come wait. Answers are taken as ever."""
        if self._held is None:
            self._held = []

    def pause(self) -> bytes:
        """Read no more; what was held or is no whole message yet, as octets."""
        if self._transport is not None and not self.closed.done():
            self._transport.pause_reading()
        return b"".join(map(framed, self._held or ())) + self._unframer.rest

    def go_on(self) -> None:
        """Neither hold nor pause any more."""
        held, self._held = self._held or [], None
        for message in held:
            self._take(message)
        if self._transport is not None and not self.closed.done():
            self._transport.resume_reading()

    def fileno(self) -> int:
        """The descriptor. The channel must be open."""
        assert self._transport is not None, "it was made over a socket"
        number: int = self._transport.get_extra_info("socket").fileno()
        return number

    def close(self) -> None:
        """Close this end. Idempotent."""
        if self._transport is not None:
            self._transport.close()
        self._over()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    def data_received(self, octets: bytes) -> None:
        try:
            for message in self._unframer.feed(octets):
                self._take(message)
        except (FrameBroken, KeyError) as error:
            logger.error("control_broken with=%s error=%r", self._name, error)
            self.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self._over()

    def _over(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(ChannelClosed(f"{self._name} is gone"))
                future.exception()  # who asked may have stopped waiting

    def _take(self, message: Message) -> None:
        if "ask" in message and self._held is not None:
            self._held.append(message)
            return
        if "ask" in message:
            reply = self._reply(message["ask"], message["verb"], message["body"])
            _task = spawn(reply, name=f"control {message['verb']}")
            return
        future = self._waiting.get(message["answer"])
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(AskRefused(message["error"]))
        else:
            future.set_result(message["body"])

    async def _reply(self, number: int, verb: str, body: Message) -> None:
        reply: dict[str, Any] = {"answer": number}
        try:
            reply["body"] = await self._answer(verb, body)
        except ProxyError as error:
            reply["error"] = str(error)
        except Exception as error:
            logger.exception("control_failed verb=%s with=%s", verb, self._name)
            reply["error"] = f"{verb} failed: {error!r}"
        if self._transport is not None and not self.closed.done():
            self._transport.write(framed(reply))
