"""What is counted of writes: of the lanes, and of the journal where there is one.

Plain values, so that who reads them (metrics, a supervisor) needs no package of the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from proxy.writes.states import State

BATCH_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Jobs in a transaction, upper ends of the buckets."""
COMMIT_BOUNDS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Seconds that a commit took, nearly all of it the disk's sync."""


class Condition(StrEnum):
    """Of the journal. The first one is that of a journal nothing is known of."""

    WORKING = "working"
    NO_ROOM = "no-room"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WritesStatistics:
    """What is the case now, and counters since the start. Ages are seconds since a write was accepted."""

    queued: int
    running: int
    resting: int
    busy_keys: int
    paused_keys: int
    deepest_lane: int
    oldest_age_s: float
    attempts: int
    unknown: int
    ended: dict[State, int]
    refused: int


@dataclass(frozen=True, slots=True)
class JournalStatistics:
    """`batch_sizes` and `commit_times` count by bucket, one more than there are bounds.

    `queued` counts all writes that have not ended, `queued_bytes` their bodies; `durable` those in the file.
    `dead_letters` are parked for an operator.
    """

    condition: Condition
    reason: str
    failures: int
    queued: int
    queued_bytes: int
    durable: int
    dead_letters: int
    recovering: bool
    transactions: int
    jobs: int
    batch_sizes: tuple[int, ...]
    commit_times: tuple[int, ...]
    commit_seconds: float
    events: int
    followers: int


@dataclass(frozen=True, slots=True)
class WritesServerStatistics:
    """The writes of a server. `journal` is None where they live in memory only."""

    lanes: WritesStatistics
    journal: JournalStatistics | None = None
