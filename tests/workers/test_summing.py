"""The statistics of several workers as one."""

from __future__ import annotations

import dataclasses
from typing import Any

from proxy.coalesce.answer import Outcome
from proxy.server.client_connection import State
from proxy.server.server import ServerStatistics
from proxy.workers import summing
from proxy.workers.plain import plain
from proxy.workers.summing import counted, summed
from tests.server.stage import Stage


async def statistics(**changed: object) -> ServerStatistics:
    stage = Stage()
    server = stage.server(cache={"max_bytes": 100, "max_entry_bytes": 100})
    found = server.statistics()
    await server.close()
    exchanges = dataclasses.replace(
        found.proxy.exchanges, requests=3, outcomes={Outcome.HIT: 3}, statuses={200: 3}, shareable=4
    )
    flights = dataclasses.replace(found.proxy.flights, shareable_fetches=1, running=2, oldest_s=1.5)
    proxy = dataclasses.replace(found.proxy, exchanges=exchanges, flights=flights)
    return dataclasses.replace(found, proxy=proxy, connections={State.IDLE: 2}, **changed)


async def test_counts_and_amounts_add_up() -> None:
    total = summed([await statistics(uptime_s=1.0), await statistics(uptime_s=5.0)])
    assert total.proxy.exchanges.requests == 6
    assert total.proxy.exchanges.outcomes == {Outcome.HIT: 6}
    assert total.proxy.exchanges.statuses == {200: 6}
    assert total.proxy.flights.running == 4
    assert total.proxy.memory.max_bytes == 200
    assert total.connections == {State.IDLE: 4}
    assert len(total.proxy.exchanges.wait_buckets) == len((await statistics()).proxy.exchanges.wait_buckets)


async def test_what_is_no_amount_does_not() -> None:
    one, other = (
        await statistics(uptime_s=1.0, started_at=9.0),
        await statistics(uptime_s=5.0, started_at=3.0),
    )
    total = summed([one, other])
    assert (total.uptime_s, total.started_at, total.proxy.flights.oldest_s) == (5.0, 3.0, 1.5)
    assert total.leak_ratio == 2 / 8


async def test_of_a_worker_that_is_gone_the_counters_stay() -> None:
    left = counted(await statistics(uptime_s=100.0))
    assert left.proxy.exchanges.requests == 3
    assert left.proxy.flights.shareable_fetches == 1
    assert (left.proxy.flights.running, left.proxy.flights.oldest_s, left.connections) == (0, 0.0, {})
    assert left.proxy.memory.max_bytes == 0
    assert left.origins["shop"].requests == 0


async def test_each_gauge_is_found_where_it_is_said_to_be() -> None:
    told = plain(await statistics())
    for path in summing._GAUGES:
        here = told
        for name in path.split("."):
            here = _first(here) if path.startswith("origins.") and here is not told else here
            if here is None:  # no disk tier here
                break
            here = here[name]


def _first(value: Any) -> Any:
    """Of several origins, or addresses, the first; else the value itself."""
    if isinstance(value, list):
        return value[0]
    return value.get("shop", value)
