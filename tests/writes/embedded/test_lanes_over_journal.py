"""The lanes on the journal: writes that were promised are applied, in order, over an unclean end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.clock import SystemClock
from proxy.config.write_settings import JournalSettings
from proxy.writes.embedded.journal import Journal
from proxy.writes.embedded.queue import EmbeddedQueue
from proxy.writes.embedded.store import EmbeddedStore
from proxy.writes.events import LoggedEvent
from proxy.writes.policy import WritePolicy
from proxy.writes.service import Writes
from proxy.writes.states import State
from proxy.writes.write import Mode, Write
from tests.writes.backends import take
from tests.writes.making import make_write
from tests.writes.model_origin import Act, ModelOrigin
from tests.writes.world import RETRY, RecordedEffects

POLICY = WritePolicy(
    origin="model", retry=RETRY, origin_timeout_s=0.05, max_concurrency=8, unrecorded=False
)  # fmt: skip
KEYS = 5


@dataclass
class Life:
    """One process."""

    journal: Journal
    store: EmbeddedStore
    writes: Writes


def begin(directory: Path, origin: ModelOrigin) -> Life:
    journal = Journal(JournalSettings(directory=directory, shards=4, min_free_bytes=0), clock=SystemClock())
    store = EmbeddedStore(journal)
    writes = Writes(
        queue=EmbeddedQueue(journal),
        store=store,
        origins={"model": origin},
        effects=RecordedEffects([]),
        policies={"*/": POLICY}.get,
        clock=SystemClock(),
        max_queued=1000,
        max_running=8,
    )
    return Life(journal, store, writes)


async def ends(life: Life, writes: list[Write]) -> None:
    """Wait until these have ended."""
    with contextlib.ExitStack() as waiting:
        futures = [waiting.enter_context(life.writes.wait(write.id)) for write in writes]
        left = [
            future
            for write, future in zip(writes, futures, strict=True)
            if await life.store.result(write.id) is None
        ]
        async with asyncio.timeout(20):
            await asyncio.gather(*left)


@pytest.mark.slow
async def test_what_was_promised_is_applied_in_order_over_an_unclean_end(tmp_path: Path) -> None:
    origin = ModelOrigin(SystemClock(), usual=Act(delay_s=0.002))
    life = begin(tmp_path / "journal", origin)
    await life.writes.start()
    writes = [
        make_write(f"/{n % KEYS}", shard=n % KEYS % 4, write_id=f"w{n:03}", not_after=4e9) for n in range(60)
    ]
    await asyncio.gather(*(life.writes.accept(write) for write in writes))
    await ends(life, writes[:12])
    assert not await life.writes.stop(deadline_s=0.0), "something is at the origin"
    before = len(origin.applied)
    assert 12 <= before < 60

    life = begin(tmp_path / "journal", origin)
    await life.journal.open()
    waiting = asyncio.ensure_future(ends(life, writes))
    await life.writes.start()
    await waiting
    order = defaultdict(list)
    for write_id in dict.fromkeys(origin.applied):
        order[int(write_id[1:]) % KEYS].append(write_id)
    for key, applied in order.items():
        assert applied == [write.id for write in writes[key::KEYS]]
    assert len(origin.applied) <= 60 + KEYS, "only what was at the origin is there twice"
    for write in writes:
        result = await life.store.result(write.id)
        assert result is not None
        assert result.state is State.COMMITTED
    found = await take(life.journal.events.follow({}), 60)
    assert {one.event.write_id for one in found if isinstance(one, LoggedEvent)} >= {
        write.id for write in writes[12:20]
    }
    assert await life.writes.stop(deadline_s=5.0)

    life = begin(tmp_path / "journal", origin)
    await life.writes.start()
    plain = make_write("/0", mode=Mode.SYNC, write_id="w900", not_after=4e9)
    with life.writes.wait(plain.id) as future:
        await life.writes.accept(plain)
        assert (await future).result.state is State.COMMITTED, "nothing is left and no grace is waited for"
    assert origin.applied[-1] == plain.id
    assert await life.writes.stop(deadline_s=5.0)


async def test_between_two_writes_of_a_key_there_is_one_commit(tmp_path: Path) -> None:
    origin = ModelOrigin(SystemClock(), usual=Act(delay_s=0.001))
    life = begin(tmp_path / "journal", origin)
    await life.writes.start()
    writes = [make_write("/hot", write_id=f"w{n:03}", not_after=4e9) for n in range(40)]
    await asyncio.gather(*(life.writes.accept(write) for write in writes))
    before = life.journal.statistics().transactions
    ended_before = len(origin.applied)
    await ends(life, writes)
    commits = life.journal.statistics().transactions - before
    assert len(origin.applied) == 40
    assert commits <= (40 - ended_before) * 1.25 + 2, "the end of one and the start of the next in one"
    assert await life.writes.stop(deadline_s=5.0)
