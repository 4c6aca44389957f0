"""The statistics of several workers as one."""

from __future__ import annotations

import dataclasses
from typing import Any

from proxy.coalesce.answer import Outcome
from proxy.server.client_connection import State as Connection
from proxy.server.server import ServerStatistics
from proxy.workers import summing
from proxy.workers.plain import made, plain
from proxy.workers.summing import counted, summed
from proxy.writes.states import State
from proxy.writes.statistics import (
    Condition,
    JournalStatistics,
    WritesServerStatistics,
    WritesStatistics,
)
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
    return dataclasses.replace(found, proxy=proxy, connections={Connection.IDLE: 2}, **changed)


async def test_counts_and_amounts_add_up() -> None:
    total = summed([await statistics(uptime_s=1.0), await statistics(uptime_s=5.0)])
    assert total.proxy.exchanges.requests == 6
    assert total.proxy.exchanges.outcomes == {Outcome.HIT: 6}
    assert total.proxy.exchanges.statuses == {200: 6}
    assert total.proxy.flights.running == 4
    assert total.proxy.memory.max_bytes == 200
    assert total.connections == {Connection.IDLE: 4}
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


WRITES = WritesServerStatistics(
    WritesStatistics(
        queued=5,
        running=2,
        resting=1,
        busy_keys=3,
        paused_keys=1,
        deepest_lane=4,
        oldest_age_s=9.0,
        attempts=7,
        unknown=1,
        ended={State.COMMITTED: 6},
        refused=2,
    ),
    JournalStatistics(
        condition=Condition.NO_ROOM,
        reason="the disk is full",
        failures=1,
        queued=5,
        queued_bytes=500,
        durable=4,
        dead_letters=3,
        recovering=True,
        transactions=8,
        jobs=20,
        batch_sizes=(1, 2),
        commit_times=(3, 4),
        commit_seconds=0.5,
        events=6,
        followers=1,
    ),
)


async def test_of_the_writes_of_an_owner_that_is_gone_the_counters_stay_with_its_successors() -> None:
    left = counted(await statistics(writes=WRITES))
    assert left.writes is not None
    assert left.writes.journal is not None
    assert (left.writes.lanes.queued, left.writes.lanes.deepest_lane, left.writes.lanes.attempts) == (0, 0, 7)
    assert (left.writes.journal.condition, left.writes.journal.reason) == (Condition.WORKING, "")
    assert (left.writes.journal.dead_letters, left.writes.journal.recovering) == (0, False)
    assert made(ServerStatistics, plain(left)) == left
    total = summed([await statistics(), await statistics(writes=WRITES), left]).writes
    assert total is not None
    assert total.journal is not None
    assert (total.lanes.deepest_lane, total.lanes.oldest_age_s, total.lanes.queued) == (4, 9.0, 5)
    assert (total.lanes.attempts, total.lanes.ended) == (14, {State.COMMITTED: 12})
    assert (total.journal.condition, total.journal.dead_letters) == (Condition.NO_ROOM, 3)
    assert (total.journal.batch_sizes, total.journal.commit_seconds) == ((2, 4), 1.0)
    both = summed([await statistics(writes=WRITES), await statistics(writes=WRITES)]).writes
    assert both is not None  # for a moment, while one gives them to another
    assert (both.lanes.deepest_lane, both.lanes.oldest_age_s, both.lanes.queued) == (4, 9.0, 10)


async def test_each_gauge_is_found_where_it_is_said_to_be() -> None:
    told = plain(await statistics(writes=WRITES))
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
