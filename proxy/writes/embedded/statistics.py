"""What is counted of the journal. The writer thread counts; a reader may see one count before another."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from proxy.writes.embedded.health import Condition

BATCH_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Jobs in a transaction, upper ends of the buckets."""
COMMIT_BOUNDS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Seconds that a commit took, nearly all of it the disk's sync."""


@dataclass(frozen=True, slots=True)
class JournalStatistics:
    """`batch_sizes` and `commit_times` count by bucket, one more than there are bounds.

    `queued` counts all writes that have not ended, `queued_bytes` their bodies; `durable` those in the file.
    """

    condition: Condition
    reason: str
    failures: int
    queued: int
    queued_bytes: int
    durable: int
    recovering: bool
    transactions: int
    jobs: int
    batch_sizes: tuple[int, ...]
    commit_times: tuple[int, ...]
    commit_seconds: float
    events: int
    followers: int


class CommitCounts:
    """Of the transactions of one journal."""

    def __init__(self) -> None:
        self.transactions = 0
        self.jobs = 0
        self.commit_seconds = 0.0
        self.batch_sizes = [0] * (len(BATCH_BOUNDS) + 1)
        self.commit_times = [0] * (len(COMMIT_BOUNDS_S) + 1)

    def committed(self, jobs: int, seconds: float) -> None:
        """A transaction with so many jobs became durable in so much time."""
        self.transactions += 1
        self.jobs += jobs
        self.commit_seconds += seconds
        self.batch_sizes[bisect_left(BATCH_BOUNDS, jobs)] += 1
        self.commit_times[bisect_left(COMMIT_BOUNDS_S, seconds)] += 1
