"""All workers as the admin listener sees them: read and purged as one; one explains, one has the writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from proxy.cache.purging import MAX_PENDING
from proxy.config.settings import Config
from proxy.errors import ClientError, ProxyError, RefusedError
from proxy.http.fields import Pair
from proxy.policy.purge_order import PurgeOrder
from proxy.routing import Router
from proxy.server.purger import coverage_of_order
from proxy.server.server import ServerStatistics, WorkersStatistics
from proxy.workers.broadcast import Broadcast
from proxy.workers.channel import AskRefused, ChannelClosed
from proxy.workers.coverage import coverage_message
from proxy.workers.member import Member, State
from proxy.workers.place import WRITES_SLOT
from proxy.workers.tally import Tally
from proxy.workers.writes_orders import document_of, order_message
from proxy.writes.orders import Document, ReadEvents, WritesElsewhere, WritesOrder

TELL_TIMEOUT_S = 1.0
"""A worker that does not answer a scrape within this is told of as it was."""

EXPLAIN_TIMEOUT_S = 5.0

WRITES_TIMEOUT_S = 20.0
"""For an order about writes; one that looks through a million ends takes some seconds."""


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

    async def writes(self, order: WritesOrder) -> Document:
        """Have it carried out by the worker that has the writes. Raises: ProxyError; RefusedError without it.

        That is the one in the first slot. While one takes over from another, either may have them still.
        """
        message = order_message(order)
        timeout_s = WRITES_TIMEOUT_S + (order.wait_s if isinstance(order, ReadEvents) else 0.0)
        for member in self._may_have_writes():
            try:
                answer = await member.channel.ask("writes", message, timeout_s=timeout_s)
                return document_of(answer)
            except WritesElsewhere:
                continue
            except AskRefused as error:
                raise ProxyError(str(error)) from None
            except (ChannelClosed, TimeoutError):
                raise RefusedError(
                    f"the worker that has the writes ended, or did not answer within {timeout_s:g} s; "
                    "what was ordered may be done all the same: look before it is ordered again"
                ) from None
        raise RefusedError("the worker that has the writes does not serve now; try again")

    def _may_have_writes(self) -> list[Member]:
        members = [member for member in self._overseen.members if member.slot == WRITES_SLOT]
        ready = [member for member in members if member.state is State.READY]
        found = [*ready, *(member for member in members if member.state is State.LEAVING)]
        return sorted(found, key=lambda member: not member.holds_writes)
