"""The origin of a scenario: a raw socket that answers what the test said, and notes what it was asked.

    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")     at once, as often as asked
    answer = world.origin.on("GET /a").hold().reply(200, b"A")                 when it is released
    asked = await world.origin.on("PUT /a").by_hand().next()                   the test plays the origin

The newest rule that fits a request answers it. A request that no rule fits fails the test.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Self

from proxy.http.fields import Fields, Pair
from tests.scenario_wire import Cut, Malformed, Transcript, Wire, field_pairs, parse_head, render_head

BODYLESS_STATUSES = frozenset({204, 304})


class Asked:
    """One request at the origin, and the way to answer it."""

    def __init__(self, wire: Wire, method: str, target: str, fields: Fields, raw: bytes) -> None:
        self.wire = wire
        self.method = method
        self.target = target
        self.fields = fields
        self.raw = raw
        self.body = b""
        self.trailers = Fields()
        self.over = False
        self._chunked = False
        self._body_read = False
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<Asked {self.method} {self.target}>"

    def field(self, name: str) -> str | None:
        """One of the request's fields, decoded as Latin-1."""
        value = self.fields.get(name.lower().encode())
        return None if value is None else value.decode("latin-1")

    async def read_body(self) -> bytes:
        """The request's whole body."""
        if not self._body_read:
            self.body, self.trailers = await self.wire.body(self.fields, until_close=False)
            self._body_read = True
        return self.body

    def reply(
        self,
        status: int,
        body: bytes = b"",
        *,
        fields: Iterable[Pair] = (),
        chunks: Iterable[bytes] | None = None,
        **named: object,
    ) -> None:
        """Answer all of it: with Content-Length, or in these chunks."""
        pairs = field_pairs(fields, named)
        if chunks is not None:
            self.head(status, fields=pairs)
            for chunk in chunks:
                self.data(chunk)
        else:
            self.head(status, length=len(body), fields=pairs)
            self.data(body)
        self.finish()

    def head(
        self,
        status: int,
        *,
        length: int | None = None,
        until_close: bool = False,
        fields: Iterable[Pair] = (),
        **named: object,
    ) -> None:
        """Send the head: with Content-Length, in chunks, or (`until_close`) without framing."""
        pairs = list(field_pairs(fields, named))
        self._chunked = False
        if status >= 200 and status not in BODYLESS_STATUSES and not until_close:
            if length is not None:
                pairs.append((b"Content-Length", b"%d" % length))
            else:
                pairs.append((b"Transfer-Encoding", b"chunked"))
                self._chunked = self.method != "HEAD"
        self.wire.send(render_head(b"HTTP/1.1 %d Said" % status, pairs))

    def data(self, octets: bytes) -> None:
        """Send some of the body, framed as the head said."""
        if self.method == "HEAD" or not octets:
            return
        self.wire.send(b"%x\r\n%b\r\n" % (len(octets), octets) if self._chunked else octets)

    def finish(self) -> None:
        """The answer is whole; the connection may carry the next request."""
        if self._chunked:
            self.wire.send(b"0\r\n\r\n")
        self._end()

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.wire.send(octets)

    def cut(self) -> None:
        """Close the connection, after what was sent."""
        self._end()
        self.wire.close()

    def reset(self) -> None:
        """Close the connection with RST."""
        self._end()
        self.wire.reset()

    async def given_up(self) -> None:
        """Wait until the proxy has dropped the connection."""
        await self.wire.closed()
        self._end()
        self.wire.close()

    def _end(self) -> None:
        self.over = True
        if not self._finished.done():
            self._finished.set_result(None)

    async def wait_over(self) -> None:
        """Wait until it was answered."""
        await self._finished


Answer = Callable[[Asked], None]


class Rule:
    """How requests of one kind are answered."""

    def __init__(self, what: str, fields: dict[str, str]) -> None:
        self.what = what
        self._fields = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
        self._answer: Answer | None = None
        self._holds = self._by_hand = False
        self._waiting: list[asyncio.Future[None]] = []
        self._unseen: asyncio.Queue[Asked] = asyncio.Queue()
        self._early: list[tuple[int, tuple[Pair, ...]]] = []

    def fits(self, asked: Asked) -> bool:
        """Whether it answers this request."""
        return f"{asked.method} {asked.target}" == self.what and all(
            asked.fields.get(name) == value for name, value in self._fields.items()
        )

    def hold(self) -> Self:
        """Answer only when released."""
        self._holds = True
        return self

    def early(self, status: int, **named: object) -> Self:
        """Send this 1xx first, at once."""
        self._early.append((status, field_pairs((), named)))
        return self

    def reply(
        self,
        status: int,
        body: bytes = b"",
        *,
        fields: Iterable[Pair] = (),
        chunks: Iterable[bytes] | None = None,
        **named: object,
    ) -> Self:
        """Answer with this, after the request's body."""
        lines = tuple(fields)
        self._answer = lambda asked: asked.reply(status, body, fields=lines, chunks=chunks, **named)
        return self

    def answer(self, answer: Answer) -> Self:
        """Let this function answer, after the request's body."""
        self._answer = answer
        return self

    def raw(self, octets: bytes, *, then: str = "keep") -> Self:
        """Answer with these octets; `then` "keep", "cut" or "reset" the connection."""

        def answer(asked: Asked) -> None:
            asked.send(octets)
            {"keep": asked._end, "cut": asked.cut, "reset": asked.reset}[then]()

        self._answer = answer
        return self

    def by_hand(self) -> Self:
        """The test answers; the request's body is read when it says so."""
        self._by_hand = True
        return self

    async def next(self) -> Asked:
        """The next request that this rule got."""
        async with asyncio.timeout(10):
            return await self._unseen.get()

    @property
    def held(self) -> int:
        """Requests that wait to be released."""
        return sum(not future.done() for future in self._waiting)

    def release(self, count: int | None = None) -> None:
        """Answer those that wait, oldest first; without `count` all of them, and hold no more."""
        if count is None:
            self._holds = False
        waiting = [future for future in self._waiting if not future.done()]
        assert count is None or len(waiting) >= count, f"{len(waiting)} of {self.what} held, not {count}"
        for future in waiting[:count]:
            future.set_result(None)

    async def play(self, asked: Asked) -> None:
        """Answer one request."""
        for status, pairs in self._early:
            asked.send(render_head(b"HTTP/1.1 %d Early" % status, pairs))
        self._unseen.put_nowait(asked)
        if self._by_hand:
            return
        await asked.read_body()
        if self._holds:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        if asked.wire.ended:
            raise Cut(f"{asked!r} was given up while it was held")
        assert self._answer is not None, f"nobody said how to answer {self.what}"
        self._answer(asked)


class Origin:
    """A scripted origin. `complain` is told whatever it did not expect."""

    def __init__(
        self,
        name: str,
        transcript: Transcript,
        complain: Callable[[str], None],
        *,
        path: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self._transcript = transcript
        self._complain = complain
        self._path = path
        self._tls = tls
        self._rules: list[Rule] = []
        self._all: list[Asked] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wires: list[Wire] = []
        self._peaks: dict[str, int] = {}
        self.port = 0

    # life

    async def listen(self) -> None:
        """Begin, or begin again on the same port after `refuse`."""
        loop = asyncio.get_running_loop()
        if self._path is not None:
            self._server = await loop.create_unix_server(self._accept, self._path)
            return
        self._server = await loop.create_server(
            self._accept, "127.0.0.1", self.port, ssl=self._tls, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Listen no more, and close what is open: connections are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for wire in self._wires:
            wire.close()

    async def close(self) -> None:
        """The end of the scenario."""
        self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for wire in self._wires:
            wire.abort()

    def let_go(self) -> None:
        """Release every rule, and cut what a test left unanswered."""
        for rule in self._rules:
            rule.release()

    @property
    def url(self) -> str:
        """The address for the configuration."""
        if self._path is not None:
            return f"unix:{self._path}"
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    # what the test says and asks

    def on(self, what: str, **fields: str) -> Rule:
        """A rule for requests like `GET /a` that have these fields; before all earlier ones."""
        rule = Rule(what, fields)
        self._rules.insert(0, rule)
        return rule

    def requests(self, what: str | None = None) -> list[Asked]:
        """The requests it got, in order."""
        return [one for one in self._all if what in (None, f"{one.method} {one.target}")]

    def asked(self, what: str | None = None) -> int:
        """How many requests it got."""
        return len(self.requests(what))

    def in_progress(self, what: str) -> int:
        """How many of them it works on now."""
        return sum(not one.over and not one.wire.ended for one in self.requests(what))

    def peak(self, what: str) -> int:
        """How many of them it worked on at once, at most."""
        return self._peaks.get(what, 0)

    @property
    def connections(self) -> int:
        """Connections it accepted."""
        return len(self._wires)

    # its connections

    def _accept(self) -> Wire:
        return Wire(f"{self.name}#{len(self._wires)}", self._transcript, made=self._accepted)

    def _accepted(self, wire: Wire) -> None:
        self._wires.append(wire)
        task = asyncio.get_running_loop().create_task(self._serve(wire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, wire: Wire) -> None:
        try:
            while True:
                await wire.until(lambda: wire.received or wire.ended, "request", dead=True)
                if wire.ended and not wire.received:
                    wire.close()
                    return
                await self._exchange(wire)
        except Cut:
            wire.close()  # the proxy gave a request up; the test looks at what that means
        except Exception as error:
            self._complain(f"{self.name}: {error!r}")
            wire.abort()

    async def _exchange(self, wire: Wire) -> None:
        raw = await wire.head()
        start, fields = parse_head(raw)
        parts = start.split(b" ")
        if len(parts) != 3 or parts[2] != b"HTTP/1.1":
            raise Malformed(f"not a request line: {start!r}")
        asked = Asked(wire, parts[0].decode("latin-1"), parts[1].decode("latin-1"), fields, raw)
        rule = next((rule for rule in self._rules if rule.fits(asked)), None)
        if rule is None:
            raise AssertionError(f"nobody expected {asked!r}")
        self._all.append(asked)
        what = f"{asked.method} {asked.target}"
        self._peaks[what] = max(self.peak(what), self.in_progress(what))
        await rule.play(asked)
        await asked.wait_over()
