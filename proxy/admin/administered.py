"""What the admin listener reads from and acts on: one server, or a supervisor with its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from proxy.http.fields import Pair
from proxy.policy.purge_order import PurgeOrder
from proxy.writes.orders import Document, WritesOrder

if TYPE_CHECKING:
    from proxy.server.server import Server, ServerStatistics


class Administered(Protocol):
    """See the module's head."""

    @property
    def healthy(self) -> bool:
        """Whether new requests are welcome."""

    @property
    def draining(self) -> bool:
        """Whether the end was announced."""

    async def statistics(self) -> ServerStatistics:
        """Everything that is counted."""

    async def purge(self, order: PurgeOrder) -> int:
        """Purge; how many entries there were, when it holds everywhere and for good. Raises: ProxyError."""

    async def explain(self, url: str, *, method: str, fields: tuple[Pair, ...]) -> dict[str, object]:
        """What a request would get, as JSON values. Raises: ClientError."""

    async def writes(self, order: WritesOrder) -> Document:
        """Carry out an order about queued writes. Raises: ProxyError."""


class OneServer:
    """A server in this process."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __repr__(self) -> str:
        return f"<OneServer {self._server!r}>"

    @property
    def healthy(self) -> bool:
        """Whether new requests are welcome."""
        return self._server.healthy

    @property
    def draining(self) -> bool:
        """Whether the end was announced."""
        return self._server.statistics().draining

    async def statistics(self) -> ServerStatistics:
        """Everything that is counted."""
        return self._server.statistics()

    async def purge(self, order: PurgeOrder) -> int:
        """Purge, and wait until it is for good. Raises: ProxyError."""
        purger = self._server.proxy.purger
        return await purger.settled(purger.purge(order))

    async def explain(self, url: str, *, method: str, fields: tuple[Pair, ...]) -> dict[str, object]:
        """What a request would get, as JSON values. Raises: ClientError."""
        return self._server.proxy.explainer.explain(url, method=method, fields=fields).document()

    async def writes(self, order: WritesOrder) -> Document:
        """Carry out an order about queued writes. Raises: ProxyError."""
        return await self._server.desk.carry_out(order)
