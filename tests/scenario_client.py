"""The clients of a scenario: raw sockets that take a response for whole only where a careful reader would."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from proxy.http.fields import Fields, Pair
from tests.scenario_wire import Cut, Malformed, Wire, field_pairs, parse_head, render_head

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
_PARAMETER = re.compile(
    r'([a-z*][a-z0-9_.*-]*)(?:=(?:(-?[0-9]{1,15})|\?([01])|"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"'
    r"|([A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*)))?"
)

Connect = Callable[[str], Awaitable[Wire]]


def parse_cache_status(value: bytes) -> dict[str, object]:
    """The last member of a Cache-Status field, its parameters as values; strictly as RFC 9651 has it.

    Raises: Malformed.
    """
    name, *parameters = value.decode("ascii").rpartition(", ")[2].split("; ")
    if not re.fullmatch(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*", name):
        raise Malformed(f"Cache-Status {value!r}")
    found: dict[str, object] = {"cache": name}
    for parameter in parameters:
        match = _PARAMETER.fullmatch(parameter)
        if match is None or match[1] in found:
            raise Malformed(f"Cache-Status {value!r}: {parameter!r}")
        key, number, boolean, string, token = match.groups()
        if number is not None:
            found[key] = int(number)
        elif boolean is not None:
            found[key] = boolean == "1"
        elif string is not None:
            found[key] = re.sub(r"\\(.)", r"\1", string)
        else:
            found[key] = True if token is None else token
    return found


@dataclass(frozen=True)
class Response:
    """A whole response. `informational` are the 1xx heads before it."""

    status: int
    reason: bytes
    fields: Fields
    body: bytes
    raw_head: bytes
    trailers: Fields = field(default_factory=Fields)
    informational: tuple[tuple[int, Fields], ...] = ()

    def field(self, name: str) -> str | None:
        """A field's value, decoded as Latin-1."""
        value = self.fields.get(name.lower().encode())
        return None if value is None else value.decode("latin-1")

    @property
    def cache_status(self) -> dict[str, object]:
        """What we said we did, without our name."""
        value = self.fields.get(b"cache-status")
        assert value is not None, f"no Cache-Status in {self.fields!r}"
        found = parse_cache_status(value)
        assert found.pop("cache") == "Lockgate", value
        return found


class Client:
    """One client on one connection."""

    def __init__(self, name: str, connect: Connect) -> None:
        self.name = name
        self.exchanges = 0
        """Exchanges that Lockgate must have counted for this client."""
        self.statuses: list[int] = []
        self.gone = False
        self._connect = connect
        self._methods: deque[str] = deque()
        self._outbox: list[bytes] = []
        self._wire: Wire | None = None
        self._connecting: asyncio.Task[Wire] | None = None

    def __repr__(self) -> str:
        return f"<Client {self.name} {len(self._methods)} unanswered {self._wire!r}>"

    # asking

    def send(
        self,
        what: str,
        body: bytes | None = None,
        *,
        chunks: Iterable[bytes] | None = None,
        fields: Iterable[Pair] = (),
        version: str = "1.1",
        host: str | None = "shop.example",
        **named: object,
    ) -> Self:
        """Send a request like `GET /a`, connecting first if need be; does not wait."""
        pairs = [] if host is None else [(b"Host", host.encode())]
        pairs += field_pairs(fields, named)
        octets = b""
        if chunks is not None:
            pairs.append((b"Transfer-Encoding", b"chunked"))
            octets = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        elif body is not None:
            pairs.append((b"Content-Length", b"%d" % len(body)))
            octets = body
        head = render_head(f"{what} HTTP/{version}".encode("latin-1"), pairs)
        return self.send_raw(head + octets, what.partition(" ")[0])

    def send_raw(self, octets: bytes, *methods: str) -> Self:
        """Send octets as they are, which are requests with these methods (none: a part of one)."""
        self._methods.extend(methods)
        if self._wire is not None:
            self._wire.send(octets)
        else:
            self._outbox.append(octets)
            if self._connecting is None:
                self._connecting = asyncio.get_running_loop().create_task(self._open())
        return self

    async def _open(self) -> Wire:
        wire = await self._connect(self.name)
        self._wire = wire
        for octets in self._outbox:
            wire.send(octets)
        self._outbox.clear()
        return wire

    async def wire(self) -> Wire:
        """Its end of the connection, connecting first if need be."""
        if self._wire is not None:
            return self._wire
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._open())
        return await self._connecting

    # being answered

    async def head(self) -> tuple[int, bytes, Fields, bytes, str]:
        """The next head: status, reason, fields, raw octets, and the method it answers."""
        raw = await (await self.wire()).head()
        start, fields = parse_head(raw)
        match = _STATUS_LINE.fullmatch(start)
        if match is None:
            raise Malformed(f"not a status line: {start!r}")
        status = int(match[1])
        if not self._methods:
            raise AssertionError(f"{self!r}: an answer nobody asked for: {raw!r}")
        method = self._methods[0]
        if status >= 200 or status == 101:
            self._methods.popleft()
            self.exchanges += 1
            self.statuses.append(status)
        return status, match[2], fields, raw, method

    async def response(self) -> Response:
        """The next final response, whole. Raises: Cut, Malformed."""
        informational = []
        while True:
            status, reason, fields, raw, method = await self.head()
            if status >= 200 or status == 101:
                break
            informational.append((status, fields))
        body, trailers = b"", Fields()
        if method != "HEAD" and status not in (101, 204, 304):
            body, trailers = await (await self.wire()).body(fields, until_close=True)
        return Response(status, reason, fields, body, raw, trailers, tuple(informational))

    async def expect(self, status: int, body: bytes | None = None, **fields: str | None) -> Response:
        """The next response, which is this. A field given as None must be absent."""
        response = await self.response()
        shown = f"{response.status} {response.body[:80]!r} to {self!r}"
        assert response.status == status, f"{shown}; {status} was expected"
        assert body is None or response.body == body, f"{shown}; {body[:80]!r} was expected"
        for name, value in fields.items():
            got = response.field(name.replace("_", "-"))
            assert got == value, f"{shown}: {name} is {got!r}; {value!r} was expected"
        return response

    async def response_or_cut(self) -> Response | bytes:
        """The next response, or what came of its body before it broke off."""
        try:
            return await self.response()
        except Cut as cut:
            if self._methods:  # not even a head
                self._methods.popleft()
                self.exchanges += 1
            (await self.wire()).received.clear()
            return cut.octets

    async def expect_cut(self) -> bytes:
        """The response breaks off; what came of its body."""
        got = await self.response_or_cut()
        assert isinstance(got, bytes), f"{self!r} took {got.status} {got.body[:80]!r} for whole"
        return got

    async def body_octets(self, count: int) -> bytes:
        """So many octets of a body that goes on, framing included."""
        return await (await self.wire()).take(count)

    async def closed(self) -> None:
        """Wait until Lockgate has closed the connection; nothing more may have come."""
        wire = await self.wire()
        await wire.closed()
        assert not wire.received, f"{self!r}: {bytes(wire.received)!r} before the end"

    async def quiet(self) -> None:
        """See that nothing has come, and that the connection is open."""
        wire = await self.wire()
        assert not wire.received, f"{self!r} got {bytes(wire.received)!r}"
        assert not wire.ended, f"{self!r} was closed"

    # leaving

    def leave(self, *, reset: bool = False) -> None:
        """Close, whatever is on its way."""
        self.gone = True
        if self._methods:
            self.exchanges += 1
            self._methods.clear()
        if self._wire is not None:
            if reset:
                self._wire.reset()
            else:
                self._wire.close()

    async def finish(self) -> str | None:
        """The end of the scenario: close, and say what was left over."""
        if self._connecting is None and self._wire is None:
            return None
        wire = await self.wire()
        left = None
        if not self.gone:
            if wire.received:
                left = f"{self!r}: nobody expected {bytes(wire.received[:300])!r}"
            elif self._methods:
                left = f"{self!r}: {list(self._methods)} not answered"
        wire.abort()
        return left


class Clients:
    """Several clients that do the same."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._clients = list(clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(self._clients)

    def __len__(self) -> int:
        return len(self._clients)

    def __getitem__(self, index: int) -> Client:
        return self._clients[index]

    def send(self, what: str, body: bytes | None = None, **rest: object) -> Self:
        """Send the same from each."""
        for client in self._clients:
            client.send(what, body, **rest)  # type: ignore[arg-type]  # as Client.send has them
        return self

    async def responses(self) -> list[Response]:
        """The next response of each, in the clients' order."""
        return list(await asyncio.gather(*(client.response() for client in self._clients)))

    async def expect(self, status: int, body: bytes | None = None, **fields: str | None) -> list[Response]:
        """The next response of each, which is this."""
        return list(
            await asyncio.gather(*(client.expect(status, body, **fields) for client in self._clients))
        )

    async def expect_cut(self) -> list[bytes]:
        """The responses of all break off; what came of each body."""
        return list(await asyncio.gather(*(client.expect_cut() for client in self._clients)))

    def leave(self, *, reset: bool = False) -> None:
        """All close."""
        for client in self._clients:
            client.leave(reset=reset)
