"""What is forgotten, and when."""

from __future__ import annotations

import os
from pathlib import Path

from proxy.writes.embedded import retention
from proxy.writes.port import ClaimKind
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.write import Idempotency, Write
from tests.writes.backends import EmbeddedBackend, event_of, finish, result_of
from tests.writes.making import make_write

KEY = Idempotency("s", "k", b"f")


async def ended(backend: EmbeddedBackend, **parts: object) -> Write:
    write = make_write(**parts)  # type: ignore[arg-type]
    await backend.queue.put(write)
    await finish(backend, write)
    return write


async def test_results_and_claims_go_with_age(backend: EmbeddedBackend) -> None:
    write = make_write(idempotency=KEY)
    await backend.store.claim(KEY, write.id, expires_at=backend.clock.now() + 100)
    await backend.queue.put(write)
    await finish(backend, write)
    await backend.journal.sweep()
    assert await backend.store.result(write.id) == result_of()
    assert (await backend.store.claim(KEY, "w2", expires_at=2e9)).kind is ClaimKind.FINISHED
    backend.clock.advance(101)
    assert (await backend.store.claim(KEY, "w2", expires_at=2e9)).kind is ClaimKind.OURS
    backend.clock.advance(backend.settings.retention_s)
    await backend.journal.sweep()
    assert await backend.store.status(write.id) is None
    assert await backend.journal.read(
        lambda database: database.connection.execute("SELECT count(*) FROM claim").fetchone()
    ) == (0,)


async def test_the_claim_of_a_write_that_still_runs_does_not_expire(backend: EmbeddedBackend) -> None:
    write = make_write(idempotency=KEY)
    await backend.store.claim(KEY, write.id, expires_at=backend.clock.now() + 1)
    await backend.queue.put(write)
    backend.clock.advance(10)
    await backend.journal.sweep()
    assert (await backend.store.claim(KEY, "w2", expires_at=2e9)).kind is ClaimKind.RUNNING
    await backend.restart(clean=False)
    assert (await backend.store.claim(KEY, "w2", expires_at=2e9)).kind is ClaimKind.RUNNING


async def test_results_go_with_number_in_steps(tmp_path: Path) -> None:
    backend = EmbeddedBackend(tmp_path / "journal", max_results=3)
    await backend.start()
    writes = [await ended(backend) for _ in range(8)]
    while (await backend.journal.sweep()).more:
        continue
    assert [one.id for one in await backend.store.listing()] == [write.id for write in writes[-3:]]
    await backend.stop(clean=True)


async def test_a_step_is_bounded(backend: EmbeddedBackend, monkeypatch: object) -> None:
    for _ in range(5):
        await ended(backend)
    backend.clock.advance(backend.settings.retention_s * 2)
    before, retention.STEP = retention.STEP, 2  # type: ignore[misc]
    try:
        left = []
        while (await backend.journal.sweep()).more:
            left.append(len(await backend.store.listing()))
    finally:
        retention.STEP = before  # type: ignore[misc]
    assert left == [3, 1]
    assert await backend.store.listing() == []


async def test_the_oldest_dead_letters_go_with_their_bodies(tmp_path: Path) -> None:
    backend = EmbeddedBackend(tmp_path / "journal", max_dead_letters=2)
    await backend.start()
    problem = Problem(ProblemType.ORIGIN_FAILED, "500", 500)
    ids = []
    for _ in range(4):
        write = make_write(body=b"d" * 5000)
        await backend.queue.put(write)
        kept = backend.queue.bury(
            backend.owner.of(write), problem, result_of(State.DEAD), event_of(write, State.DEAD)
        )
        assert kept is not None
        await kept
        ids.append(write.id)
    assert len(os.listdir(tmp_path / "journal" / "bodies")) == 4
    await backend.journal.sweep()
    assert [letter.write.id for letter in await backend.store.dead_letters()] == ids[2:]
    await backend.restart(clean=True)
    assert len(os.listdir(tmp_path / "journal" / "bodies")) == 2
    await backend.stop(clean=True)
