from __future__ import annotations

import asyncio

from origin_stub.changes import Changes
from origin_stub.entities import Entities


async def test_overlapping_increments_lose_updates_and_are_seen() -> None:
    entities = Entities(Changes())
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(entities.write("a", "POST", "", delay_s=0.001, increment=True))
    report = entities.report("a")
    assert report["value"] == "1"
    assert (report["writes"], report["max_overlap"]) == (10, 10)


async def test_writes_one_after_the_other_lose_nothing() -> None:
    entities = Entities(Changes())
    for _ in range(10):
        await entities.write("a", "POST", "", delay_s=0, increment=True)
    report = entities.report("a")
    assert report["value"] == "10"
    assert report["max_overlap"] == 1


async def test_the_log_keeps_the_order_of_arrival_and_of_ending() -> None:
    entities = Entities(Changes())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(entities.write("a", "PUT", "slow", delay_s=0.02, idempotency_key="k"))
        tasks.create_task(entities.write("a", "PUT", "fast", delay_s=0))
    log = entities.report("a")["log"]
    assert isinstance(log, list)
    assert [(each["body"], each["overlapped"], each["ended"]) for each in log] == [
        ("slow", 0, 2),
        ("fast", 1, 1),
    ]
    assert log[0]["idempotency_key"] == "k"


async def test_put_replaces_post_appends_delete_removes() -> None:
    entities = Entities(Changes())
    await entities.write("a", "PUT", "x", delay_s=0)
    assert await entities.write("a", "POST", "y", delay_s=0) == "xy"
    assert await entities.write("a", "DELETE", "", delay_s=0) is None
    assert entities.value("a") is None


async def test_a_write_given_up_changes_nothing() -> None:
    changes = Changes()
    entities = Entities(changes)
    task = asyncio.get_running_loop().create_task(entities.write("a", "PUT", "x", delay_s=60))
    await changes.wait_until(lambda: entities.report("a")["in_progress"] == 1, timeout_s=1)
    task.cancel()
    await changes.wait_until(lambda: entities.report("a")["in_progress"] == 0, timeout_s=1)
    assert entities.value("a") is None
