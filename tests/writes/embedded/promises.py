"""Whether a journal that was cut or killed still keeps what it had promised (`journal_user.py`)."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from proxy.clock import SystemClock
from proxy.writes.embedded.journal import Journal
from proxy.writes.embedded.queue import EmbeddedQueue
from proxy.writes.embedded.store import EmbeddedStore
from proxy.writes.events import LoggedEvent
from proxy.writes.port import ClaimKind
from tests.writes.backends import RecordingOwner, event_of, result_of
from tests.writes.embedded.journal_user import settings_of, write_number


@dataclass
class Promises:
    """What was acknowledged, by write."""

    seed: int
    puts: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    buried: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)
    events: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, lines: bytes, seed: int) -> Promises:
        """From whole lines; the last one may be torn."""
        found = cls(seed)
        for line in lines.decode().split("\n")[:-1]:
            match line.split():
                case ["put", write_id, number]:
                    found.puts[write_id] = int(number)
                case ["started", write_id, attempt]:
                    found.attempts[write_id] = int(attempt)
                case ["done", write_id]:
                    found.ended.add(write_id)
                case ["buried", write_id]:
                    found.buried.add(write_id)
                case ["claimed", write_id]:
                    found.claimed.add(write_id)
                case ["event", write_id, position]:
                    found.events[write_id] = int(position)
        return found

    def __len__(self) -> int:
        return len(self.puts) + len(self.attempts) + len(self.ended) + len(self.buried) + len(self.events)


async def broken(directory: Path, promises: Promises) -> list[str]:
    """Start the queue on what is left; every promise that it does not keep."""
    journal = Journal(settings_of(directory), clock=SystemClock())
    queue, store, owner = EmbeddedQueue(journal), EmbeddedStore(journal), RecordingOwner()
    await queue.start(owner)
    try:
        await queue.wait_recovered()
        faults = _of_deliveries(promises, owner)
        if journal.health.reason:
            faults.append(f"what is left cannot be read: {journal.health.reason}")
        faults += await _of_ends(promises, owner, store)
        faults += await _of_events(promises, journal)
        named = {one.body_name for one in journal.live}
        letters = len(await store.dead_letters(limit=10_000))
        spare = [name for name in os.listdir(directory / "bodies") if name not in named]
        if len(spare) > letters:
            faults.append(f"orphans are left: {spare}")
        return faults
    finally:
        await queue.close(clean=False)


def _of_deliveries(promises: Promises, owner: RecordingOwner) -> list[str]:
    faults = []
    order = defaultdict(list)
    for delivery in owner.deliveries:
        write = delivery.write
        order[write.shard].append(delivery.position)
        if write != write_number(promises.seed, int(write.id[5:])):
            faults.append(f"{write.id} came back changed")
        if write.id in promises.ended | promises.buried:
            faults.append(f"{write.id} came back though it had ended")
        known = promises.attempts.get(write.id, 0)
        if delivery.attempts < known or delivery.redelivered != (delivery.attempts > 0):
            faults.append(f"{write.id} came back with {delivery.attempts} attempts of {known}")
    for shard, positions in order.items():
        if positions != sorted(set(positions)):
            faults.append(f"shard {shard} came back out of order")
    return faults


async def _of_ends(promises: Promises, owner: RecordingOwner, store: EmbeddedStore) -> list[str]:
    faults = []
    queued = set(owner.ids)
    for write_id, number in promises.puts.items():
        if write_id not in queued and await store.status(write_id) is None:
            faults.append(f"{write_id} is lost")
        if write_id in promises.claimed:
            key = write_number(promises.seed, number).idempotency
            assert key is not None, "it was claimed"
            claim = await store.claim(key, "another", expires_at=4e9)
            if claim.kind is ClaimKind.OURS:
                faults.append(f"the key of {write_id} is free")
    faults += [
        f"the result of {write_id} is lost"
        for write_id in promises.ended
        if await store.result(write_id) != result_of()
    ]
    for write_id in promises.buried:
        letter = await store.dead_letter(write_id)
        if letter is None or letter.write != write_number(promises.seed, int(write_id[5:])):
            faults.append(f"the dead letter {write_id} is lost")
    return faults


async def _of_events(promises: Promises, journal: Journal) -> list[str]:
    kept: dict[str, int] = {}
    places: set[int] = set()
    follower = journal.events.follow({})
    total = await journal.read(
        lambda database: database.connection.execute("SELECT coalesce(sum(count), 0) FROM event").fetchone()[
            0
        ]
    )
    while len(kept) < total:
        found = await anext(follower)
        if isinstance(found, LoggedEvent):
            assert found.position not in places, "a position was given twice"
            places.add(found.position)
            kept[found.event.write_id] = found.position
            write = write_number(promises.seed, int(found.event.write_id[5:]))
            assert found.event == event_of(write, found.event.state), "an event came back changed"
    await follower.aclose()  # type: ignore[attr-defined]
    faults = [
        f"the event of {write_id} at {position} is at {kept.get(write_id)} now"
        for write_id, position in promises.events.items()
        if kept.get(write_id) != position
    ]
    missing = (promises.ended | promises.buried) - set(kept)
    return faults + [f"{write_id} ended without its event" for write_id in sorted(missing)]
