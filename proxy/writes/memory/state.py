"""What queue, store and event log without a journal have in common: the writes of one process.

    queue.py       writes in, and their ends (WriteQueue)
    store.py       what is known of single writes (Store)
    event_log.py   what was committed (EventLog)

Nothing here outlives the process, and nothing is promised that would have to: each client is told the end of
its write, or sees its connection break. What must outlive it (a 202, an Idempotency-Key) is refused, with the
setting that it needs.
"""

from __future__ import annotations

from typing import Final

from proxy.clock import Clock
from proxy.errors import QueueUnavailable
from proxy.writes.live import MAX_BYTES, MAX_WRITES, Live, LiveDelivery
from proxy.writes.memory.event_log import MemoryLog
from proxy.writes.problem import Problem

SHARDS: Final = 64
"""As many as a journal has by default, so that ids mean the same when one is set later."""


class MemoryState:
    """The writes of one process that have not ended, its events, its paused keys.

    `clean` is False where it is known that a process before this one did not end well: then something of
    its may still be at the origin, and each key waits for it. A process by itself cannot know.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        shards: int = SHARDS,
        clean: bool = True,
        max_writes: int = MAX_WRITES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.clock = clock
        self.shards = shards
        self.clean = clean
        self.live: Live[LiveDelivery] = Live(max_writes=max_writes, max_bytes=max_bytes)
        self.events = MemoryLog()
        self.paused: dict[str, Problem] = {}

    def __repr__(self) -> str:
        return f"<MemoryState {self.live!r} {self.events!r} paused={len(self.paused)}>"


def needs_journal(what: str) -> QueueUnavailable:
    """The error for what cannot be promised here."""
    return QueueUnavailable(
        f"{what} must outlive this process, and nothing keeps it: set writes.journal.directory."
    )
