"""A worker's way to purge the others: it tells the supervisor, who has all purges in one order."""

from __future__ import annotations

import asyncio

from proxy.errors import PurgeNotDurable
from proxy.policy.purges import Coverage
from proxy.workers.channel import AskRefused, Channel, ChannelClosed
from proxy.workers.coverage import coverage_message
from proxy.workers.frames import Message


class Told:
    """`proxy.cache.elsewhere.Elsewhere` over the control channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open: set[asyncio.Future[int]] = set()

    def __repr__(self) -> str:
        return f"<Told {len(self._open)} not acknowledged>"

    def purge(self, coverage: Coverage, *, soft: bool, hold_s: float = 0.0) -> asyncio.Future[int]:
        """Tell of a purge, in this step."""
        entries: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._open.add(entries)

        def answered(reply: asyncio.Future[Message]) -> None:
            self._open.discard(entries)
            if entries.done():
                return
            if reply.cancelled():
                entries.cancel()
                return
            error = reply.exception()
            if error is None:
                entries.set_result(int(reply.result()["entries"]))
                return
            assert isinstance(error, (ChannelClosed, AskRefused)), f"{error!r} from a channel"
            entries.set_exception(PurgeNotDurable(f"the other workers could not be told: {error}"))
            entries.exception()  # an invalidation that nobody waits for has been logged by the supervisor

        order = {"coverage": coverage_message(coverage), "soft": soft, "hold_s": hold_s}
        asked = self._channel.asking("purge", order)
        asked.add_done_callback(answered)
        return entries

    async def settled(self) -> None:
        """Wait until all have it. Raises: PurgeNotDurable."""
        if self._open:
            await asyncio.gather(*self._open)
