"""What all workers counted, also those that are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from proxy.server.server import ServerStatistics
from proxy.workers.member import Member
from proxy.workers.summing import counted, summed


class Tally:
    """Sums statistics; `left` are the counters of workers that are gone."""

    def __init__(self, left: ServerStatistics | None = None) -> None:
        self.left = left

    def __repr__(self) -> str:
        return f"<Tally left={self.left is not None}>"

    def gone(self, member: Member) -> None:
        """A worker is gone: what it last told is all that is known of it."""
        if member.latest is not None:
            rest = counted(member.latest)
            self.left = rest if self.left is None else summed([self.left, rest])

    async def total(self, members: Iterable[Member], *, timeout_s: float) -> ServerStatistics | None:
        """All as one; of a worker that does not answer in time what it last told. None if nobody told yet."""
        told = await asyncio.gather(*(member.tell(timeout_s=timeout_s) for member in members))
        known = [one for one in (*told, self.left) if one is not None]
        return summed(known) if known else None
