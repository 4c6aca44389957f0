"""Two proxies that differ in one thing, the gate: what one client sends goes to both, octet by octet.

Everything is in memory: connections have no sockets below them, origins answer by a rule that depends on the
request and the clock alone, and both proxies read one clock that the test moves.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any, cast

from proxy.clock import Clock
from proxy.config.settings import Config
from proxy.http.fields import Pair
from proxy.origin.port import ForwardRequest
from proxy.server.client_connection import ClientConnection, State
from proxy.server.ledger import Ledger
from proxy.server.listener import Crowd, Listener
from proxy.server.proxy import Proxy
from tests.origin.manual_clock import ManualClock
from tests.origin.memory_origin import MemoryOrigin
from tests.origin.planned import Answer

LAST_MODIFIED_S = 1_700_000_000
TURNS = 400


class RulingOrigin(MemoryOrigin):
    """Answers by what the target says: `/kind?size=N`; a kind is one of `KINDS`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def answer_for(self, request: ForwardRequest) -> Answer:
        path, _, query = request.target.partition(b"?")
        kind = path.strip(b"/").partition(b"/")[0].decode()
        status, fields = KINDS.get(kind, (404, ((b"Cache-Control", b"max-age=5"),)))
        changed = int(self._clock.now()) // 7  # what is stored and what the origin has differ now and then
        varied = b" ".join(request.fields.get(name) or b"" for name in VARIED.get(kind, ()))
        etag = b'"%d%b"' % (changed, varied.hex().encode())
        pairs: list[Pair] = [(b"Date", formatdate(self._clock.now(), usegmt=True).encode()), *fields]
        if kind != "heuristic":
            pairs.append((b"ETag", etag))
        if request.fields.get(b"if-none-match") == etag:
            return Answer(status=304, fields=tuple(pairs))
        size = int(query.removeprefix(b"size=") or 100)
        return Answer(status=status, fields=tuple(pairs), body=(b"%b %b " % (path, etag) * size)[:size])


_MODIFIED: Pair = (b"Last-Modified", formatdate(LAST_MODIFIED_S, usegmt=True).encode())

KINDS: dict[str, tuple[int, tuple[Pair, ...]]] = {
    "long": (200, ((b"Cache-Control", b"max-age=3600"), _MODIFIED)),
    "short": (200, ((b"Cache-Control", b"max-age=3"),)),
    "swr": (200, ((b"Cache-Control", b"max-age=2, stale-while-revalidate=5"),)),
    "heuristic": (200, (_MODIFIED,)),
    "language": (200, ((b"Cache-Control", b"max-age=60"), (b"Vary", b"Accept-Language"))),
    "cookie": (200, ((b"Cache-Control", b"max-age=60"), (b"Vary", b"Cookie, Accept"))),
    "private": (200, ((b"Cache-Control", b"private"),)),
    "set-cookie": (200, ((b"Cache-Control", b"max-age=60"), (b"Set-Cookie", b"a=b"))),
    "text": (200, ((b"Cache-Control", b"public, max-age=60"), (b"Content-Type", b"text/html"))),
    "gone": (410, ((b"Cache-Control", b"max-age=60"),)),
    "tagged": (200, ((b"Cache-Control", b"max-age=60"), (b"Surrogate-Key", b"all"))),
}


VARIED = {"language": (b"accept-language",), "cookie": (b"cookie", b"accept")}
"""What a kind varies on, it tells."""


class Wire:
    """In the place of a socket's transport."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.closed = self.aborted = self.paused = False
        self.protocol: ClientConnection | None = None

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("192.0.2.7", 4711) if name == "peername" else default

    def write(self, octets: bytes) -> None:
        self.sent += octets

    def writelines(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.sent += piece

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Twin:
    """One of the two."""

    def __init__(self, config: Config, clock: ManualClock) -> None:
        self.origin = RulingOrigin(clock)
        self.ledger = Ledger(None)
        self.proxy = Proxy(config, origins={"shop": self.origin}, clock=clock, ledger=self.ledger)
        self.listener = Listener(
            config.listen[0],
            crowd=Crowd(config.limits),
            begin=self.proxy.begin,
            refuse=self.proxy.refuse,
            gate=self.proxy.gate,
        )
        self.wire = Wire()
        self.connection: ClientConnection | None = None

    def connect(self) -> None:
        """A new client, in the place of the last one."""
        self.hang_up()
        self.wire = Wire()
        self.connection = ClientConnection(self.listener, asyncio.get_running_loop())
        self.connection.connection_made(cast(Any, self.wire))

    def hang_up(self) -> None:
        """The client is gone."""
        if self.connection is not None:
            self.connection.connection_lost(None)
            self.connection = None

    def receive(self, octets: bytes) -> None:
        """What the client sent, as one segment; after the end of the connection nothing comes."""
        assert self.connection is not None
        if not self.wire.closed:
            self.connection.data_received(octets)

    @property
    def is_busy(self) -> bool:
        """Whether an answer is on its way."""
        assert self.connection is not None
        return self.connection.state is State.BUSY or self.origin.outstanding > 0


class Twins:
    """The two, and the client of both."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.with_gate, self.without = (
            Twin(_config(gate=gate, **settings), self.clock) for gate in (True, False)
        )

    @property
    def both(self) -> tuple[Twin, Twin]:
        return self.with_gate, self.without

    def connect(self) -> None:
        """A new client."""
        for twin in self.both:
            twin.connect()

    async def send(self, *segments: bytes) -> None:
        """Send to both, each segment in a round of the loop of its own; then wait for the answers."""
        for segment in segments:
            for twin in self.both:
                twin.receive(segment)
            await asyncio.sleep(0)
        await self.settled()

    async def settled(self) -> None:
        """Wait until both have answered what they were sent."""
        for turn in range(TURNS):
            await asyncio.sleep(0)
            if turn > 3 and not any(twin.is_busy for twin in self.both):
                return
        raise AssertionError(f"not settled: {[twin.connection for twin in self.both]}")

    @property
    def gate_answers(self) -> int:
        """Requests that the gate answered so far."""
        statistics = self.with_gate.proxy.statistics().gate
        assert statistics is not None
        return statistics.known + statistics.parsed

    @property
    def agree(self) -> bool:
        """Whether both have sent the very same, and closed or not alike."""
        one, other = (twin.wire for twin in self.both)
        return (one.sent, one.closed, one.aborted) == (other.sent, other.closed, other.aborted)

    def close(self) -> None:
        """Hang up, and stop both."""
        for twin in self.both:
            twin.hang_up()
            twin.proxy.close()


def _config(**settings: Any) -> Config:
    return Config.model_validate(
        {
            "listen": [{"address": "127.0.0.1:0"}],
            "admin": {"enabled": False},
            "access_log": {"enabled": False},
            "origins": {"shop": {"addresses": ["http://127.0.0.1:1"]}},
            "routes": [{"origin": "shop"}],
            **settings,
        }
    )
