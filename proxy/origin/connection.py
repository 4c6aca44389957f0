"""One connection to an origin: the transport, back-pressure both ways, and one time limit.

Ours and not aiohttp's client, because that one sends GET, PUT and DELETE twice on its own, lets octets
that arrive on an idle connection answer the next request, repairs heads and chunk sizes without leaving a
trace, swallows 1xx, waits without end for `100 Continue`, and changes targets and header octets.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable
from typing import Protocol, cast

from proxy.origin.balancer import Target
from proxy.transports import abort

logger = logging.getLogger(__name__)

_NEVER = float("inf")


class Receiver(Protocol):
    """Who has the connection at present: an exchange or a tunnel."""

    def data_received(self, octets: bytes) -> None:
        """Octets from the origin."""

    def eof_received(self) -> bool:
        """The origin will send no more; True keeps our own direction open."""

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""

    def timed_out(self, complaint: str) -> None:
        """The limit set with `OriginConnection.limit` has passed."""


class OriginConnection(asyncio.Protocol):
    """A connection that is idle, or lent to one receiver.

    Octets and an end that come while it is idle close it: nobody asked for them (RFC 9112 §9.2).
    """

    __slots__ = (
        "_complaint",
        "_deadline",
        "_drain",
        "_loop",
        "_on_lost",
        "_poll",
        "_receiver",
        "_timer",
        "_timer_at",
        "_transport",
        "_write_paused",
        "idle_since",
        "lost",
        "origin",
        "reused",
        "target",
    )

    def __init__(
        self,
        target: Target,
        *,
        origin: str,
        loop: asyncio.AbstractEventLoop,
        on_lost: Callable[[OriginConnection], None],
    ) -> None:
        self.target = target
        self.origin = origin
        self.reused = False
        self.idle_since = 0.0
        self.lost = False
        self._loop = loop
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._poll: select.poll | None = None
        self._write_paused = False
        self._drain: asyncio.Future[None] | None = None
        self._deadline = _NEVER
        self._complaint = ""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = _NEVER

    def __repr__(self) -> str:
        state = "lost" if self.lost else "idle" if self._receiver is None else "in use"
        return f"<OriginConnection {self.label} {state}>"

    @property
    def label(self) -> str:
        """Origin and address, as error texts name them."""
        return f"origin {self.origin} at {self.target}"

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self.target.address.secure:
            # uvloop sends what is written at the end of the loop's round, behind a herd that came in it, if
            # there is room to keep it; with none, at once. (TLS never tells again that there is room.)
            self._transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.data_received(data)
        else:
            self._unsolicited()

    def eof_received(self) -> bool:
        if self._receiver is None:
            return False
        # A half-closed TLS connection cannot be kept: asyncio closes it whatever we return.
        return self._receiver.eof_received() and not self.target.address.secure

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost(exc)
        self._poll = None
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)

    def _unsolicited(self) -> None:
        if not self.closing:
            logger.warning("origin_sent_unasked origin=%s address=%s", self.origin, self.target)
        self.drop()

    # Called by the pool and by the receiver.

    @property
    def closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self.lost or self._transport is None or self._transport.is_closing()

    def silent(self) -> bool:
        """Whether nothing has come on the idle connection that the loop has not told us yet.

        Without this look an answer sent before our request, or the origin's end, would be found only
        after the request was written, and be taken for its answer.
        """
        return not self.closing and self._poll is not None and not self._poll.poll(0)

    def lend(self, receiver: Receiver) -> None:
        """Everything that comes goes to `receiver` from now on."""
        assert self._receiver is None, f"{self.label}: the connection is in use"
        self._receiver = receiver

    def hand_over(self, receiver: Receiver) -> None:
        """The connection passes from an exchange to its tunnel."""
        self._receiver = receiver

    def take_back(self) -> None:
        """Nobody is asked about what comes from now on."""
        self._receiver = None
        self._deadline = _NEVER

    def drop(self) -> None:
        """Close it at once; what was not sent yet is not sent."""
        self._receiver = None
        if self._transport is not None and not self.lost:
            abort(self._transport)

    def pause_reading(self) -> None:
        """Let the origin wait."""
        if not self.closing and self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on after `pause_reading`."""
        if not self.closing and self._transport is not None:
            self._transport.resume_reading()

    def write(self, *parts: bytes) -> None:
        """Send these octets; nothing happens on a connection that is closing."""
        if self.closing or self._transport is None:
            return
        if len(parts) == 1:
            self._transport.write(parts[0])  # asyncio's `writelines` copies
        else:
            self._transport.writelines(parts)

    def write_eof(self) -> None:
        """Close our direction."""
        if self.closing or self._transport is None:
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()  # TLS knows no half-closed connection

    @property
    def must_drain(self) -> bool:
        """Whether the origin has not taken enough of what was written."""
        return self._write_paused and not self.lost

    async def drained(self) -> None:
        """Wait until the origin has taken enough of what was written, or is gone."""
        while self._write_paused and not self.lost:
            self._drain = self._loop.create_future()
            try:
                await self._drain
            finally:
                self._drain = None

    # One timer per connection, moved lazily: a kept connection that carries a thousand answers a second
    # sets a deadline each time, and touches the loop's timers once a time limit.

    def limit(self, seconds: float, complaint: str) -> None:
        """Tell the receiver `timed_out(complaint)` unless `unlimit` comes within `seconds`."""
        self._complaint = complaint
        self._deadline = deadline = self._loop.time() + seconds
        if deadline < self._timer_at or self._timer is None:
            self._start_timer(deadline)

    def unlimit(self) -> None:
        """Nothing is waited for any more."""
        self._deadline = _NEVER

    def _start_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._timer_at = _NEVER
        if self._deadline == _NEVER or self.lost:
            return
        # uvloop rounds to milliseconds and may be early by less than one.
        if self._deadline > self._loop.time() + 0.002:
            self._start_timer(self._deadline)
            return
        self._deadline = _NEVER
        if self._receiver is not None:
            self._receiver.timed_out(self._complaint)
