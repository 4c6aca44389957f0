"""A process that uses the journal as lanes do, and says on a file what was promised to it: `DIRECTORY SEED`.

    put ID SHARD SIZE     `put` returned          started ID N    the mark of attempt N holds
    done ID               its end is kept         buried ID       as a dead letter
    claimed ID            its key, kept by `put`  event ID POS    a follower was told

A write's content follows from its number, so that whoever reads the lines can check it octet by octet.
Further arguments break the journal on purpose: NORMAL (the log is not synced), BODY (files of bodies are
not), NAME (their directory is not), EARLY (a write is acknowledged before its transaction).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from proxy.clock import SystemClock
from proxy.config.write_settings import JournalSettings
from proxy.writes.embedded import schema, spool
from proxy.writes.embedded.jobs import Insert
from proxy.writes.embedded.journal import Journal
from proxy.writes.embedded.queue import EmbeddedQueue
from proxy.writes.embedded.store import EmbeddedStore
from proxy.writes.embedded.writer import JournalWriter
from proxy.writes.events import LoggedEvent
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.write import Idempotency, Write
from tests.writes.backends import RecordingOwner, event_of, result_of
from tests.writes.making import make_write

SHARDS = 4
SIZES = (0, 40, 700, 3000, 40_000)
SPOOL_ABOVE = 10_000
PROBLEM = Problem(ProblemType.ORIGIN_FAILED, "500", 500)


def write_number(seed: int, number: int) -> Write:
    """The write with this number."""
    chance = random.Random(f"{seed} {number}")
    shard = chance.randrange(SHARDS)
    keyed = number % 7 == 0
    return make_write(
        f"/{shard}/{chance.randrange(3)}", write_id=f"w{seed:04}{number:08}", shard=shard,
        body=chance.randbytes(chance.choice(SIZES)),
        idempotency=Idempotency("scope", f"key {seed} {number}", b"f") if keyed else None,
    )  # fmt: skip


def settings_of(directory: Path) -> JournalSettings:
    """As small as it takes for everything to happen within a second."""
    return JournalSettings(
        directory=directory, shards=SHARDS, min_free_bytes=0, spool_above_bytes=SPOOL_ABOVE
    )


class User:
    """Several lanes at once."""

    def __init__(self, directory: Path, seed: int, acks: int) -> None:
        self.journal = Journal(settings_of(directory), clock=SystemClock())
        self.queue = EmbeddedQueue(self.journal)
        self.store = EmbeddedStore(self.journal)
        self.owner = RecordingOwner()
        self.seed = seed
        self.chance = random.Random(seed)
        self._acks = acks

    def say(self, *words: object) -> None:
        os.write(self._acks, (" ".join(map(str, words)) + "\n").encode())

    async def run(self, numbers: Iterator[int], users: int) -> None:
        await self.queue.start(self.owner)
        self.say("open")
        following = asyncio.ensure_future(self.follow())
        await asyncio.gather(*(self.use(numbers) for _ in range(users)))
        following.cancel()

    async def follow(self) -> None:
        async for found in self.journal.events.follow(None):
            if isinstance(found, LoggedEvent):
                self.say("event", found.event.write_id, found.position)

    async def use(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            write = write_number(self.seed, number)
            if write.idempotency is not None:
                await self.store.claim(write.idempotency, write.id, expires_at=4e9)
            await self.queue.put(write)
            self.say("put", write.id, number)
            if write.idempotency is not None:
                self.say("claimed", write.id)
            if self.chance.random() < 0.15:
                continue  # it stays queued
            await self.work(write)

    async def work(self, write: Write) -> None:
        delivery = self.owner.of(write)
        for attempt in range(1, self.chance.choice((1, 1, 2)) + 1):
            marked = self.queue.started(delivery, attempt=attempt)
            assert marked is not None
            await marked
            self.say("started", write.id, attempt)
        if self.chance.random() < 0.1:
            return  # the origin does not answer
        if self.chance.random() < 0.1:
            kept = self.queue.bury(delivery, PROBLEM, result_of(State.DEAD), event_of(write, State.DEAD))
            word = "buried"
        else:
            kept = self.queue.done(delivery, result_of(), event_of(write))
            word = "done"
        assert kept is not None
        await kept
        self.say(word, write.id)


def break_on_purpose(ways: Sequence[str]) -> None:
    """What a suite that can see has to find."""
    fsync: Any = os.fsync
    if "NORMAL" in ways:
        schema.PRAGMAS[0] = "synchronous=NORMAL"
    if "BODY" in ways:
        real = spool.Spool.write

        def unsynced(self: spool.Spool, name: str, body: bytes) -> None:
            os.fsync = lambda fd: None
            try:
                real(self, name, body)
            finally:
                os.fsync = fsync

        spool.Spool.write = unsynced  # type: ignore[method-assign]
    if "NAME" in ways:
        spool.sync_directory = lambda path: None  # type: ignore[attr-defined]
    if "EARLY" in ways:
        submit = JournalWriter.submit

        def early(self: JournalWriter, job: Any) -> None:
            submit(self, job)
            if isinstance(job, Insert):
                job.settle()

        JournalWriter.submit = early  # type: ignore[method-assign]


def main() -> None:
    directory, acks_path, seed, writes, *ways = sys.argv[1:]
    break_on_purpose(ways)
    acks = os.open(acks_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    numbers = iter(range(int(writes))) if int(writes) else count()

    async def use() -> None:
        user = User(Path(directory), int(seed), acks)
        await user.run(numbers, users=8)

    asyncio.run(use())


if __name__ == "__main__":
    main()
