"""An admin listener before a desk, and who gives orders there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from proxy.admin.administered import Administered
from proxy.admin.app import AdminListener
from proxy.clock import SystemClock
from proxy.config.settings import AdminSettings
from proxy.http.fields import Pair
from proxy.policy.purge_order import PurgeOrder
from proxy.server.server import ServerStatistics
from proxy.writes.orders import Document, WritesDesk, WritesOrder


@dataclass
class OnlyWrites:
    """`proxy.admin.administered.Administered` of a process that nothing but writes is asked of."""

    desk: WritesDesk
    healthy = True
    draining = False

    async def statistics(self) -> ServerStatistics:
        raise AssertionError("nobody asks for this")

    async def purge(self, order: PurgeOrder) -> int:
        raise AssertionError("nobody asks for this")

    async def explain(self, url: str, *, method: str, fields: tuple[Pair, ...]) -> dict[str, object]:
        raise AssertionError("nobody asks for this")

    async def writes(self, order: WritesOrder) -> Document:
        return await self.desk.carry_out(order)


class Operator:
    """Asks the listener; each answer is JSON, and nobody keeps it."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.address = address
        self._session = session

    async def metrics(self) -> str:
        """As they are scraped."""
        async with self._session.get("/metrics") as response:
            return await response.text()

    async def ask(self, path: str, *, status: int = 200, **options: Any) -> Any:
        method = "POST" if {"json", "data"} & set(options) else "GET"
        async with self._session.request(method, URL(path, encoded=True), **options) as response:
            document = await response.json(content_type=None)
            assert response.status == status, document
            assert response.headers["Cache-Control"] == "no-store"
            return document if status == 200 else document["detail"]


@asynccontextmanager
async def listening(desk: WritesDesk, **settings: Any) -> AsyncIterator[Operator]:
    """An admin listener before a desk and nothing else."""
    async with administered(OnlyWrites(desk), **settings) as operator:
        yield operator


@asynccontextmanager
async def administered(subject: Administered, **settings: Any) -> AsyncIterator[Operator]:
    """An admin listener over this."""
    given = AdminSettings.model_validate({"address": "127.0.0.1:0", **settings})
    listener = AdminListener(given, subject=subject, clock=SystemClock())
    await listener.start()
    try:
        async with aiohttp.ClientSession(f"http://{listener.address}") as session:
            yield Operator(session, listener.address)
    finally:
        await listener.stop()
