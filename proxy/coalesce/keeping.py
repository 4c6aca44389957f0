"""How the body of a fill is kept while it comes: what of it is in memory, and when the disk takes it over.

    in memory ──too large for it──► spooled to the disk tier ──too large for it, it fails or lags──► not kept
        └────────too large, and no disk tier; or the budget of all fills is spent─────────────────────┘

A body whose length is known to be too large for memory is spooled from its first octet. Whoever fills asks
after each piece whether it is still kept, and waits for a disk that lags only as long as no client does.
"""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.cache.cache import ResponseCache
from proxy.cache.disk.fill import DiskFill
from proxy.cache.entry import Entry
from proxy.coalesce.body import SharedBody

PATIENCE_S: Final = 0.25
"""So long in all a fill's clients may be held up by the disk: for a stall, not for a disk that is slower than
they are. A thread that is not scheduled for a moment would else cost the copy of every fast download."""


class Keeping:
    """The keeping of one body. `end` it, however the fill ends."""

    __slots__ = ("_body", "_cache", "_held_bytes", "_patience_s", "_spool")

    def __init__(self, cache: ResponseCache, body: SharedBody) -> None:
        self._cache = cache
        self._body = body
        self._held_bytes = 0  # taken from the budget of all fills
        self._patience_s = PATIENCE_S
        self._spool: DiskFill | None = None

    def __repr__(self) -> str:
        return f"<Keeping {self._held_bytes} octets in memory, {self._spool!r}>"

    def begin(self) -> bool:
        """Whether a body of the length that its head tells is kept at all."""
        return self._fits_memory(self._body.expected_bytes or 0) or self._spooled()

    def keeps(self, piece: bytes) -> bool:
        """Account for the piece that was just appended; False if the body cannot be kept any more."""
        if self._spool is not None:
            return self._spool.write(piece) and self._accounted()
        return (self._fits_memory(self._body.received_bytes) or self._spooled()) and self._accounted()

    async def wait_room(self) -> bool:
        """Wait for a disk that lags; False if it would hold up the clients: then give it up."""
        while self._body.lags:
            if not self._body.awaited:
                await self._body.wait_room()
            elif self._patience_s <= 0.0:
                if self._spool is not None:
                    self._spool.too_slow()
                return False
            else:
                await self._be_patient()
        return True

    async def _be_patient(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._body.wait_spool()
        except TimeoutError:
            self._patience_s = 0.0
        self._patience_s -= loop.time() - began

    def give_up(self) -> None:
        """It is not to be kept any more. What was spooled can be read by those who are on their way."""
        if self._spool is not None:
            self._spool.give_up()

    async def commit(self, entry: Entry, *, began: int, max_variants: int) -> bool:
        """Store the entry whose body this is, now that it is whole; whether it is stored.

        Without a spool this is one step with the call, and does not wait.
        """
        if self._spool is None:
            return self._cache.store(entry, began=began, max_variants=max_variants)
        return await self._cache.store_spooled(entry, self._spool, began=began, max_variants=max_variants)

    def end(self) -> None:
        """The fill is over: give back what it held. Idempotent."""
        self._cache.fill_budget.give_back(self._held_bytes)
        self._held_bytes = 0
        self.give_up()

    def _fits_memory(self, octets: int) -> bool:
        return octets <= self._cache.max_entry_bytes

    def _spooled(self) -> bool:
        """Go over to the disk; False if it takes no such body."""
        spool = self._cache.spool(self._body.expected_bytes)
        if spool is None:
            return False
        self._spool = spool
        spool.on_progress = self._body.spooled
        return all(spool.write(piece) for piece in self._body.spool_to(spool))

    def _accounted(self) -> bool:
        more = self._body.held_bytes - self._held_bytes
        if more > 0 and not self._cache.fill_budget.take(more):
            return False
        if more < 0:
            self._cache.fill_budget.give_back(-more)
        self._held_bytes += more
        return True
