"""The last answer to a parked exchange, for those of the same herd that get the very same octets.

Ten thousand waiters of one flight with one request head differ in nothing that is written to them. So what
the first got is kept for the rest of the loop's round, in which no second passes, and whoever has the same
outcome, the same head and the same connection option gets it again.
"""

from __future__ import annotations

import asyncio

from proxy.coalesce.outcomes import Stream
from proxy.server.exchange import Exchange
from proxy.server.prepared import Prepared


class Echo:
    """One answer, as long as the loop's round lasts."""

    __slots__ = ("_exchange", "_keep_alive", "_octets", "_prepared", "_stream")

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._prepared: Prepared | None = None
        self._exchange: Exchange | None = None
        self._keep_alive = False
        self._octets = b""

    def __repr__(self) -> str:
        return f"<Echo of {self._exchange!r}>"

    def keep(self, exchange: Exchange, stream: Stream) -> None:
        """This exchange was answered with this outcome of its seat, and the answer was written as one."""
        octets = exchange.writer.sent_as_one
        if octets is None:
            return
        if self._stream is None:
            asyncio.get_running_loop().call_soon(self._forget)
        self._stream, self._prepared, self._exchange = stream, exchange.prepared, exchange
        self._keep_alive, self._octets = exchange.writer.keep_alive, octets

    def _forget(self) -> None:
        self._stream = self._prepared = self._exchange = None
        self._octets = b""

    def answer(self, exchange: Exchange, stream: Stream, *, wait_s: float) -> bool:
        """Write it again, if this exchange gets the same; whether it does. Raises: ClientGone."""
        writer, last = exchange.writer, self._exchange
        if (
            last is None
            or stream is not self._stream
            or exchange.prepared is not self._prepared
            or writer.keep_alive is not self._keep_alive
        ):
            return False
        if not writer.repeat(last.writer, self._octets):
            return False
        exchange.outcome, exchange.role, exchange.shareable = last.outcome, last.role, last.shareable
        exchange.wait_s = wait_s
        return True
