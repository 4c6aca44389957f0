"""Every test of the origin leg runs on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from proxy.config.settings import OriginSettings
from proxy.origin.client import OriginClient
from tests.origin.manual_clock import ManualClock
from tests.origin.scripted import ScriptedOrigin
from tests.origin.waiting import soon

Connect = Callable[..., OriginClient]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedOrigin]:
    """An origin on 127.0.0.1 that answers what the test says."""
    async with ScriptedOrigin() as origin:
        yield origin


@pytest.fixture
async def connect(clock: ManualClock) -> AsyncIterator[Connect]:
    """Makes clients of addresses; each must have given everything back in the end."""
    clients: list[OriginClient] = []

    def make(*addresses: str, look_up: object = None, **settings: object) -> OriginClient:
        found = {} if look_up is None else {"look_up": look_up}
        client = OriginClient("shop", OriginSettings(addresses=addresses, **settings), clock=clock, **found)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await soon(client.close())
        statistics = client.statistics()
        assert (statistics.outstanding, statistics.queued, statistics.idle_connections) == (0, 0, 0)
        assert all(address.outstanding == 0 for address in statistics.addresses)
