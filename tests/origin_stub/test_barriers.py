from __future__ import annotations

import asyncio

from origin_stub.barriers import Barriers
from origin_stub.changes import Changes


async def test_who_is_held_goes_on_at_release_and_later_ones_pass() -> None:
    changes = Changes()
    barriers = Barriers(changes)
    barriers.hold("/a")
    await barriers.pass_head("/b")
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(barriers.pass_head("/a"))
        await changes.wait_until(lambda: barriers.held("/a") == 3, timeout_s=1)
        barriers.release("/a")
    await barriers.pass_head("/a")
    assert barriers.held("/a") == 0


async def test_a_barrier_in_the_body_lets_the_head_pass() -> None:
    changes = Changes()
    barriers = Barriers(changes)
    barriers.hold("/a", after_bytes=10)
    assert barriers.position("/a") == 10
    await barriers.pass_head("/a")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(barriers.pass_body("/a"))
        await changes.wait_until(lambda: barriers.held("/a") == 1, timeout_s=1)
        barriers.release()
    assert barriers.position("/a") is None


async def test_a_star_holds_paths_without_a_barrier_of_their_own() -> None:
    changes = Changes()
    barriers = Barriers(changes)
    barriers.hold("*")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(barriers.pass_head("/anything"))
        await changes.wait_until(lambda: barriers.held("*") == 1, timeout_s=1)
        barriers.release("*")


async def test_who_leaves_is_no_longer_held() -> None:
    changes = Changes()
    barriers = Barriers(changes)
    barriers.hold("/a")
    task = asyncio.get_running_loop().create_task(barriers.pass_head("/a"))
    await changes.wait_until(lambda: barriers.held("/a") == 1, timeout_s=1)
    task.cancel()
    await changes.wait_until(lambda: barriers.held("/a") == 0, timeout_s=1)
