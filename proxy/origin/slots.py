"""The concurrency limit of an origin: a fixed number of slots, waited for first in, first out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from proxy.errors import OriginOverloaded


class Slot:
    """The right to have one request at the origin; given back once, however often `release` is called."""

    __slots__ = ("_slots",)

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots

    def release(self) -> None:
        """Give it back, to the first in the queue if there is one. Idempotent."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots._give_back()


class Slots:
    """`limit` slots and a queue of at most `max_queue` that wait `queue_timeout_s` at most."""

    __slots__ = ("_limit", "_max_queue", "_name", "_queue", "_queue_timeout_s", "in_use", "refused")

    def __init__(self, name: str, *, limit: int, max_queue: int, queue_timeout_s: float) -> None:
        self._name = name
        self._limit = limit
        self._max_queue = max_queue
        self._queue_timeout_s = queue_timeout_s
        # Ordered, and cheap to leave from the middle: a herd that gives up must not stay behind as
        # finished futures until a slot comes free.
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self.in_use = 0
        self.refused = 0

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._queue)

    def take_now(self) -> Slot | None:
        """A slot if one is free; then nobody waits either, as a slot given back goes to the queue first."""
        if self.in_use >= self._limit:
            return None
        self.in_use += 1
        return Slot(self)

    async def take(self) -> Slot:
        """A slot, waiting for it in the queue.

        Raises: OriginOverloaded.
        """
        slot = self.take_now()
        if slot is not None:
            return slot
        if len(self._queue) >= self._max_queue:
            self.refused += 1
            raise OriginOverloaded(
                f"origin {self._name}: {self._limit} requests are running and {len(self._queue)} wait; "
                "raise max_concurrency or max_queue if the origin can take more"
            )
        await self._wait()
        return Slot(self)

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._queue[turn] = None
        timer = loop.call_later(self._queue_timeout_s, self._expire, turn)
        try:
            await turn
        except asyncio.CancelledError:
            # Given a slot and cancelled in the same turn of the loop: the slot must go on to the next.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back()
            raise
        finally:
            timer.cancel()
            self._queue.pop(turn, None)

    def _expire(self, turn: asyncio.Future[None]) -> None:
        if turn.done():
            return
        self._queue.pop(turn, None)
        self.refused += 1
        turn.set_exception(
            OriginOverloaded(
                f"origin {self._name}: no slot came free in {self._queue_timeout_s:g} s (queue_timeout_s), "
                f"{self._limit} requests are running (max_concurrency)"
            )
        )

    def _give_back(self) -> None:
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                turn.set_result(None)  # handed over: in_use stays as it is
                return
        self.in_use -= 1
        assert self.in_use >= 0, f"origin {self._name}: more slots given back than taken"

    def refuse_all(self, error: OriginOverloaded) -> None:
        """Send everybody in the queue away."""
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                turn.set_exception(error)
