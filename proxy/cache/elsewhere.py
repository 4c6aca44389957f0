"""The same cache in other processes, which must be purged with this one."""

from __future__ import annotations

import asyncio
from typing import Protocol

from proxy.policy.purges import Coverage


class Elsewhere(Protocol):
    """Tells the others. A purge holds everywhere when `settled` returns, and is not acknowledged before."""

    def purge(self, coverage: Coverage, *, soft: bool, hold_s: float) -> asyncio.Future[int]:
        """Tell of a purge, in the step in which it is made; how many entries there were elsewhere.

        What it covers is not stored within `hold_s` from when it holds there.
        """

    async def settled(self) -> None:
        """Wait until every purge told so far holds everywhere. Raises: PurgeNotDurable."""
