"""One thread, commits in groups, everything in order."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from proxy.writes.embedded import writer
from proxy.writes.embedded.commits import Commits
from proxy.writes.embedded.database import Database
from tests.writes.backends import EmbeddedBackend
from tests.writes.making import make_write


async def test_what_comes_while_a_commit_waits_becomes_one_transaction(backend: EmbeddedBackend) -> None:
    entered, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold(_: Database) -> None:
        loop.call_soon_threadsafe(entered.set)
        assert release.wait(10)

    holding = asyncio.ensure_future(backend.journal.read(hold))
    await entered.wait()
    before = backend.journal.statistics()
    puts = [asyncio.ensure_future(backend.queue.put(make_write())) for _ in range(writer.MAX_BATCH + 88)]
    await backend.owner.until(len(puts))
    assert not any(put.done() for put in puts), "nothing is promised before it is durable"
    release.set()
    await holding
    done: list[int] = []
    for n, put in enumerate(puts):
        put.add_done_callback(lambda _, n=n: done.append(n))
    await asyncio.gather(*puts)
    await asyncio.sleep(0)
    after = backend.journal.statistics()
    assert after.transactions - before.transactions == 2
    assert done == sorted(done), "settled in the order in which they were submitted"


async def test_a_fault_of_ours_in_the_thread_is_told_and_promises_nothing(backend: EmbeddedBackend) -> None:
    with pytest.MonkeyPatch.context() as patch:

        def wrong(*_: object, **__: object) -> None:
            raise RuntimeError("ours")

        patch.setattr(Commits, "run", wrong)
        with pytest.raises(RuntimeError, match="ours"):
            await backend.queue.put(make_write())
    assert len(backend.owner.withdrawn) == 1
    assert "ours" in backend.journal.statistics().reason


async def test_a_start_that_was_given_up_still_lets_the_directory_go(tmp_path: Path) -> None:
    backend = EmbeddedBackend(tmp_path / "journal")
    backend.renew()
    starting = asyncio.ensure_future(backend.queue.start(backend.owner))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await backend.stop(clean=True)
    await backend.start()
    await backend.stop(clean=True)
