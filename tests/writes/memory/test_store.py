"""Without a journal nothing is known of what ended, and no key is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.errors import QueueUnavailable
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.write import Idempotency, Mode
from tests.writes.backends import MemoryBackend, finish
from tests.writes.making import make_write


async def test_of_a_write_that_ended_nothing_is_known(tmp_path: Path) -> None:
    backend = MemoryBackend(tmp_path)
    await backend.start()
    write = make_write(mode=Mode.SYNC)
    await backend.queue.put(write)
    assert [one.id for one in await backend.store.listing()] == [write.id]
    await finish(backend, write)
    assert await backend.store.status(write.id) is None
    assert await backend.store.result(write.id) is None
    assert await backend.store.listing() == []


async def test_no_idempotency_key_is_taken(tmp_path: Path) -> None:
    backend = MemoryBackend(tmp_path)
    await backend.start()
    with pytest.raises(QueueUnavailable, match=r"set writes\.journal\.directory"):
        await backend.store.claim(Idempotency("s", "k", b"f"), "w", expires_at=2e9)
    await backend.store.unclaim("w")


async def test_there_are_no_dead_letters_and_after_a_restart_no_paused_keys(tmp_path: Path) -> None:
    backend = MemoryBackend(tmp_path)
    await backend.start()
    await backend.store.pause("/a", Problem(ProblemType.PAUSED, "by hand"))
    assert await backend.store.dead_letters() == ()
    assert await backend.store.dead_letter("w") is None
    assert not await backend.store.discard("w")
    await backend.restart(clean=True)
    assert await backend.store.paused() == {}
