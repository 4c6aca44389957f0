"""All workers as the admin listener sees them: read as one, purged as one, one of them explains."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from proxy.cache.purging import MAX_PENDING
from proxy.config.settings import Config
from proxy.errors import ClientError, RefusedError
from proxy.http.fields import Pair
from proxy.policy.purge_order import PurgeOrder
from proxy.routing import Router
from proxy.server.purger import coverage_of_order
from proxy.server.server import ServerStatistics, WorkersStatistics
from proxy.workers.broadcast import Broadcast
from proxy.workers.channel import AskRefused, ChannelClosed
from proxy.workers.coverage import coverage_message
from proxy.workers.member import Member, State
from proxy.workers.tally import Tally

TELL_TIMEOUT_S = 1.0
"""A worker that does not answer a scrape within this is told of as it was."""

EXPLAIN_TIMEOUT_S = 5.0


class Overseen(Protocol):
    """What is needed of the supervisor."""

    config: Config
    tally: Tally
    broadcast: Broadcast

    @property
    def members(self) -> Sequence[Member]:
        """Every worker that lives."""

    @property
    def draining(self) -> bool:
        """Whether the end was announced."""

    @property
    def restarts(self) -> int:
        """Workers that took the slot of one that ended."""


class Overseer:
    """`proxy.admin.administered.Administered` over a supervisor's workers."""

    def __init__(self, overseen: Overseen) -> None:
        self._overseen = overseen

    def __repr__(self) -> str:
        return f"<Overseer {len(self._overseen.members)} workers>"

    @property
    def healthy(self) -> bool:
        """Whether new requests are welcome: somebody serves them."""
        return not self.draining and bool(self._ready())

    @property
    def draining(self) -> bool:
        """Whether the end was announced."""
        return self._overseen.draining

    def _ready(self) -> list[Member]:
        return [member for member in self._overseen.members if member.state is State.READY]

    async def statistics(self) -> ServerStatistics:
        """Everything that is counted. Raises: RefusedError before the first worker serves."""
        overseen = self._overseen
        total = await overseen.tally.total(list(overseen.members), timeout_s=TELL_TIMEOUT_S)
        if total is None:
            raise RefusedError("no worker has told anything yet; try again")
        workers = WorkersStatistics(
            running=len(overseen.members),
            ready=len(self._ready()),
            restarts=overseen.restarts,
            killed_at_purges=overseen.broadcast.killed,
        )
        return dataclasses.replace(total, draining=self.draining, workers=workers)

    async def purge(self, order: PurgeOrder) -> int:
        """Purge all workers; how many entries there were, each copy counted. Raises: ProxyError."""
        overseen = self._overseen
        coverage = coverage_of_order(order, Router(overseen.config.routes))
        if overseen.broadcast.running >= MAX_PENDING:
            raise RefusedError(f"{MAX_PENDING} purges are under way; try again")
        message = {"coverage": coverage_message(coverage), "soft": order.soft}
        return await overseen.broadcast.purge(message, teller=None, kind=order.kind)

    async def explain(self, url: str, *, method: str, fields: tuple[Pair, ...]) -> dict[str, object]:
        """What a request would get. Raises: ClientError, RefusedError while nobody serves."""
        asked = {
            "url": url,
            "method": method,
            "fields": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields],
        }
        for member in self._ready():
            try:
                return await member.channel.ask("explain", asked, timeout_s=EXPLAIN_TIMEOUT_S)
            except AskRefused as error:
                raise ClientError(str(error)) from None
            except (ChannelClosed, TimeoutError):
                continue
        raise RefusedError("no worker serves now; try again")
