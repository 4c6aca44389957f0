"""Kept connections: last in first out, bounded in number and in age."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.origin.address import parse_address
from proxy.origin.balancer import Target
from proxy.origin.connection import OriginConnection
from proxy.origin.pool import FRESH_IDLE_S, ConnectionPool
from tests.origin.manual_clock import ManualClock
from tests.origin.scripted import ScriptedOrigin
from tests.origin.waiting import until


class Dock:
    """Opens connections to a scripted origin, and forgets them in the pool when they are lost."""

    def __init__(self, scripted: ScriptedOrigin, pool: ConnectionPool) -> None:
        self.scripted = scripted
        self.pool = pool
        self.target = self.another_target()
        self._made: list[OriginConnection] = []

    def another_target(self) -> Target:
        return Target(parse_address(self.scripted.url), "127.0.0.1")

    async def open(self, target: Target | None = None) -> OriginConnection:
        loop = asyncio.get_running_loop()

        def make() -> OriginConnection:
            return OriginConnection(target or self.target, origin="shop", loop=loop, on_lost=self.pool.forget)

        _, connection = await loop.create_connection(make, "127.0.0.1", self.scripted.port)
        self._made.append(connection)
        return connection

    async def close(self) -> None:
        self.pool.close()
        for connection in self._made:
            connection.drop()
        await until(lambda: all(connection.lost for connection in self._made))


@pytest.fixture
async def dock(scripted: ScriptedOrigin, clock: ManualClock) -> AsyncIterator[Dock]:
    dock = Dock(scripted, ConnectionPool(max_idle=2, idle_timeout_s=15, clock=clock))
    yield dock
    await dock.close()


async def test_the_last_one_put_back_is_taken_first(dock: Dock) -> None:
    first, second = await dock.open(), await dock.open()
    dock.pool.put(first)
    dock.pool.put(second)
    assert dock.pool.take(dock.target, fresh_only=False) is second
    assert dock.pool.take(dock.target, fresh_only=False) is first
    assert dock.pool.take(dock.target, fresh_only=False) is None
    assert first.reused


async def test_the_oldest_of_all_goes_when_there_are_too_many(dock: Dock) -> None:
    elsewhere = dock.another_target()
    oldest = await dock.open(elsewhere)
    dock.pool.put(oldest)
    for _ in range(2):
        dock.pool.put(await dock.open())
    assert len(dock.pool) == 2
    assert dock.pool.take(elsewhere, fresh_only=False) is None
    await until(lambda: oldest.lost)


async def test_only_fresh_ones_are_taken_where_that_is_asked(dock: Dock, clock: ManualClock) -> None:
    connection = await dock.open()
    dock.pool.put(connection)
    clock.advance(FRESH_IDLE_S)
    assert dock.pool.take(dock.target, fresh_only=True) is None
    assert dock.pool.take(dock.target, fresh_only=False) is connection


async def test_one_that_the_origin_closed_is_forgotten(dock: Dock) -> None:
    dock.pool.put(await dock.open())
    (await dock.scripted.accept()).cut()
    await until(lambda: len(dock.pool) == 0)
    assert not dock.target.idle


async def test_one_that_is_closing_is_not_kept(dock: Dock) -> None:
    connection = await dock.open()
    connection.drop()
    dock.pool.put(connection)
    assert len(dock.pool) == 0


async def test_those_to_a_target_that_is_left_out_are_closed(dock: Dock) -> None:
    connection = await dock.open()
    other = await dock.open(dock.another_target())
    dock.pool.put(connection)
    dock.pool.put(other)
    dock.pool.close_target(dock.target)
    await until(lambda: connection.lost)
    assert len(dock.pool) == 1
    assert not other.lost


async def test_aged_ones_are_closed_without_a_request(scripted: ScriptedOrigin, clock: ManualClock) -> None:
    dock = Dock(scripted, ConnectionPool(max_idle=2, idle_timeout_s=0.02, clock=clock))
    aged, young = await dock.open(), await dock.open()
    dock.pool.put(aged)
    clock.advance(0.015)
    dock.pool.put(young)
    clock.advance(0.01)
    await until(lambda: aged.lost)
    assert len(dock.pool) == 1
    clock.advance(0.015)
    await until(lambda: young.lost)
    await dock.close()


@pytest.mark.parametrize("max_idle", [0, 2])
async def test_nothing_is_kept_where_none_may_be(
    scripted: ScriptedOrigin, clock: ManualClock, max_idle: int
) -> None:
    pool = ConnectionPool(max_idle=max_idle, idle_timeout_s=15, clock=clock)
    dock = Dock(scripted, pool)
    if max_idle:
        pool.close()
    connection = await dock.open()
    pool.put(connection)
    await until(lambda: connection.lost)
    assert len(pool) == 0
    await dock.close()
